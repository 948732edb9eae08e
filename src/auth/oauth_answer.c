/*
 * Answers of token endpoints (auth; RFC 6749 5, RFC 8628 3.5).  Providers
 * say errors in JSON with 400 or 401; what is in between us and them says
 * anything else.  Only what a provider says in its own words counts as more
 * than a bad moment.
 */
#include "auth/oauth_answer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/oauth_form.h"
#include "base/json_reader.h"
#include "base/mem.h"

#define LIFETIME_S 3600u		/* where it is not said */
#define LIFETIME_MAX (30u * 86400)
#define SCOPE_MAX 4096u
#define SECRET_MIN 4u			/* shorter ones are words */
#define SECRET_RUN 48u			/* octets without a blank: hidden */

static const struct {
	const char *error;
	enum oauth_class class;
	const char *hint;
} errors[] = {
	{ "invalid_grant", OAUTH_LOGIN, "the login has ended: it was "
	    "revoked, the password was changed, or it was not used for too "
	    "long" },
	{ "interaction_required", OAUTH_LOGIN, "the provider wants to see "
	    "a human" },
	{ "consent_required", OAUTH_LOGIN, "consent is wanted" },
	{ "login_required", OAUTH_LOGIN, "a new login is wanted" },
	{ "invalid_client", OAUTH_CONFIGURATION, "client-id or client-secret "
	    "is wrong, or the secret has expired" },
	{ "unauthorized_client", OAUTH_CONFIGURATION, "this application may "
	    "not do that: flow, scope or delegation is not granted" },
	{ "unsupported_grant_type", OAUTH_CONFIGURATION, "the endpoint does "
	    "not know this flow" },
	{ "invalid_scope", OAUTH_CONFIGURATION, "the scope is wrong for this "
	    "provider or flow" },
	{ "invalid_request", OAUTH_CONFIGURATION, "the provider does not "
	    "understand what was asked: endpoint, tenant or flow" },
	{ "invalid_resource", OAUTH_CONFIGURATION, "the scope names what "
	    "this tenant does not have" },
	{ "access_denied", OAUTH_DECLINED, "it was declined" },
	{ "authorization_declined", OAUTH_DECLINED, "it was declined" },
	{ "authorization_pending", OAUTH_PENDING, NULL },
	{ "slow_down", OAUTH_SLOW_DOWN, NULL },
	{ "expired_token", OAUTH_EXPIRED, "the code has expired" },
	{ "bad_verification_code", OAUTH_CONFIGURATION, "the provider does "
	    "not know its own device code" },
	{ "temporarily_unavailable", OAUTH_TEMPORARY, NULL },
	{ "server_error", OAUTH_TEMPORARY, NULL },
};

/* Microsoft's numbers say more than its words. */
static const struct {
	unsigned number;
	const char *hint;
} aadsts[] = {
	{ 50020, "the user is of another tenant: `tenant` must be his" },
	{ 50057, "the user's account is disabled" },
	{ 50076, "multi-factor authentication is wanted" },
	{ 50078, "multi-factor authentication has expired" },
	{ 50079, "the user must enrol for multi-factor authentication" },
	{ 50173, "the password was changed, or the logins were revoked" },
	{ 53003, "conditional access of the tenant forbids it" },
	{ 65001, "consent is wanted: the user's or the administrator's" },
	{ 70008, "the login has expired: it was not used for too long" },
	{ 70011, "the scope is wrong" },
	{ 70043, "the login has expired by a policy of the tenant" },
	{ 90002, "there is no such tenant" },
	{ 700016, "client-id is not known in this tenant" },
	{ 700025, "a public client must not send a client-secret: take it "
	    "out" },
	{ 700082, "the login has expired: it was not used for 90 days" },
	{ 700084, "the login was one of 24 hours (redirect of type spa)" },
	{ 7000215, "client-secret is wrong: its value is wanted, not its "
	    "id" },
	{ 7000218, "a client-secret is wanted, or \"Allow public client "
	    "flows\" must be on" },
	{ 7000222, "client-secret has expired: make a new one" },
	{ 9002346, "the application is for personal accounts: `tenant "
	    "consumers`" },
};

/* ---- words ---- */

/* The first line, printable; a run that is as long as a secret is hidden. */
static void
put_detail(char *to, size_t size, const char *text)
{
	size_t n = 0, run, i;

	while (*text != '\0' && *text != '\r' && *text != '\n' &&
	    n + 1 < size) {
		if (*text == ' ') {
			to[n++] = *text++;
			continue;
		}
		run = strcspn(text, " \r\n");
		if (run >= SECRET_RUN) {
			if (n + 9 >= size)
				break;
			memcpy(to + n, "(hidden)", 8);
			n += 8;
		} else {
			for (i = 0; i < run && n + 1 < size; i++)
				to[n++] = text[i] >= ' ' && text[i] < 0x7f ?
				    text[i] : '?';
		}
		text += run;
	}
	to[n] = '\0';
}

static unsigned
aadsts_number(const char *text)
{
	const char *p = strstr(text, "AADSTS");

	return p != NULL ? (unsigned)strtoul(p + 6, NULL, 10) : 0;
}

static void
judge(struct oauth_answer *a, const char *error, const char *description)
{
	unsigned number = aadsts_number(description);
	size_t i;

	a->class = OAUTH_TEMPORARY;
	for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		if (strcmp(error, errors[i].error) == 0) {
			a->class = errors[i].class;
			a->hint = errors[i].hint;
		}
	}
	put_detail(a->code, sizeof(a->code) - 20, error);
	put_detail(a->detail, sizeof(a->detail), description);
	if (number == 0)
		return;
	snprintf(a->code + strlen(a->code), 20, " AADSTS%u", number);
	for (i = 0; i < sizeof(aadsts) / sizeof(aadsts[0]); i++)
		if (aadsts[i].number == number)
			a->hint = aadsts[i].hint;
}

/* ---- tokens ---- */

/* It goes into lines of SMTP. */
static bool
is_token(const char *s)
{
	if (s == NULL || *s == '\0' || strlen(s) > 10000)
		return false;
	for (; *s != '\0'; s++)
		if (*s <= ' ' || *s >= 0x7f)
			return false;
	return true;
}

/* RFC 6749 3.3; it is shown to people. */
static bool
is_scope(const char *s)
{
	size_t n = strlen(s);

	while (*s != '\0' && *s >= ' ' && *s < 0x7f)
		s++;
	return *s == '\0' && n <= SCOPE_MAX;
}

static bool
is_bearer(struct slice body)
{
	char *type = json_text_of(body, "token_type");
	bool is = type == NULL || slice_eq_case_cstr(slice_cstr(type),
	    "bearer");

	free(type);
	return is;
}

static void
read_token(struct slice body, struct oauth_answer *a)
{
	a->access_token = json_text_of(body, "access_token");
	a->refresh_token = json_text_of(body, "refresh_token");
	a->scope = json_text_of(body, "scope");
	a->expires_in = LIFETIME_S;
	if (json_number_of(body, "expires_in", UINT64_MAX / 2000,
	    &a->expires_in) && a->expires_in > LIFETIME_MAX)
		a->expires_in = LIFETIME_MAX;
	if (a->scope != NULL && !is_scope(a->scope)) {
		free(a->scope);
		a->scope = NULL;
	}
	if (a->refresh_token != NULL && !is_token(a->refresh_token))
		mem_wipe_text(&a->refresh_token);
	if (is_token(a->access_token) && is_bearer(body)) {
		a->class = OAUTH_GOT;
		return;
	}
	a->class = OAUTH_TEMPORARY;
	snprintf(a->detail, sizeof(a->detail),
	    "an answer without an access token");
}

static bool
is_bad_moment(unsigned status)
{
	return status == 408 || status == 429 || status >= 500;
}

/* false: it is no error in JSON. */
static bool
read_error(unsigned status, struct slice body, struct oauth_answer *a)
{
	char *error, *description;
	struct err e;

	if (json_object_check(body, &e) < 0)
		return false;
	error = json_text_of(body, "error");
	description = json_text_of(body, "error_description");
	if (error != NULL)
		judge(a, error, description != NULL ? description : "");
	if (is_bad_moment(status))
		a->class = OAUTH_TEMPORARY;
	free(description);
	if (error == NULL)
		return false;
	free(error);
	return true;
}

void
oauth_answer_read(unsigned status, struct slice body, struct oauth_answer *a)
{
	struct err e;

	memset(a, 0, sizeof(*a));
	a->class = OAUTH_TEMPORARY;
	if (read_error(status, body, a))
		return;
	if (status >= 200 && status < 300) {
		if (json_object_check(body, &e) == 0)
			read_token(body, a);
		else
			snprintf(a->detail, sizeof(a->detail),
			    "an answer that is not JSON");
		return;
	}
	snprintf(a->detail, sizeof(a->detail), "HTTP status %u%s", status,
	    status >= 300 && status < 400 ? ", a redirect, which is not "
	    "followed" : "");
}

void
oauth_answer_hide(struct oauth_answer *a, const char *secret)
{
	char *texts[] = { a->code, a->detail }, *at;
	size_t i, n = secret != NULL ? strlen(secret) : 0;

	for (i = 0; n >= SECRET_MIN && i < 2; i++)
		for (at = texts[i]; (at = strstr(at, secret)) != NULL;
		    at += n)
			memset(at, '*', n);
}

void
oauth_answer_clear(struct oauth_answer *a)
{
	mem_wipe_text(&a->access_token);
	mem_wipe_text(&a->refresh_token);
	free(a->scope);
	memset(a, 0, sizeof(*a));
}

/* ---- devices ---- */

static char *
url_of(struct slice body, const char *name, const char *other)
{
	char *url = json_text_of(body, name);

	if (url == NULL)
		url = json_text_of(body, other);
	/* It is shown to a human who then goes there. */
	if (url != NULL && strncmp(url, "https://", 8) == 0 && is_token(url))
		return url;
	free(url);
	return NULL;
}

int
oauth_device_read(unsigned status, struct slice body, struct oauth_device *d,
    struct oauth_answer *a)
{
	struct err e;

	memset(d, 0, sizeof(*d));
	memset(a, 0, sizeof(*a));
	a->class = OAUTH_TEMPORARY;
	if (read_error(status, body, a))
		return -1;
	if (status < 200 || status >= 300 ||
	    json_object_check(body, &e) < 0) {
		snprintf(a->detail, sizeof(a->detail), "HTTP status %u, no "
		    "answer for a device", status);
		return -1;
	}
	d->device_code = json_text_of(body, "device_code");
	d->user_code = json_text_of(body, "user_code");
	d->url = url_of(body, "verification_uri", "verification_url");
	d->url_complete = url_of(body, "verification_uri_complete",
	    "verification_url_complete");
	d->expires_in = 900;
	d->interval = 5;
	(void)json_number_of(body, "expires_in", 86400, &d->expires_in);
	(void)json_number_of(body, "interval", 3600, &d->interval);
	if (d->device_code != NULL && is_token(d->user_code) &&
	    d->url != NULL)
		return 0;
	snprintf(a->detail, sizeof(a->detail),
	    "an answer without a code or an address to go to");
	oauth_device_clear(d);
	return -1;
}

void
oauth_device_clear(struct oauth_device *d)
{
	mem_wipe_text(&d->device_code);
	free(d->user_code);
	free(d->url);
	free(d->url_complete);
	memset(d, 0, sizeof(*d));
}
