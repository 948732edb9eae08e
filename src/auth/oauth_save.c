/*
 * What a login obtained goes to disk (auth): read under a lock, so that no
 * refresh is under way elsewhere, changed, replaced, then told.  The files
 * are monitor's to open.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "auth/oauth_form.h"
#include "auth/oauth_login_private.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/json_reader.h"
#include "base/mem.h"
#include "ipc/msg.h"

#define MONITOR_MS 60000u
#define BUSY_MS 200u
#define BUSY_MAX 300u
#define CA_MAX (4u << 20)

int
oauth_read_ca(struct slice text, int fd, struct strbuf *ca)
{
	char *path = json_text_of(text, "ca_bundle_file");
	bool wanted = path != NULL && path[0] != '\0';
	ssize_t n = -1;

	free(path);
	while (fd >= 0 && ca->n < CA_MAX &&
	    (n = read(fd, strbuf_room(ca, 65536), 65536)) > 0)
		ca->n += (size_t)n;
	if (fd >= 0)
		close(fd);
	return wanted && (n != 0 || ca->n == 0) ? -1 : 0;
}

static void
send_monitor(struct oauth_login *l, uint16_t type, struct slice text)
{
	struct port *monitor = l->a->o->env.base->monitor;
	struct msg_token m = { .name = l->a->t->name,
	    .holder = HOLDER_LOGIN, .text = text };
	struct strbuf b = STRBUF_INIT;

	if (monitor == NULL)
		return;
	/* For a look alone nobody is kept waiting. */
	m.lock = l->answer.access_token != NULL;
	msg_token_encode(&b, &m);
	port_send(monitor, type, l->ref, strbuf_slice(&b));
	strbuf_wipe(&b);
}

static void
ask(struct oauth_login *l, uint16_t type, struct slice text, port_reply *cb)
{
	struct port *monitor = l->a->o->env.base->monitor;

	if (monitor == NULL) {
		login_end(l, false, "monitor is gone");
		return;
	}
	l->ref = port_request(monitor, MONITOR_MS, cb, l);
	send_monitor(l, type, text);
}

void
login_save_stop(struct oauth_login *l)
{
	struct port *monitor = l->a->o->env.base->monitor;

	loop_timer_cancel(l->a->o->env.loop, &l->again);
	if (l->ref != 0 && monitor != NULL)
		port_forget(monitor, l->ref);
	if (l->locked || l->ref != 0)
		send_monitor(l, MSG_TOKEN_RELEASE, slice_of("", 0));
	l->ref = 0;
	l->locked = false;
}

static bool
answer_of(struct oauth_login *l, struct port_message *m,
    struct msg_token_done *d, int *fd)
{
	l->ref = 0;
	*fd = m != NULL ? m->fd : -1;
	if (m != NULL && m->type == MSG_TOKEN_DONE &&
	    msg_token_done_decode(m->data, d) == 0)
		return true;
	if (*fd >= 0)
		close(*fd);
	login_end(l, false, "monitor does not answer");
	return false;
}

/* ---- the end ---- */

static void
tell(struct oauth_login *l)
{
	struct oauth_account *a = l->a;
	struct oauth_result r = { .fresh = true };
	struct strbuf text = STRBUF_INIT;
	char when[CLOCK_RFC3339_LEN + 1];
	bool stuck;

	r.token = l->answer.access_token;
	l->answer.access_token = NULL;
	r.expires = clock_real_ms() + l->answer.expires_in * 1000;
	if (l->answer.scope != NULL)
		oauth_set_text(&a->scope, l->answer.scope);
	strbuf_printf(&text, "%s is logged in as %s", a->t->name,
	    oauth_user(a));
	if (a->scope != NULL)
		strbuf_printf(&text, "; granted: %s", a->scope);
	strbuf_printf(&text, "; the token is good until %s and is refreshed "
	    "by itself", clock_rfc3339(r.expires, when));
	strbuf_wipe(&a->unsaved);
	mem_wipe_text(&a->unsaved_over);
	oauth_fetch_stop(a);
	stuck = oauth_is_stuck(a);
	oauth_got(a, &r);
	if (!stuck)		/* else it was told */
		oauth_tell_queue(a);
	login_end(l, true, "%s", strbuf_cstr(&text));
	strbuf_free(&text);
}

static void
on_saved(void *arg, struct port_message *m)
{
	struct oauth_login *l = arg;
	struct msg_token_done d;
	int fd;

	if (!answer_of(l, m, &d, &fd))
		return;
	if (fd >= 0)
		close(fd);
	l->locked = false;
	(void)FAULT("auth.login_saved");
	if (d.state == TOKEN_OK)
		tell(l);
	else
		login_end(l, false, "what was obtained cannot be saved: "
		    "%.*s", (int)d.text.n, d.text.p);
}

static void
on_file(void *arg, struct port_message *m)
{
	struct oauth_login *l = arg;
	struct msg_token_done d;
	struct token_change c = {
		.access_token = l->answer.access_token,
		.expiry = clock_real_ms() / 1000 + l->answer.expires_in,
		.refresh_token = l->answer.refresh_token,
		.scope = l->answer.scope
	};
	struct strbuf text = STRBUF_INIT;
	struct err e;
	int fd;

	if (!answer_of(l, m, &d, &fd))
		return;
	if (fd >= 0)
		close(fd);
	if (d.state == TOKEN_BUSY && l->busy++ < BUSY_MAX) {
		loop_timer_set(l->a->o->env.loop, &l->again, BUSY_MS);
		return;
	}
	if (d.state != TOKEN_OK && d.state != TOKEN_NONE) {
		login_end(l, false, "%.*s", (int)d.text.n, d.text.p);
		return;
	}
	l->locked = d.state == TOKEN_OK;
	/* One of ours that is damaged is made anew. */
	if (d.state == TOKEN_NONE || json_object_check(d.text, &e) < 0)
		d.text = slice_of("", 0);
	token_file_update(d.text, &c, &text);
	ask(l, MSG_TOKEN_WRITE, strbuf_slice(&text), on_saved);
	strbuf_wipe(&text);
}

static void
save_again(void *arg)
{
	ask(arg, MSG_TOKEN_READ, slice_of("", 0), on_file);
}

void
login_save(struct oauth_login *l)
{
	if (l->answer.refresh_token == NULL) {
		login_end(l, false, "the provider gave no refresh token, so "
		    "the login would end within the hour: the scope must "
		    "contain offline_access, or the application must be "
		    "allowed to ask for it");
		return;
	}
	loop_timer_init(&l->again, save_again, l);
	ask(l, MSG_TOKEN_READ, slice_of("", 0), on_file);
}

/* ---- the beginning, for token files ---- */

static void
on_look(void *arg, struct port_message *m)
{
	struct oauth_login *l = arg;
	struct msg_token_done d;
	struct token_file f;
	struct err e = { 0, "" };
	int fd;

	if (!answer_of(l, m, &d, &fd))
		return;
	if (d.state != TOKEN_OK ||
	    token_file_parse(d.text, &f, &e) < 0) {
		if (fd >= 0)
			close(fd);
		login_end(l, false, "%s: %.*s", l->a->c->path,
		    d.state != TOKEN_OK ? (int)d.text.n : (int)strlen(e.text),
		    d.state != TOKEN_OK ? d.text.p : e.text);
		return;
	}
	oauth_target_make(l->a, &f, &l->target);
	if (f.user != NULL)
		oauth_set_text(&l->a->user, f.user);
	token_file_clear(&f);
	if (oauth_read_ca(d.text, fd, &l->ca) < 0)
		login_end(l, false, "%s: its ca_bundle_file cannot be read by "
		    "all, or is no file", l->a->c->path);
	else
		login_begin(l);
}

void
login_read_file(struct oauth_login *l)
{
	ask(l, MSG_TOKEN_READ, slice_of("", 0), on_look);
}
