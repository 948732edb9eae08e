/*
 * One fetch of an access token (auth): reads what is stored under a lock,
 * asks the provider where that is old, saves what came, and only then hands
 * it on, so that a rotated refresh token is on disk before anybody uses what
 * came with it.  Files are monitor's to open.
 *
 * What fails ends the fetch with a class and a text; the lock is given back,
 * and nothing stored has changed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "auth/oauth_fetch.h"
#include "auth/oauth_form.h"
#include "auth/oauth_login_private.h"
#include "base/clock.h"
#include "base/crc.h"
#include "base/fault.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "ipc/msg.h"

#define MONITOR_MS 60000u
#define BUSY_MS 200u			/* until the lock is tried again */
#define BUSY_MAX 250u			/* times */
#define COMMAND_MS 60000u		/* a bare token is given out so long */
#define AHEAD_MS 90000u

/* ---- the end ---- */

static void
fetch_free(struct oauth_fetch *f)
{
	struct port *monitor = f->a->o->env.base->monitor;

	f->a->fetch = NULL;
	if (f->ref != 0 && monitor != NULL)
		port_forget(monitor, f->ref);
	/* Also one that is on its way to us. */
	if (f->locked || f->ref != 0)
		fetch_send(f, MSG_TOKEN_RELEASE, slice_of("", 0));
	http_cancel(&f->call);
	secret_cancel(&f->secret);
	oauth_cms_stop(&f->cms);
	oauth_discover_stop(&f->discover);
	loop_timer_cancel(f->a->o->env.loop, &f->again);
	token_file_clear(&f->file);
	oauth_target_clear(&f->target);
	oauth_answer_clear(&f->answer);
	strbuf_wipe(&f->text);
	strbuf_free(&f->ca);
	free(f);
}

void
oauth_fetch_stop(struct oauth_account *a)
{
	if (a->fetch != NULL)
		fetch_free(a->fetch);
}

bool
oauth_fetch_holds(const struct oauth_account *a)
{
	return a->fetch != NULL && a->fetch->locked;
}

enum oauth_how
oauth_fetch_how(const struct oauth_account *a)
{
	return a->fetch->how;
}

void
fetch_failed(struct oauth_fetch *f, enum oauth_class class, uint64_t wait_ms,
    const char *fmt, ...)
{
	struct oauth_account *a = f->a;
	char text[800];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fetch_free(f);
	oauth_failed(a, class, wait_ms, text);
}

static void
fetch_got(struct oauth_fetch *f, struct oauth_result *r)
{
	struct oauth_account *a = f->a;

	if (f->file.user != NULL)
		oauth_set_text(&a->user, f->file.user);
	if (f->file.scope != NULL)
		oauth_set_text(&a->scope, f->file.scope);
	if (f->answer.scope != NULL)
		oauth_set_text(&a->scope, f->answer.scope);
	fetch_free(f);
	oauth_got(a, r);
}

/* ---- monitor ---- */

bool
fetch_send(struct oauth_fetch *f, uint16_t type, struct slice text)
{
	struct port *monitor = f->a->o->env.base->monitor;
	struct msg_token m = { .name = f->a->t->name,
	    .lock = f->how != FETCH_LOOK, .holder = HOLDER_FETCH,
	    .text = text };
	struct strbuf b = STRBUF_INIT;

	if (type == MSG_TOKEN_RELEASE)
		f->locked = false;
	if (monitor == NULL)
		return false;
	msg_token_encode(&b, &m);
	port_send(monitor, type, f->ref, strbuf_slice(&b));
	strbuf_wipe(&b);
	return true;
}

static void
ask_monitor(struct oauth_fetch *f, uint16_t type, struct slice text,
    port_reply *cb)
{
	struct port *monitor = f->a->o->env.base->monitor;

	if (monitor == NULL) {
		fetch_failed(f, OAUTH_TEMPORARY, 0, "monitor is gone");
		return;
	}
	f->ref = port_request(monitor, MONITOR_MS, cb, f);
	fetch_send(f, type, text);
}

/* The answer; *fd is the callee's.  false: there is none, and the fetch is
 * gone. */
static bool
answer_of(struct oauth_fetch *f, struct port_message *m,
    struct msg_token_done *d, int *fd)
{
	f->ref = 0;
	*fd = m != NULL ? m->fd : -1;
	if (m != NULL && m->type == MSG_TOKEN_DONE &&
	    msg_token_done_decode(m->data, d) == 0)
		return true;
	if (*fd >= 0)
		close(*fd);
	fetch_failed(f, OAUTH_TEMPORARY, 0, "monitor does not answer");
	return false;
}

/* ---- files ---- */

static void on_saved(void *arg, struct port_message *m);

/* Whatever happens to it, a rotated refresh token is not forgotten before it
 * is on disk. */
static void
save(struct oauth_fetch *f)
{
	struct oauth_account *a = f->a;

	if (a->unsaved.n == 0 && f->answer.refresh_token != NULL) {
		oauth_set_text(&a->unsaved_over, f->file.refresh_token);
		strbuf_add_slice(&a->unsaved, strbuf_slice(&f->text));
	}
	ask_monitor(f, MSG_TOKEN_WRITE, strbuf_slice(&f->text), on_saved);
}

void
fetch_hand_on(struct oauth_fetch *f)
{
	struct oauth_result r = { .fresh = true };

	r.token = f->answer.access_token;
	f->answer.access_token = NULL;
	r.expires = clock_real_ms() + f->answer.expires_in * 1000;
	fetch_got(f, &r);
}

/* It is in memory alone; nobody may use what came with it until it is not. */
static void
keep_unsaved(struct oauth_fetch *f, struct slice why)
{
	f->locked = false;
	fetch_failed(f, OAUTH_TEMPORARY, 5000, "the new refresh token cannot "
	    "be saved, which is tried on: %.*s", (int)why.n, why.p);
}

static void
on_saved(void *arg, struct port_message *m)
{
	struct oauth_fetch *f = arg;
	struct msg_token_done d;
	int fd;

	if (!answer_of(f, m, &d, &fd))
		return;
	if (fd >= 0)
		close(fd);
	f->locked = false;
	if (d.state == TOKEN_OK) {
		(void)FAULT("auth.token_saved");
		strbuf_wipe(&f->a->unsaved);
		mem_wipe_text(&f->a->unsaved_over);
		if (f->answer.access_token == NULL)
			oauth_fetch_restart(f);
		else
			fetch_hand_on(f);
	} else if (f->a->unsaved.n > 0) {
		keep_unsaved(f, d.text);
	} else {
		/* Nothing is lost: the refresh token is the old one. */
		log_msg(LL_WARN, "token", "%s: %.*s", f->a->t->name,
		    (int)d.text.n, d.text.p);
		fetch_hand_on(f);
	}
}

/* f->text becomes what the file shall hold. */
void
fetch_save_answer(struct oauth_fetch *f)
{
	struct token_change c = {
		.access_token = f->answer.access_token,
		.expiry = clock_real_ms() / 1000 + f->answer.expires_in,
	};
	struct strbuf text = STRBUF_INIT;

	/* Some send the old one back. */
	if (f->answer.refresh_token != NULL && f->file.refresh_token != NULL &&
	    strcmp(f->answer.refresh_token, f->file.refresh_token) == 0)
		mem_wipe_text(&f->answer.refresh_token);
	c.refresh_token = f->answer.refresh_token;
	(void)FAULT("auth.token_got");
	token_file_update(strbuf_slice(&f->text), &c, &text);
	strbuf_wipe(&f->text);
	f->text = text;
	save(f);
}

/* What is stored lives long enough and was not refused. */
static bool
stored_will_do(const struct oauth_fetch *f)
{
	const struct oauth_account *a = f->a;
	uint64_t window = oauth_window(a), now = clock_real_ms();
	const struct token_file *t = &f->file;

	if (t->access_token == NULL || t->access_token[0] == '\0')
		return false;
	if (a->token != NULL && strcmp(a->token, t->access_token) == 0 &&
	    (f->how == FETCH_NEW || a->refused == a->generation))
		return false;
	if (f->how == FETCH_NEW && a->token == NULL)
		return false;
	if (f->how == FETCH_AHEAD)
		window += AHEAD_MS;
	return now + window < t->expiry * 1000;
}

static void
take_stored(struct oauth_fetch *f)
{
	struct oauth_result r = {
		.token = f->file.access_token,
		.expires = f->file.expiry * 1000
	};

	f->file.access_token = NULL;
	fetch_got(f, &r);
}

static uint32_t
mark_of(const struct oauth_fetch *f)
{
	return crc32c(0, f->text.p, f->text.n);
}

static void
look_is_over(struct oauth_fetch *f)
{
	struct oauth_account *a = f->a;
	uint64_t expires = f->file.expiry * 1000;
	bool changed = oauth_is_stuck(a) && f->text.n > 0 &&
	    mark_of(f) != a->file_mark;

	if (f->file.scope != NULL)
		oauth_set_text(&a->scope, f->file.scope);
	if (f->file.user != NULL)
		oauth_set_text(&a->user, f->file.user);
	fetch_free(f);
	oauth_looked(a, expires, changed);
}

/* Two of us at once, or we died in between: what was to be saved counts only
 * while the file is still the one before. */
static bool
saves_first(struct oauth_fetch *f)
{
	struct oauth_account *a = f->a;

	if (a->unsaved.n == 0 || f->how == FETCH_LOOK)
		return false;
	if (a->unsaved_over == NULL || strcmp(a->unsaved_over,
	    f->file.refresh_token) == 0)
		return true;
	strbuf_wipe(&a->unsaved);
	mem_wipe_text(&a->unsaved_over);
	return false;
}

/* Into the file as it is now: somebody may have changed the rest of it. */
static void
save_unsaved(struct oauth_fetch *f)
{
	struct strbuf text = STRBUF_INIT;
	struct token_file u;
	struct token_change c;
	struct err e;

	if (token_file_parse(strbuf_slice(&f->a->unsaved), &u, &e) == 0) {
		c = (struct token_change){ .access_token = u.access_token,
		    .expiry = u.expiry, .refresh_token = u.refresh_token };
		token_file_update(strbuf_slice(&f->text), &c, &text);
	}
	token_file_clear(&u);
	strbuf_wipe(&f->text);
	f->text = text;
	save(f);
}

static void
on_text(struct oauth_fetch *f, int fd)
{
	struct oauth_account *a = f->a;
	struct err e = { 0, "" };

	/* It is of no use, unless it is another one by now. */
	if (f->how == FETCH_LOOK && oauth_is_stuck(a)) {
		if (fd >= 0)
			close(fd);
		look_is_over(f);
		return;
	}
	a->file_mark = mark_of(f);
	if (token_file_parse(strbuf_slice(&f->text), &f->file, &e) < 0) {
		if (fd >= 0)
			close(fd);
		fetch_failed(f, OAUTH_CONFIGURATION, 0, "%s: %s",
		    a->c->path != NULL ? a->c->path : "SPOOL/tokens",
		    e.text);
		return;
	}
	if (oauth_read_ca(strbuf_slice(&f->text), fd, &f->ca) < 0) {
		fetch_failed(f, OAUTH_CONFIGURATION, 0, "%s: its "
		    "ca_bundle_file cannot be read by all, or is no file",
		    a->c->path);
		return;
	}
	oauth_set_text(&a->endpoint, f->file.token_endpoint);
	a->file_window = f->file.refresh_window * 1000;
	if (saves_first(f)) {
		save_unsaved(f);
	} else if (stored_will_do(f)) {
		take_stored(f);
	} else if (f->how == FETCH_LOOK) {
		look_is_over(f);
	} else {
		if (f->file.access_token != NULL &&
		    f->file.access_token[0] != '\0')
			oauth_adopt(a, f->file.access_token,
			    f->file.expiry * 1000);
		oauth_target_make(a, &f->file, &f->target);
		fetch_refresh(f);
	}
}

static void
on_again(void *arg)
{
	oauth_fetch_restart(arg);
}

static void
no_file(struct oauth_fetch *f, const struct msg_token_done *d)
{
	struct oauth_account *a = f->a;

	if (f->how == FETCH_LOOK && (d->state == TOKEN_BUSY ||
	    oauth_is_stuck(a))) {
		look_is_over(f);
	} else if (d->state == TOKEN_BUSY && f->busy++ < BUSY_MAX) {
		loop_timer_set(a->o->env.loop, &f->again, BUSY_MS);
	} else if (d->state == TOKEN_NONE && a->c->source == OAUTH2_FLOW) {
		fetch_failed(f, OAUTH_LOGIN, 0, "invalid_grant: nobody has "
		    "logged in yet: relayctl oauth login %s", a->t->name);
	} else {
		fetch_failed(f, d->state == TOKEN_BUSY ? OAUTH_TEMPORARY :
		    OAUTH_CONFIGURATION, 0, "%.*s", (int)d->text.n,
		    d->text.p);
	}
}

static void
on_file(void *arg, struct port_message *m)
{
	struct oauth_fetch *f = arg;
	struct msg_token_done d;
	int fd;

	if (!answer_of(f, m, &d, &fd))
		return;
	if (d.state != TOKEN_OK) {
		if (fd >= 0)
			close(fd);
		no_file(f, &d);
		return;
	}
	f->locked = f->how != FETCH_LOOK;
	strbuf_add_slice(&f->text, d.text);
	on_text(f, fd);
}

/* ---- commands and brokers ---- */

static void
bare_token(struct oauth_fetch *f, char *token, uint64_t keep_ms)
{
	struct oauth_result r = { .token = token, .keep_ms = keep_ms };

	fetch_got(f, &r);
}

static void
on_command(void *arg, const char *value, const char *why)
{
	struct oauth_fetch *f = arg;

	if (value == NULL)
		fetch_failed(f, OAUTH_TEMPORARY, 0, "%s", why);
	else if (value[strspn(value, "!\"#$%&'()*+,-./0123456789:;<=>?@"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}"
	    "~")] != '\0')
		fetch_failed(f, OAUTH_CONFIGURATION, 0, "oauth2 command: what "
		    "it wrote is no access token");
	else
		bare_token(f, mem_strdup(value), COMMAND_MS);
}

static void
on_cms(void *arg, char *token, const char *why)
{
	struct oauth_fetch *f = arg;

	f->cms = NULL;
	if (token == NULL)
		fetch_failed(f, OAUTH_TEMPORARY, 0, "cms-socket %s: %s",
		    f->a->c->path, why);
	else
		bare_token(f, token, 0);
}

static void
on_cms_socket(void *arg, struct port_message *m)
{
	struct oauth_fetch *f = arg;
	struct msg_token_done d;
	int fd;

	if (!answer_of(f, m, &d, &fd))
		return;
	if (d.state == TOKEN_OK && fd >= 0) {
		f->cms = oauth_cms_start(f->a->o->env.loop, fd,
		    oauth_user(f->a), on_cms, f);
		return;
	}
	if (fd >= 0)
		close(fd);
	fetch_failed(f, OAUTH_TEMPORARY, 0, "%.*s", (int)d.text.n, d.text.p);
}

/* ---- the beginning ---- */

static void
begin(struct oauth_fetch *f)
{
	struct oauth_account *a = f->a;
	bool file = a->c->source == OAUTH2_TOKEN_FILE ||
	    (a->c->source == OAUTH2_FLOW && a->c->flow != FLOW_CLIENT &&
	    a->c->flow != FLOW_SERVICE);

	if (file) {
		ask_monitor(f, MSG_TOKEN_READ, slice_of("", 0), on_file);
	} else if (f->how == FETCH_LOOK) {
		look_is_over(f);
	} else if (a->c->source == OAUTH2_CMS) {
		ask_monitor(f, MSG_TOKEN_CONNECT, slice_of("", 0),
		    on_cms_socket);
	} else if (a->c->source == OAUTH2_COMMAND) {
		if (f->how == FETCH_NEW)
			secret_forget(a->o->env.secrets, SECRET_OF_TOKEN,
			    a->t->name);
		secret_get(a->o->env.secrets, a->o->env.base->monitor,
		    SECRET_OF_TOKEN, a->t->name, COMMAND_MS, &f->secret,
		    on_command, f);
	} else {
		oauth_target_make(a, NULL, &f->target);
		fetch_refresh(f);
	}
}

void
oauth_fetch_restart(struct oauth_fetch *f)
{
	strbuf_wipe(&f->text);
	strbuf_free(&f->ca);
	token_file_clear(&f->file);
	oauth_target_clear(&f->target);
	begin(f);
}

void
oauth_fetch_start(struct oauth_account *a, enum oauth_how how)
{
	struct oauth_fetch *f = mem_zalloc(sizeof(*f));

	f->a = a;
	f->how = how;
	loop_timer_init(&f->again, on_again, f);
	a->fetch = f;
	begin(f);
}
