/*
 * `relayctl oauth login` (auth).  The human goes to the provider with a code
 * or an address; we wait, with a limit, and save what we get: the file is
 * read under a lock, changed and replaced by monitor.  A failure ends the
 * login with its reason; what was stored before is still there.
 */
#include "auth/oauth_login.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "auth/oauth_form.h"
#include "auth/oauth_login_private.h"
#include "base/clock.h"
#include "base/json_reader.h"
#include "base/log.h"
#include "base/mem.h"
#include "ipc/msg.h"

#define DEVICE_GRANT "urn:ietf:params:oauth:grant-type:device_code"
#define CODE_S 600u			/* a human in a browser */
#define PASTE_PORT 8400u
#define NATIVE "https://login.microsoftonline.com/common/oauth2/nativeclient"

static void poll_device(void *arg);

void
oauth_login_stop(struct oauth_login **lp)
{
	struct oauth_login *l = *lp;

	*lp = NULL;
	if (l == NULL)
		return;
	l->a->login = NULL;
	login_save_stop(l);
	http_cancel(&l->call);
	oauth_discover_stop(&l->discover);
	secret_cancel(&l->secret);
	loop_timer_cancel(l->a->o->env.loop, &l->timer);
	oauth_target_clear(&l->target);
	oauth_device_clear(&l->device);
	oauth_answer_clear(&l->answer);
	mem_wipe_text(&l->verifier);
	mem_wipe_text(&l->state);
	free(l->redirect);
	strbuf_free(&l->ca);
	free(l);
}

bool
oauth_login_holds(const struct oauth_account *a)
{
	return a->login != NULL && a->login->answer.access_token != NULL;
}

void
login_end(struct oauth_login *l, bool good, const char *fmt, ...)
{
	void (*done)(void *arg, bool good, const char *text) = l->ev.done;
	void *arg = l->arg;
	char text[1000];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	oauth_login_stop(&l);
	done(arg, good, text);
}

/* ---- asking the provider ---- */

static void
post(struct oauth_login *l, const char *url, struct strbuf *form,
    http_cb *cb)
{
	struct http_request r = {
		.url = url,
		.post = true,
		.body = strbuf_slice(form),
		.ca = l->ca.n > 0 ? strbuf_slice(&l->ca) :
		    slice_cstr(l->target.ca),
		.proxy = l->target.proxy
	};

	l->call = http_start(l->a->o->env.http, &r, cb, l);
	strbuf_wipe(form);
}

static void
answered_badly(struct oauth_login *l)
{
	struct oauth_answer *r = &l->answer;

	login_end(l, false, "%s%s%s%s%s", r->hint != NULL ? r->hint :
	    "the provider refuses it", r->code[0] != '\0' ? " (" : "",
	    r->code, r->detail[0] != '\0' ? ": " : "", r->detail[0] != '\0' ?
	    r->detail : "");
}

static void
on_token(void *arg, const struct http_answer *h)
{
	struct oauth_login *l = arg;
	struct strbuf text = STRBUF_INIT;

	l->call = NULL;
	oauth_answer_clear(&l->answer);
	if (h->result == HTTP_ANSWERED) {
		oauth_answer_read(h->status, h->body, &l->answer);
		oauth_answer_hide(&l->answer, l->target.client_secret);
		oauth_answer_hide(&l->answer, l->device.device_code);
	} else {
		(void)oauth_http_text(h, l->target.token_url, &text);
		l->answer.class = OAUTH_TEMPORARY;
		snprintf(l->answer.detail, sizeof(l->answer.detail), "%s",
		    strbuf_cstr(&text));
		strbuf_free(&text);
	}
	switch (l->answer.class) {
	case OAUTH_GOT:
		login_save(l);
		return;
	case OAUTH_SLOW_DOWN:
		l->interval += 5000;
		break;
	case OAUTH_PENDING:
		break;
	case OAUTH_TEMPORARY:		/* a code is good for one try */
		if (l->flow == FLOW_DEVICE)
			break;
		answered_badly(l);
		return;
	default:
		answered_badly(l);
		return;
	}
	if (clock_mono_ms() >= l->until)
		login_end(l, false, "nobody has logged in in time");
	else
		loop_timer_set(l->a->o->env.loop, &l->timer, l->interval);
}

/* ---- device flow ---- */

static void
poll_device(void *arg)
{
	struct oauth_login *l = arg;
	struct strbuf form = STRBUF_INIT;

	oauth_form_add(&form, "grant_type", DEVICE_GRANT);
	oauth_form_add(&form, "client_id", l->target.client_id);
	oauth_form_add(&form, "client_secret", l->target.client_secret);
	oauth_form_add(&form, "device_code", l->device.device_code);
	post(l, l->target.token_url, &form, on_token);
}

static void
on_device(void *arg, const struct http_answer *h)
{
	struct oauth_login *l = arg;
	struct strbuf text = STRBUF_INIT;
	struct oauth_prompt p = { .kind = "device" };

	l->call = NULL;
	if (h->result != HTTP_ANSWERED) {
		(void)oauth_http_text(h, l->target.device_url, &text);
		login_end(l, false, "%s", strbuf_cstr(&text));
		strbuf_free(&text);
		return;
	}
	if (oauth_device_read(h->status, h->body, &l->device,
	    &l->answer) < 0) {
		answered_badly(l);
		return;
	}
	l->interval = l->device.interval * 1000;
	if (l->interval < 200)
		l->interval = 200;
	l->until = clock_mono_ms() + l->device.expires_in * 1000;
	loop_timer_init(&l->timer, poll_device, l);
	loop_timer_set(l->a->o->env.loop, &l->timer, l->interval);
	p.url = l->device.url;
	p.code = l->device.user_code;
	p.seconds = l->device.expires_in;
	l->ev.prompt(l->arg, &p);
}

static void
begin_device(struct oauth_login *l)
{
	struct strbuf form = STRBUF_INIT;

	if (l->target.device_url == NULL) {
		login_end(l, false, "there is no device flow for mail at this "
		    "provider: --flow code");
		return;
	}
	oauth_form_add(&form, "client_id", l->target.client_id);
	oauth_form_add(&form, "scope", l->target.scope);
	post(l, l->target.device_url, &form, on_device);
}

/* ---- code flow ---- */

static void
on_code_late(void *arg)
{
	login_end(arg, false, "nobody has logged in in time");
}

static char *
random_text(void)
{
	struct strbuf b = STRBUF_INIT;

	oauth_random(&b);
	return strbuf_take(&b);
}

/* Registered for applications of the desktop; the port may be any. */
static char *
redirect_of(const struct oauth_login *l)
{
	bool microsoft = l->target.provider != NULL &&
	    l->target.provider->microsoft;

	if (l->port == 0 && microsoft)
		return mem_strdup(NATIVE);
	return mem_printf("http://%s:%u", microsoft ? "localhost" :
	    "127.0.0.1", l->port != 0 ? l->port : PASTE_PORT);
}

static void
begin_code(struct oauth_login *l)
{
	struct strbuf url = STRBUF_INIT, challenge = STRBUF_INIT;
	struct strbuf query = STRBUF_INIT;
	struct oauth_prompt p = { .kind = "code", .seconds = CODE_S };
	const struct conf_oauth_provider *known = l->target.provider;

	if (l->target.authorize_url == NULL) {
		login_end(l, false, "there is no authorization-endpoint");
		return;
	}
	l->verifier = random_text();
	l->state = random_text();
	l->redirect = redirect_of(l);
	oauth_challenge(slice_cstr(l->verifier), &challenge);
	oauth_form_add(&query, "client_id", l->target.client_id);
	oauth_form_add(&query, "response_type", "code");
	oauth_form_add(&query, "redirect_uri", l->redirect);
	oauth_form_add(&query, "scope", l->target.scope);
	oauth_form_add(&query, "state", l->state);
	oauth_form_add(&query, "code_challenge", strbuf_cstr(&challenge));
	oauth_form_add(&query, "code_challenge_method", "S256");
	oauth_form_add(&query, "login_hint", oauth_user(l->a));
	if (known != NULL && known->microsoft)
		oauth_form_add(&query, "response_mode", "query");
	if (known != NULL && known->extra != NULL)
		strbuf_puts(&query, known->extra);
	strbuf_printf(&url, "%s%s%s", l->target.authorize_url,
	    strchr(l->target.authorize_url, '?') != NULL ? "&" : "?",
	    strbuf_cstr(&query));
	loop_timer_init(&l->timer, on_code_late, l);
	loop_timer_set(l->a->o->env.loop, &l->timer, CODE_S * 1000);
	p.url = strbuf_cstr(&url);
	p.redirect = l->redirect;
	l->ev.prompt(l->arg, &p);
	strbuf_free(&url);
	strbuf_free(&query);
	strbuf_free(&challenge);
}

static void
redeem(struct oauth_login *l, const char *code)
{
	struct strbuf form = STRBUF_INIT;

	loop_timer_cancel(l->a->o->env.loop, &l->timer);
	oauth_form_add(&form, "grant_type", "authorization_code");
	oauth_form_add(&form, "client_id", l->target.client_id);
	oauth_form_add(&form, "client_secret", l->target.client_secret);
	oauth_form_add(&form, "code", code);
	oauth_form_add(&form, "redirect_uri", l->redirect);
	oauth_form_add(&form, "code_verifier", l->verifier);
	/* Once: some take back what a code has brought when it comes again. */
	mem_wipe_text(&l->verifier);
	post(l, l->target.token_url, &form, on_token);
}

/* -1: it is not for us.  *code may stay empty: the provider said why. */
static int
read_url(struct oauth_login *l, struct slice url, struct strbuf *code,
    struct strbuf *said, struct err *e)
{
	struct strbuf state = STRBUF_INIT;
	bool mine;

	if (slice_find(url, '=') < 0 && slice_find(url, '?') < 0) {
		/* a bare code, which no browser sends */
		strbuf_add_slice(code, url);
		return url.n > 0 ? 0 : err_set(e, -1, "there is no code in "
		    "it");
	}
	mine = oauth_query_get(url, "state", &state) &&
	    slice_eq_cstr(strbuf_slice(&state), l->state);
	strbuf_free(&state);
	if (!mine)
		return err_set(e, -1, "this address belongs to another login "
		    "(its state differs)");
	if (oauth_query_get(url, "code", code))
		return 0;
	if (!oauth_query_get(url, "error_description", said) &&
	    !oauth_query_get(url, "error", said))
		return err_set(e, -1, "there is no code in it");
	return 0;
}

static const char *
printable(struct strbuf *said)
{
	size_t i;

	for (i = 0; i < said->n; i++)
		if (said->p[i] < ' ' || said->p[i] >= 0x7f)
			said->p[i] = '?';
	return strbuf_cstr(said);
}

int
oauth_login_answer(struct oauth_account *a, const char *url, struct err *e)
{
	struct oauth_login *l = a->login;
	struct strbuf code = STRBUF_INIT, said = STRBUF_INIT;
	int rc;

	if (l == NULL || l->verifier == NULL || l->call != NULL)
		return err_set(e, -1, "no login of %s waits for that",
		    a->t->name);
	rc = read_url(l, slice_trim(slice_cstr(url)), &code, &said, e);
	if (rc == 0 && code.n > 0)
		redeem(l, strbuf_cstr(&code));
	else if (rc == 0)
		login_end(l, false, "the provider says: %s",
		    printable(&said));
	strbuf_wipe(&code);
	strbuf_free(&said);
	return rc;
}

/* ---- the beginning ---- */

static void
on_discovered(void *arg, const char *why)
{
	struct oauth_login *l = arg;

	l->discover = NULL;
	if (why == NULL)
		login_begin(l);
	else
		login_end(l, false, "%s", why);
}

void
login_begin(struct oauth_login *l)
{
	if (!oauth_discover_known(l->a, &l->target))
		l->discover = oauth_discover_start(l->a, &l->target,
		    on_discovered, l);
	else if (l->target.client_id == NULL)
		login_end(l, false, "there is no client-id");
	else if (l->target.token_url == NULL)
		login_end(l, false, "there is no token endpoint");
	else if (l->flow == FLOW_DEVICE)
		begin_device(l);
	else
		begin_code(l);
}

static void
on_secret(void *arg, const char *value, const char *why)
{
	struct oauth_login *l = arg;

	if (value == NULL) {
		login_end(l, false, "%s", why);
		return;
	}
	mem_wipe_text(&l->target.client_secret);
	l->target.client_secret = mem_strdup(value);
	login_begin(l);
}

static void
on_start(void *arg)
{
	struct oauth_login *l = arg;
	struct oauth_account *a = l->a;

	if (a->c->source == OAUTH2_TOKEN_FILE) {
		login_read_file(l);
		return;
	}
	oauth_target_make(a, NULL, &l->target);
	if (a->c->client_secret.kind == SECRET_COMMAND)
		secret_get(a->o->env.secrets, a->o->env.base->monitor,
		    SECRET_OF_CLIENT, a->t->name, 3600000, &l->secret,
		    on_secret, l);
	else
		login_begin(l);
}

static int
choose_flow(const struct oauth_account *a, const char *flow,
    enum conf_oauth2_flow *to, struct err *e)
{
	const struct conf_oauth2 *c = a->c;

	if (c->source == OAUTH2_CMS || c->source == OAUTH2_COMMAND)
		return err_set(e, -1, "the tokens of %s come from somewhere "
		    "else (%s): log in there", a->t->name,
		    c->source == OAUTH2_CMS ? "cms-socket" : "command");
	if (c->source == OAUTH2_FLOW && (c->flow == FLOW_CLIENT ||
	    c->flow == FLOW_SERVICE))
		return err_set(e, -1, "%s needs no login (flow %s)",
		    a->t->name, conf_oauth2_flow_name[c->flow]);
	if (flow == NULL)
		*to = c->source == OAUTH2_FLOW ? c->flow : FLOW_DEVICE;
	else if (strcmp(flow, "device") == 0)
		*to = FLOW_DEVICE;
	else if (strcmp(flow, "code") == 0)
		*to = FLOW_CODE;
	else
		return err_set(e, -1, "--flow is device or code");
	return 0;
}

struct oauth_login *
oauth_login_start(struct oauth_account *a, const char *flow, uint16_t port,
    const struct oauth_login_events *ev, void *arg, struct err *e)
{
	struct oauth_login *l;
	enum conf_oauth2_flow f = FLOW_DEVICE;

	if (choose_flow(a, flow, &f, e) < 0)
		return NULL;
	if (a->login != NULL) {
		err_set(e, -1, "a login of %s is under way already",
		    a->t->name);
		return NULL;
	}
	l = mem_zalloc(sizeof(*l));
	l->a = a;
	l->flow = f == FLOW_DEVICE ? FLOW_DEVICE : FLOW_CODE;
	l->port = port;
	l->ev = *ev;
	l->arg = arg;
	a->login = l;
	/* No callback comes from inside of this call. */
	loop_timer_init(&l->timer, on_start, l);
	loop_timer_set(a->o->env.loop, &l->timer, 0);
	return l;
}
