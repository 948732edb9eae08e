/* Secrets that come from commands (auth).  Asked for when they are needed,
 * once for all who wait; kept until they are old or refused.  What cannot be
 * had leaves its account waiting, and nothing else. */
#include "auth/secret_source.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/htab.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "ipc/msg.h"

#define ASK_MS 40000		/* monitor gives a command 30 s */
#define FAILED_MS 10000		/* until it is tried again */

struct secret {
	struct port *monitor;		/* asked there */
	uint8_t of;			/* enum secret_of */
	char *name;
	char *value;			/* NULL: none */
	uint64_t at;			/* monotonic ms, of value */
	char *why;			/* it failed */
	uint64_t failed_at;
	uint64_t ref;			/* 0: not being asked for */
	TAILQ_HEAD(secret_waits, secret_wait) waits;
};

struct secret_source {
	struct htab *secrets;		/* by key_of() */
	struct strbuf key;
};

struct secret_source *
secret_source_new(void)
{
	struct secret_source *s = mem_zalloc(sizeof(*s));

	s->secrets = htab_new();
	return s;
}

static void
set_value(struct secret *k, struct slice value)
{
	mem_wipe_text(&k->value);
	k->value = value.p != NULL ? slice_dup(value) : NULL;
	k->at = clock_mono_ms();
}

static void
secret_free(struct secret *k)
{
	struct secret_wait *w;

	if (k->ref != 0)
		port_forget(k->monitor, k->ref);
	while ((w = TAILQ_FIRST(&k->waits)) != NULL)
		secret_cancel(w);
	set_value(k, slice_of(NULL, 0));
	free(k->name);
	free(k->why);
	free(k);
}

void
secret_source_free(struct secret_source **sp)
{
	struct secret_source *s = *sp;
	struct secret *k;
	size_t pos = 0;

	if (s == NULL)
		return;
	*sp = NULL;
	while ((k = htab_next(s->secrets, &pos, NULL)) != NULL)
		secret_free(k);
	htab_free(&s->secrets);
	strbuf_free(&s->key);
	free(s);
}

static void
key_of(struct strbuf *out, uint8_t of, const char *name)
{
	strbuf_printf(out, "%u %s", of, name);
}

static struct secret *
find(const struct secret_source *s, uint8_t of, const char *name)
{
	struct strbuf key = STRBUF_INIT;
	struct secret *k;

	key_of(&key, of, name);
	k = htab_get(s->secrets, strbuf_slice(&key));
	strbuf_free(&key);
	return k;
}

static struct secret *
find_or_make(struct secret_source *s, uint8_t of, const char *name)
{
	struct secret *k = find(s, of, name);

	if (k != NULL)
		return k;
	k = mem_zalloc(sizeof(*k));
	k->of = of;
	k->name = mem_strdup(name);
	TAILQ_INIT(&k->waits);
	strbuf_clear(&s->key);
	key_of(&s->key, of, name);
	htab_put(s->secrets, strbuf_slice(&s->key), k);
	return k;
}

/* ---- asking ---- */

static void
failed(struct secret *k, struct slice why)
{
	free(k->why);
	k->why = mem_printf("%s command: %.*s", k->of == SECRET_OF_TOKEN ?
	    "oauth2" : k->of == SECRET_OF_CLIENT ? "client-secret" :
	    "password", (int)why.n, why.p);
	k->failed_at = clock_mono_ms();
	log_begin(LL_WARN, "secret");
	log_str(k->of == SECRET_OF_LOGIN ? "login" : "transport", k->name);
	log_str("text", k->why);
	log_end();
}

static void
on_answer(void *arg, struct port_message *m)
{
	struct secret *k = arg;
	struct msg_secret_done d;
	struct secret_wait *w;

	k->ref = 0;
	if (m == NULL || m->type != MSG_SECRET_DONE || m->fd >= 0 ||
	    msg_secret_done_decode(m->data, &d) < 0) {
		failed(k, SLICE_LIT("no answer"));
	} else if (d.ok) {
		set_value(k, d.text);
		free(k->why);
		k->why = NULL;
	} else {
		failed(k, d.text);
	}
	while ((w = TAILQ_FIRST(&k->waits)) != NULL) {
		secret_cancel(w);
		w->cb(w->arg, k->value, k->value == NULL ? k->why : NULL);
	}
}

static void
ask(struct secret *k, struct port *monitor)
{
	struct msg_secret m = { k->of, k->name };
	struct strbuf b = STRBUF_INIT;

	k->monitor = monitor;
	k->ref = port_request(monitor, ASK_MS, on_answer, k);
	msg_secret_encode(&b, &m);
	port_send(monitor, MSG_SECRET, k->ref, strbuf_slice(&b));
	strbuf_free(&b);
}

static bool
is_fresh(const struct secret *k, uint64_t max_age_ms)
{
	return k->value != NULL && (max_age_ms == 0 ||
	    clock_mono_ms() - k->at < max_age_ms);
}

static bool
has_failed(const struct secret *k)
{
	return k->ref == 0 && k->why != NULL &&
	    clock_mono_ms() - k->failed_at < FAILED_MS;
}

bool
secret_want(struct secret_source *s, struct port *monitor, uint8_t of,
    const char *name, uint64_t max_age_ms)
{
	struct secret *k = find_or_make(s, of, name);

	if (monitor != NULL && k->ref == 0 && !is_fresh(k, max_age_ms) &&
	    !has_failed(k))
		ask(k, monitor);
	return k->ref != 0;
}

void
secret_get(struct secret_source *s, struct port *monitor, uint8_t of,
    const char *name, uint64_t max_age_ms, struct secret_wait *w,
    secret_cb *cb, void *arg)
{
	struct secret *k = find_or_make(s, of, name);

	if (is_fresh(k, max_age_ms)) {
		cb(arg, k->value, NULL);
		return;
	}
	if (monitor == NULL || has_failed(k)) {
		cb(arg, k->value, k->why != NULL ? k->why : "no monitor");
		return;
	}
	w->on = k;
	w->cb = cb;
	w->arg = arg;
	TAILQ_INSERT_TAIL(&k->waits, w, link);
	if (k->ref == 0)
		ask(k, monitor);
}

void
secret_cancel(struct secret_wait *w)
{
	if (w->on == NULL)
		return;
	TAILQ_REMOVE(&w->on->waits, w, link);
	w->on = NULL;
}

const char *
secret_held(const struct secret_source *s, uint8_t of, const char *name)
{
	const struct secret *k = find(s, of, name);

	return k != NULL ? k->value : NULL;
}

void
secret_forget(struct secret_source *s, uint8_t of, const char *name)
{
	struct secret *k = find(s, of, name);

	if (k != NULL)
		set_value(k, slice_of(NULL, 0));
}
