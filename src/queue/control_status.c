/*
 * The daemon at a glance: roles, listeners, counts, transports, accounts.  Run
 * by queue, which hears from monitor and the listeners what they know.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "config.h"
#include "queue/control_private.h"

/* ---- roles and listeners ---- */

static void
write_role(struct json_writer *w, const char *name, uint64_t pid,
    uint64_t started, uint64_t restarts, uint64_t now)
{
	json_object(w, NULL);
	json_text(w, "name", name);
	json_number(w, "pid", pid);
	json_number(w, "uptime", started != 0 && now > started ?
	    (now - started) / 1000 : 0);
	json_number(w, "restarts", restarts);
	json_close_object(w);
}

static void
write_roles(struct json_writer *w, const struct msg_status *s, uint64_t now)
{
	uint32_t i;

	json_array(w, "roles");
	if (s != NULL) {
		write_role(w, "monitor", s->pid, s->started, 0, now);
		for (i = 0; i < s->n_roles; i++)
			write_role(w, s->role[i].role < ROLE_COUNT ?
			    role_name(s->role[i].role) : "unknown",
			    s->role[i].pid, s->role[i].started,
			    s->role[i].restarts, now);
	}
	json_close_array(w);
}

static void
write_listener(struct json_writer *w, const char *address, uint64_t n)
{
	json_object(w, NULL);
	json_text(w, "address", address);
	json_number(w, "connections", n);
	json_close_object(w);
}

static void
write_listeners(struct caller *cl, struct json_writer *w)
{
	const struct conf *conf = queue_conf(cl->c->q);
	struct msg_stats s;
	char *path;
	size_t i;

	queue_connections(cl->c->q, &s);
	json_array(w, "listeners");
	for (i = 0; i < conf->n_listens; i++)
		write_listener(w, conf->listens[i].name,
		    i + 1 < s.n ? s.open[i] : 0);
	if (conf->runtime_directory != NULL) {
		path = mem_printf("%s/submit.sock", conf->runtime_directory);
		write_listener(w, path, s.n > 0 ? s.open[s.n - 1] : 0);
		free(path);
		path = mem_printf("%s/control.sock",
		    conf->runtime_directory);
		write_listener(w, path, cl->c->n_callers);
		free(path);
	}
	json_close_array(w);
}

static void
write_counts(struct caller *cl, struct json_writer *w)
{
	struct queue_counts n;

	queue_counts(cl->c->q, &n);
	json_object(w, "queue");
	json_number(w, "queued", n.queued);
	json_number(w, "active", n.active);
	json_number(w, "deferred", n.deferred);
	json_number(w, "held", n.held);
	json_when(w, "oldest", n.oldest);
	json_close_object(w);
}

/* ---- all of it ---- */

enum step
control_status(struct caller *cl)
{
	const struct msg_status *s = queue_roles(cl->c->q);
	struct json_writer w = caller_item(cl);

	json_text(&w, "version", VERSION);
	json_when(&w, "started", s != NULL ? s->started : 0);
	write_roles(&w, s, cl->began);
	write_listeners(cl, &w);
	write_counts(cl, &w);
	json_array(&w, "transports");
	control_write_transports(cl, &w);
	json_close_array(&w);
	json_array(&w, "accounts");
	control_write_accounts(cl, &w);
	json_close_array(&w);
	caller_item_end(cl, &w);
	return caller_end(cl, CTL_OK, "%s", "");
}
