/*
 * Files whose contents the roles have: certificates, keys, CAs, passwords.
 * When one of them changes, and has then lain still for a moment (a pair of
 * certificate and key is written one after the other), new roles start with
 * what it holds now, as after HUP.  The certificate of `certificate auto` is
 * renewed from here.  Run by monitor.
 *
 * What cannot be used is told once, and the roles go on with what they have;
 * the next change is the next chance.
 */
#include <sys/stat.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "monitor/certificate.h"
#include "monitor/monitor.h"
#include "monitor/view_check.h"

#define LOOK_MS 2000u
#define RENEW_LEAST 3600		/* seconds between two tries */

/* What of a file tells that it is another one, or was written to. */
struct trace {
	bool there;
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec written, changed;
};

struct watched {
	char *path;
	unsigned roles;			/* a mask of enum conf_role */
	struct trace last;
};

struct refresh {
	struct monitor *m;
	struct loop_timer look;
	struct watched *files;
	size_t n;
	unsigned changed;		/* roles that have something old */
	int64_t renew_at;		/* the certificate; seconds */
};

static struct trace
trace_of(const char *path)
{
	struct trace t;
	struct stat st;

	memset(&t, 0, sizeof(t));
	if (stat(path, &st) < 0)
		return t;
	t.there = true;
	t.dev = st.st_dev;
	t.ino = st.st_ino;
	t.size = st.st_size;
	t.written = st.st_mtim;
	t.changed = st.st_ctim;
	return t;
}

static bool
same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool
same_trace(const struct trace *a, const struct trace *b)
{
	return a->there == b->there && a->dev == b->dev && a->ino == b->ino &&
	    a->size == b->size && same_time(a->written, b->written) &&
	    same_time(a->changed, b->changed);
}

static void
add_file(void *arg, const char *path, unsigned roles)
{
	struct refresh *r = arg;
	struct watched *w;
	size_t i;

	for (i = 0; i < r->n; i++) {
		if (strcmp(r->files[i].path, path) == 0) {
			r->files[i].roles |= roles;
			return;
		}
	}
	w = mem_push(&r->files, &r->n, sizeof(*w));
	w->path = mem_strdup(path);
	w->roles = roles;
	w->last = trace_of(path);
}

static void
forget_files(struct refresh *r)
{
	size_t i;

	for (i = 0; i < r->n; i++)
		free(r->files[i].path);
	free(r->files);
	r->files = NULL;
	r->n = 0;
}

/* Roles with something that has changed since the last look. */
static unsigned
look_at_files(struct refresh *r)
{
	unsigned roles = 0;
	struct trace now;
	size_t i;

	for (i = 0; i < r->n; i++) {
		now = trace_of(r->files[i].path);
		if (same_trace(&now, &r->files[i].last))
			continue;
		r->files[i].last = now;
		roles |= r->files[i].roles;
		log_msg(LL_DEBUG, "refresh", "%s has changed",
		    r->files[i].path);
	}
	return roles;
}

static void
note_certificate(struct refresh *r)
{
	struct monitor *m = r->m;
	char *path;

	if (!certificate_wanted(m->conf))
		return;
	path = certificate_path(m->conf);
	add_file(r, path, CONF_LISTENER);
	free(path);
}

/* What we have written ourselves is no change. */
static void
forget_renewal(struct refresh *r)
{
	char *path = certificate_path(r->m->conf);
	size_t i;

	for (i = 0; i < r->n; i++) {
		if (strcmp(r->files[i].path, path) == 0)
			r->files[i].last = trace_of(path);
	}
	free(path);
}

static int
renew(struct refresh *r, struct err *e)
{
	struct monitor *m = r->m;
	int rc = certificate_keep(m->conf, m->tree, &r->renew_at, e);
	int64_t soon = (int64_t)(clock_real_ms() / 1000) + RENEW_LEAST;

	/* Whatever is wrong with the disk or the clock: not all the time. */
	if (rc < 0 || r->renew_at < soon)
		r->renew_at = soon;
	return rc;
}

static void
apply(struct refresh *r)
{
	struct monitor *m = r->m;
	unsigned roles = r->changed;
	struct err e = { 0, "" };

	r->changed = 0;
	if (((roles & CONF_LISTENER) != 0 && renew(r, &e) < 0) ||
	    view_check(m->tree, roles, &e) < 0) {
		log_msg(LL_ERROR, "refresh", "a file has changed and cannot "
		    "be used, what was read before stays in force: %s",
		    e.text);
		return;
	}
	forget_renewal(r);
	supervise_renew(m, roles);
	/* What they include now is watched from here on, too. */
	conf_view_files(m->tree, add_file, r);
	log_msg(LL_INFO, "refresh", "files have changed, new roles read them");
}

static void
on_look(void *arg)
{
	struct refresh *r = arg;
	unsigned roles;

	loop_timer_set(r->m->loop, &r->look, LOOK_MS);
	if (!r->m->ready || r->m->reloading || r->m->stopping)
		return;
	roles = look_at_files(r);
	if ((int64_t)(clock_real_ms() / 1000) >= r->renew_at)
		r->changed |= CONF_LISTENER;
	r->changed |= roles;
	if (roles == 0 && r->changed != 0)
		apply(r);
}

int
refresh_prepare(struct monitor *m, const struct conf *conf,
    struct conf_tree *tree, struct err *e)
{
	return certificate_keep(conf, tree, &m->certificate_renew, e);
}

void
refresh_start(struct monitor *m)
{
	struct refresh *r = m->refresh;

	if (r == NULL) {
		r = m->refresh = mem_zalloc(sizeof(*r));
		r->m = m;
		loop_timer_init(&r->look, on_look, r);
		loop_timer_set(m->loop, &r->look, LOOK_MS);
	}
	forget_files(r);
	r->changed = 0;
	r->renew_at = m->certificate_renew;
	conf_view_files(m->tree, add_file, r);
	note_certificate(r);
}

void
refresh_stop(struct monitor *m)
{
	struct refresh *r = m->refresh;

	if (r == NULL)
		return;
	m->refresh = NULL;
	loop_timer_cancel(m->loop, &r->look);
	forget_files(r);
	free(r);
}
