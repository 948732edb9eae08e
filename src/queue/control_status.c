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

/* ---- transports ---- */

struct lanes {
	struct caller *cl;
	struct json_writer *w;
	const char *only;		/* a name, NULL: all */
	bool items;			/* a line for each */
};

static void
write_lane(struct json_writer *w, const struct queue_lane_info *info)
{
	bool bad = info->unreachable || info->parked || !info->configured;

	json_text(w, "name", info->transport);
	json_text(w, "state", info->parked ? "parked" : info->unreachable ?
	    "unreachable" : info->configured ? "ok" : "gone");
	json_text(w, "why", !bad ? NULL : !info->configured ?
	    "it is not in the configuration any more" : info->last_error);
	json_null(w, "next_probe");
	json_number(w, "window", info->window);
	json_number(w, "active", info->active);
	json_number(w, "waiting", info->waiting);
	json_when(w, "next_attempt", info->waiting > 0 ? info->next_due : 0);
	json_text(w, "last_error", info->last_error);
	json_when(w, "last_error_at", info->last_error_at);
}

/* A lane that is no transport of the configuration is told of while something
 * waits in it. */
static void
each_lane(void *arg, const struct queue_lane_info *info)
{
	struct lanes *l = arg;
	struct json_writer w;
	bool built_in = strcmp(info->transport, "direct") == 0;

	if (info->transport[0] == 0)
		return;
	if (l->only != NULL && strcmp(l->only, info->transport) != 0)
		return;
	if (l->only == NULL && (built_in || !info->configured) &&
	    info->waiting == 0 && info->active == 0 &&
	    info->last_error == NULL)
		return;
	if (l->items) {
		w = caller_item(l->cl);
		write_lane(&w, info);
		caller_item_end(l->cl, &w);
	} else {
		json_object(l->w, l->only != NULL ? "transport" : NULL);
		write_lane(l->w, info);
		json_close_object(l->w);
	}
}

void
control_lane_json(struct caller *cl, struct json_writer *w,
    const char *transport)
{
	struct lanes l = { .cl = cl, .w = w, .only = transport };

	if (transport != NULL)
		queue_each_lane(cl->c->q, each_lane, &l);
}

enum step
control_transport_list(struct caller *cl)
{
	struct lanes l = { .cl = cl, .items = true };

	queue_each_lane(cl->c->q, each_lane, &l);
	return caller_end(cl, CTL_OK, "%s", "");
}

/* ---- accounts ---- */

static void
write_account(struct json_writer *w, const char *name)
{
	json_text(w, "name", name);
	json_text(w, "state", "ok");
	json_null(w, "why");
	json_null(w, "waiting");
}

enum step
control_account_list(struct caller *cl)
{
	const struct conf *conf = queue_conf(cl->c->q);
	struct json_writer w;
	size_t i;

	for (i = 0; i < conf->n_accounts; i++) {
		w = caller_item(cl);
		write_account(&w, conf->accounts[i].name);
		caller_item_end(cl, &w);
	}
	return caller_end(cl, CTL_OK, "%s", "");
}

static void
write_accounts(struct caller *cl, struct json_writer *w)
{
	const struct conf *conf = queue_conf(cl->c->q);
	size_t i;

	json_array(w, "accounts");
	for (i = 0; i < conf->n_accounts; i++) {
		json_object(w, NULL);
		write_account(w, conf->accounts[i].name);
		json_close_object(w);
	}
	json_close_array(w);
}

/* ---- pause and resume ---- */

static enum step
no_switch(struct caller *cl, const char *kind, bool known)
{
	if (cl->req.name == NULL)
		return caller_end(cl, CTL_USAGE, "which %s?", kind);
	if (!known)
		return caller_end(cl, CTL_NONE, "there is no %s `%s`", kind,
		    cl->req.name);
	return caller_end(cl, CTL_UNAVAILABLE, "pausing is not supported yet; "
	    "`queue hold --%s %s` keeps its messages", kind, cl->req.name);
}

enum step
control_transport_switch(struct caller *cl)
{
	const char *name = cl->req.name;

	return no_switch(cl, "transport", name != NULL &&
	    (strcmp(name, "direct") == 0 || conf_transport_find(
	    queue_conf(cl->c->q), name) != SIZE_MAX));
}

enum step
control_account_switch(struct caller *cl)
{
	const char *name = cl->req.name;

	return no_switch(cl, "account", name != NULL && conf_account_find(
	    queue_conf(cl->c->q), name) != SIZE_MAX);
}

/* ---- all of it ---- */

enum step
control_status(struct caller *cl)
{
	const struct msg_status *s = queue_roles(cl->c->q);
	struct json_writer w = caller_item(cl);
	struct lanes l = { .cl = cl, .w = &w };

	json_text(&w, "version", VERSION);
	json_when(&w, "started", s != NULL ? s->started : 0);
	write_roles(&w, s, cl->began);
	write_listeners(cl, &w);
	write_counts(cl, &w);
	json_array(&w, "transports");
	queue_each_lane(cl->c->q, each_lane, &l);
	json_close_array(&w);
	write_accounts(cl, &w);
	caller_item_end(cl, &w);
	return caller_end(cl, CTL_OK, "%s", "");
}
