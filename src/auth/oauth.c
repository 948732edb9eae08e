/*
 * Access tokens of the transports that have `oauth2` (auth; RFC 6749, 6750).
 *
 * A token is given out while it lives for some minutes more; then, or when a
 * server has refused it, one fetch brings a new one for everybody who waits.
 * Those in use are refreshed ahead of need, idle ones once a week, so that
 * no provider forgets the login.  A failure that only a human can end is kept
 * and told; it is tried again when somebody asks for a token again, which
 * queue lets happen seldom.
 */
#include "auth/oauth.h"

#include <stdlib.h>
#include <string.h>

#include "auth/oauth_form.h"
#include "auth/oauth_private.h"
#include "auth/secret_source.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "ipc/msg.h"

#define SWEEP_MS 5000
#define WINDOW_MS 300000u
#define WINDOW_HVE_MS 600000u		/* refuses what ends soon */
#define LAST_MS 10000u			/* a login takes so long */
#define AHEAD_MS 90000u			/* before the window, with jitter */
#define IDLE_MS (UINT64_C(7) * 86400 * 1000)
#define LOOK_MS 10000u
#define FAILED_MS 1000u			/* all who come at once get it */
#define TEMPORARY_MAX_MS 300000u

/* ---- accounts ---- */

struct oauth *
oauth_new(const struct oauth_env *env)
{
	struct oauth *o = mem_zalloc(sizeof(*o));
	struct oauth_account *a;
	size_t i;

	o->env = *env;
	TAILQ_INIT(&o->accounts);
	for (i = 0; i < env->conf->n_transports; i++) {
		if (env->conf->transports[i].oauth2 == NULL)
			continue;
		a = mem_zalloc(sizeof(*a));
		a->o = o;
		a->t = &env->conf->transports[i];
		a->c = a->t->oauth2;
		a->jitter = (unsigned)rand_below(AHEAD_MS);
		TAILQ_INIT(&a->waits);
		TAILQ_INSERT_TAIL(&o->accounts, a, link);
	}
	return o;
}

static void
account_free(struct oauth_account *a)
{
	struct oauth_wait *w;

	oauth_fetch_stop(a);
	while ((w = TAILQ_FIRST(&a->waits)) != NULL)
		oauth_cancel(w);
	mem_wipe_text(&a->token);
	mem_wipe_text(&a->unsaved_over);
	strbuf_wipe(&a->unsaved);
	free(a->user);
	free(a->scope);
	free(a->endpoint);
	free(a->why);
	free(a->found.token);
	free(a->found.authorize);
	free(a->found.device);
	free(a->found.revoke);
	free(a);
}

void
oauth_free(struct oauth **op)
{
	struct oauth *o = *op;
	struct oauth_account *a;

	if (o == NULL)
		return;
	*op = NULL;
	loop_timer_cancel(o->env.loop, &o->sweep);
	while ((a = TAILQ_FIRST(&o->accounts)) != NULL) {
		TAILQ_REMOVE(&o->accounts, a, link);
		account_free(a);
	}
	free(o);
}

bool
oauth_is_saving(const struct oauth *o)
{
	const struct oauth_account *a;

	TAILQ_FOREACH(a, &o->accounts, link)
		if (oauth_fetch_holds(a) || oauth_login_holds(a))
			return true;
	return false;
}

struct oauth_account *
oauth_find(struct oauth *o, const char *name)
{
	struct oauth_account *a;

	TAILQ_FOREACH(a, &o->accounts, link)
		if (strcmp(a->t->name, name) == 0 ||
		    (a->t->account != NULL &&
		    strcmp(a->t->account, name) == 0))
			return a;
	return NULL;
}

struct oauth_account *
oauth_next(struct oauth *o, struct oauth_account *a)
{
	return a == NULL ? TAILQ_FIRST(&o->accounts) : TAILQ_NEXT(a, link);
}

const struct conf_transport *
oauth_transport(const struct oauth_account *a)
{
	return a->t;
}

void
oauth_set_text(char **to, const char *text)
{
	char *copy = text != NULL ? mem_strdup(text) : NULL;

	free(*to);
	*to = copy;
}

bool
oauth_is_stuck(const struct oauth_account *a)
{
	return a->class == OAUTH_LOGIN || a->class == OAUTH_CONFIGURATION;
}

const char *
oauth_user(const struct oauth_account *a)
{
	if (a->user != NULL && a->user[0] != '\0')
		return a->user;
	return a->t->username != NULL ? a->t->username : "";
}

uint64_t
oauth_window(const struct oauth_account *a)
{
	size_t i;

	if (a->file_window > 0)
		return a->file_window;
	for (i = 0; i < a->t->n_hosts; i++)
		if (strncmp(a->t->hosts[i].name, "smtp-hve.", 9) == 0)
			return WINDOW_HVE_MS;
	return WINDOW_MS;
}

/* ---- tokens ---- */

/* It may be given out for ms more. */
static bool
lives(const struct oauth_account *a, uint64_t ms)
{
	if (a->token == NULL || a->refused == a->generation)
		return false;
	if (a->expires == 0)
		return clock_mono_ms() < a->deadline;
	return clock_real_ms() + ms < a->expires &&
	    clock_mono_ms() + ms < a->deadline;
}

static struct oauth_token
token_of(const struct oauth_account *a)
{
	return (struct oauth_token){ .token = a->token,
	    .user = oauth_user(a), .expires = a->expires,
	    .generation = a->generation, .again = !a->forced };
}

/* While the provider cannot be reached, what there is goes on to be used. */
static bool
can_use(const struct oauth_account *a)
{
	return a->class == OAUTH_GOT || (a->class == OAUTH_TEMPORARY &&
	    lives(a, LAST_MS));
}

static void
answer(struct oauth_account *a, struct oauth_wait *w)
{
	struct oauth_failure f = { a->class, a->why };
	struct oauth_token t = token_of(a);

	if (can_use(a))
		w->cb(w->arg, &t, NULL);
	else
		w->cb(w->arg, NULL, &f);
}

/* Who is told may ask again, or cancel another's wait. */
static void
answer_all(struct oauth_account *a)
{
	struct oauth_waits now;
	struct oauth_wait *w;

	TAILQ_INIT(&now);
	TAILQ_CONCAT(&now, &a->waits, link);
	TAILQ_FOREACH(w, &now, link)
		w->on = NULL;
	while ((w = TAILQ_FIRST(&now)) != NULL) {
		TAILQ_REMOVE(&now, w, link);
		answer(a, w);
	}
}

void
oauth_tell_queue(struct oauth_account *a)
{
	if (a->o->env.renewed != NULL)
		a->o->env.renewed(a->o->env.arg, a->t->name);
}

void
oauth_got(struct oauth_account *a, struct oauth_result *r)
{
	bool was_refused = a->token != NULL && a->refused == a->generation;
	bool was_failing = oauth_is_stuck(a);
	uint64_t now = clock_real_ms();

	mem_wipe_text(&a->token);
	a->token = r->token;
	a->generation++;
	a->expires = r->expires;
	a->deadline = clock_mono_ms() + (r->expires == 0 ? r->keep_ms :
	    r->expires > now ? r->expires - now : 0);
	a->forced = was_refused;
	a->used = !TAILQ_EMPTY(&a->waits);
	if (r->fresh || a->got == 0)
		a->got = now;
	a->jitter = (unsigned)rand_below(AHEAD_MS);
	a->class = OAUTH_GOT;
	a->failures = 0;
	a->known = true;
	oauth_set_text(&a->why, NULL);
	if (r->fresh) {
		log_begin(LL_INFO, "token");
		log_str("transport", a->t->name);
		log_num("seconds", r->expires > now ?
		    (int64_t)((r->expires - now) / 1000) : 0);
		log_end();
	}
	answer_all(a);
	if (was_failing)
		oauth_tell_queue(a);
}

void
oauth_failed(struct oauth_account *a, enum oauth_class class,
    uint64_t wait_ms, const char *text)
{
	a->class = class;
	a->known = true;
	oauth_set_text(&a->why, text);
	a->failed_at = clock_mono_ms();
	a->failed_real = clock_real_ms();
	a->failures++;
	a->wait_ms = wait_ms > FAILED_MS ? wait_ms : FAILED_MS;
	if (a->wait_ms > TEMPORARY_MAX_MS)
		a->wait_ms = TEMPORARY_MAX_MS;
	log_begin(LL_WARN, "token");
	log_str("transport", a->t->name);
	log_str("text", text);
	log_end();
	answer_all(a);
}

void
oauth_looked(struct oauth_account *a, uint64_t expires, bool changed)
{
	a->known = true;
	if (a->got == 0)
		a->got = expires != 0 ? expires : clock_real_ms();
	if (!TAILQ_EMPTY(&a->waits) || changed)
		oauth_fetch_start(a, FETCH_NEED);
}

void
oauth_adopt(struct oauth_account *a, const char *token, uint64_t expires)
{
	uint64_t now = clock_real_ms();

	if (a->token != NULL || expires <= now)
		return;
	a->token = mem_strdup(token);
	a->generation++;
	a->expires = expires;
	a->deadline = clock_mono_ms() + (expires - now);
}

/* ---- asking ---- */

static void
wait_for(struct oauth_account *a, struct oauth_wait *w, oauth_token_cb *cb,
    void *arg)
{
	w->on = a;
	w->cb = cb;
	w->arg = arg;
	TAILQ_INSERT_TAIL(&a->waits, w, link);
}

static bool
failed_just_now(const struct oauth_account *a)
{
	return a->known && a->class != OAUTH_GOT &&
	    clock_mono_ms() - a->failed_at < a->wait_ms &&
	    clock_real_ms() - a->failed_real < a->wait_ms;
}

void
oauth_get(struct oauth_account *a, struct oauth_wait *w, oauth_token_cb *cb,
    void *arg)
{
	a->used = true;
	w->cb = cb;
	w->arg = arg;
	if ((a->class == OAUTH_GOT && lives(a, oauth_window(a))) ||
	    (a->fetch == NULL && failed_just_now(a))) {
		answer(a, w);
		return;
	}
	wait_for(a, w, cb, arg);
	if (a->fetch == NULL)
		oauth_fetch_start(a, FETCH_NEED);
}

void
oauth_force(struct oauth_account *a, struct oauth_wait *w,
    oauth_token_cb *cb, void *arg)
{
	a->used = true;
	if (a->fetch != NULL && oauth_fetch_how(a) == FETCH_LOOK)
		oauth_fetch_stop(a);
	wait_for(a, w, cb, arg);
	if (a->fetch == NULL)
		oauth_fetch_start(a, FETCH_NEW);
}

void
oauth_cancel(struct oauth_wait *w)
{
	if (w->on == NULL)
		return;
	TAILQ_REMOVE(&w->on->waits, w, link);
	w->on = NULL;
}

/* What is known of the scope allows it. */
static bool
serves(const struct oauth_account *a, enum oauth_protocol protocol)
{
	const struct conf_oauth_provider *p =
	    conf_oauth_provider_find(a->c->provider);
	const char *scope = a->scope;
	size_t i;

	if (protocol == OAUTH_SMTP || a->c->source != OAUTH2_FLOW)
		return true;
	for (i = 0; i < a->c->scope.n; i++)
		if (strstr(a->c->scope.v[i], "IMAP") != NULL ||
		    strstr(a->c->scope.v[i], ".default") != NULL)
			return true;
	if (scope == NULL && a->c->scope.n == 0 && p != NULL)
		scope = p->smtp;
	if (a->c->flow == FLOW_CLIENT)
		return a->c->scope.n == 0;
	return p != NULL && p->imap != NULL && scope != NULL &&
	    strstr(scope, p->imap) != NULL;
}

bool
oauth_ready(struct oauth_account *a, enum oauth_protocol protocol,
    struct oauth_token *t)
{
	if (!serves(a, protocol))
		return false;
	a->used = true;
	if (can_use(a) && lives(a, LAST_MS)) {
		*t = token_of(a);
		return true;
	}
	if (a->fetch == NULL && !failed_just_now(a))
		oauth_fetch_start(a, FETCH_NEED);
	return false;
}

void
oauth_keep_ready(struct oauth_account *a)
{
	a->keep = true;
}

void
oauth_refused(struct oauth_account *a, uint64_t generation)
{
	if (generation != a->generation)
		return;
	a->refused = generation;
	if (a->c->source == OAUTH2_COMMAND)
		secret_forget(a->o->env.secrets, SECRET_OF_TOKEN, a->t->name);
}

void
oauth_accepted(struct oauth_account *a, uint64_t generation)
{
	if (generation == a->generation)
		a->forced = false;
}

bool
oauth_is_microsoft(const struct oauth_account *a)
{
	const struct conf_oauth_provider *p =
	    conf_oauth_provider_find(a->c->provider);
	const char *url = a->endpoint != NULL ? a->endpoint :
	    a->c->token_endpoint;

	if (url != NULL)
		return strstr(url, "://login.microsoftonline.") != NULL ||
		    strstr(url, "://login.partner.microsoftonline.") != NULL;
	if (p != NULL)
		return p->microsoft;
	return a->t->provider != NULL && (strncmp(a->t->provider,
	    "microsoft365", 12) == 0 || strcmp(a->t->provider,
	    "outlook.com") == 0);
}

/* ---- time ---- */

static bool
has_refresh_token(const struct oauth_account *a)
{
	return a->c->source == OAUTH2_TOKEN_FILE ||
	    (a->c->source == OAUTH2_FLOW && a->c->flow != FLOW_CLIENT &&
	    a->c->flow != FLOW_SERVICE);
}

/* Nobody asks while mail waits for a human: has he put another file there? */
static void
look_again(struct oauth_account *a)
{
	uint64_t now = clock_mono_ms();

	if (!has_refresh_token(a) || now - a->looked_at < LOOK_MS)
		return;
	a->looked_at = now;
	oauth_fetch_start(a, FETCH_LOOK);
}

/* By ourselves an outage is not looked at all the time; who needs a token asks
 * anew. */
static bool
backs_off(const struct oauth_account *a)
{
	unsigned n = a->failures < 6 ? a->failures : 6;

	return a->class == OAUTH_TEMPORARY && clock_mono_ms() -
	    a->failed_at < (UINT64_C(5000) << n);
}

static void
see_to(struct oauth_account *a)
{
	uint64_t now = clock_real_ms();

	if (a->fetch != NULL || a->login != NULL)
		return;
	if (!a->known || a->unsaved.n > 0) {
		oauth_fetch_start(a, a->known ? FETCH_NEED : FETCH_LOOK);
		return;
	}
	if (oauth_is_stuck(a)) {
		look_again(a);
		return;
	}
	if (failed_just_now(a) || backs_off(a))
		return;
	/* A short-lived one is fetched when it is wanted. */
	if ((a->used || a->keep) && a->token != NULL && a->expires > a->got +
	    oauth_window(a) + 2 * AHEAD_MS &&
	    !lives(a, oauth_window(a) + a->jitter)) {
		a->used = false;
		oauth_fetch_start(a, FETCH_AHEAD);
	} else if (a->keep && a->token == NULL) {
		oauth_fetch_start(a, FETCH_NEED);
	} else if (has_refresh_token(a) && now > a->got &&
	    now - a->got > IDLE_MS - a->jitter * UINT64_C(100)) {
		oauth_fetch_start(a, FETCH_NEW);
	}
}

static void
on_sweep(void *arg)
{
	struct oauth *o = arg;
	struct oauth_account *a;

	TAILQ_FOREACH(a, &o->accounts, link)
		see_to(a);
	loop_timer_set(o->env.loop, &o->sweep, SWEEP_MS);
}

void
oauth_start(struct oauth *o)
{
	loop_timer_init(&o->sweep, on_sweep, o);
	on_sweep(o);
}

/* ---- for people ---- */

void
oauth_status(const struct oauth_account *a, struct oauth_status *s)
{
	static const char *const source[] = { "", "token-file", "cms-socket",
	    "command" };
	static const char *const state[] = {
		[OAUTH_GOT] = "ok", [OAUTH_TEMPORARY] = "temporary",
		[OAUTH_LOGIN] = "login", [OAUTH_CONFIGURATION] =
		"configuration"
	};

	memset(s, 0, sizeof(*s));
	s->flow = a->c->source == OAUTH2_FLOW ?
	    conf_oauth2_flow_name[a->c->flow] : source[a->c->source];
	s->state = a->known && a->class <= OAUTH_CONFIGURATION ?
	    state[a->class] : "unknown";
	s->why = a->why;
	s->expires = a->token != NULL ? a->expires : 0;
	s->scope = a->scope;
}
