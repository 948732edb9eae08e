/* `oauth2` inside of a transport or account: where its access tokens come
 * from.  auth builds it, monitor and tools check it. */
#include <sys/stat.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json_reader.h"
#include "base/mem.h"
#include "conf/directives.h"
#include "conf/provider.h"
#include "mail/address.h"

#define AT(field) .offset = offsetof(struct conf_oauth2, field)

static conf_setter set_certificate, set_flow, set_endpoint, set_key_file;

const char *const conf_oauth2_flow_name[] = { "device", "code",
	"client-credentials", "service-account", "refresh" };

static const struct conf_choice flow_choices[] = {
	{ "device", FLOW_DEVICE, NOW },
	{ "code", FLOW_CODE, NOW },
	{ "client-credentials", FLOW_CLIENT, NOW },
	{ "service-account", FLOW_SERVICE, NOW },
	{ "refresh", FLOW_REFRESH, NOW },
	{ NULL, 0, NOW }
};

static const struct conf_choice secret_choices[] = {
	{ "file", SECRET_FILE, NOW },
	{ "command", SECRET_COMMAND, NOW },
	{ NULL, 0, NOW }
};

static const struct conf_directive oauth2_rows[] = {
{ "flow", "device|code|client-credentials|service-account|refresh",
    ARG_CUSTOM, NOW, A, 0, 0, .set = set_flow, .min = 1, .max = 1 },
{ "provider", "NAME", ARG_STRING, NOW, A, 0, AT(provider) },
{ "tenant", "ID", ARG_STRING, NOW, A, 0, AT(tenant) },
{ "client-id", "ID", ARG_STRING, NOW, A, 0, AT(client_id) },
{ "client-secret", "VALUE | file FILE | command \"PROGRAM ARG...\"",
    ARG_SECRET, NOW, A, 0, AT(client_secret), .set = set_secret, .min = 1,
    .max = 4, .choices = secret_choices },
{ "certificate", "FILE key FILE", ARG_CERTIFICATE, NOW, A, 0, 0,
    .set = set_certificate, .min = 3, .max = 3 },
{ "scope", "S...", ARG_WORDS, NOW, A, LIST, AT(scope) },
{ "token-endpoint", "URL", ARG_CUSTOM, NOW, A, 0, AT(token_endpoint),
    .set = set_endpoint, .min = 1, .max = 1 },
{ "authorization-endpoint", "URL", ARG_CUSTOM, NOW, A, 0,
    AT(authorization_endpoint), .set = set_endpoint, .min = 1, .max = 1 },
{ "device-endpoint", "URL", ARG_CUSTOM, NOW, A, 0, AT(device_endpoint),
    .set = set_endpoint, .min = 1, .max = 1 },
{ "key-file", "FILE", ARG_FILE, NOW, A, 0, AT(key_file),
    .set = set_key_file },
{ "subject", "ADDRESS", ARG_ADDRESS, NOW, A, 0, AT(subject) },
{ "ca-file", "FILE", ARG_FILE, NOW, A, 0, AT(ca_file) },
{ "proxy", "URL", ARG_STRING, NOW, A, 0, AT(proxy) },
};

const struct conf_table conf_table_oauth2 = {
	"in an `oauth2` block", oauth2_rows,
	sizeof(oauth2_rows) / sizeof(oauth2_rows[0])
};

static void
set_flow(struct build *b, void *obj, const struct conf_stmt *s,
    const struct conf_directive *d)
{
	struct conf_oauth2 *o = obj;
	int v;

	(void)d;
	if (!value_choice(b, s, &s->w[1], flow_choices, &v))
		return;
	o->flow = (enum conf_oauth2_flow)v;
	o->flow_set = true;
}

static void
set_certificate(struct build *b, void *obj, const struct conf_stmt *s,
    const struct conf_directive *d)
{
	struct conf_oauth2 *o = obj;

	(void)d;
	build_certificate(b, s, &o->certificate, &o->key, NULL);
}

static void
set_key_file(struct build *b, void *obj, const struct conf_stmt *s,
    const struct conf_directive *d)
{
	struct conf_oauth2 *o = obj;

	(void)d;
	if (!build_is_main(b)) {
		o->key_file = conf_arena_strdup(b->arena, s->w[1].s);
		return;
	}
	o->key_file = build_path(b, s, &s->w[1]);
	check_file(b, s, o->key_file, true, true);
}

/* Secrets go there: no way without TLS, nothing that is hidden in it. */
static void
set_endpoint(struct build *b, void *obj, const struct conf_stmt *s,
    const struct conf_directive *d)
{
	char **to = (char **)(void *)((unsigned char *)obj + d->offset);

	if (strncmp(s->w[1].s, "https://", 8) != 0 ||
	    strpbrk(s->w[1].s, " \t\"<>\\@") != NULL)
		build_error(b, s, &s->w[1], "`%s` is not an https:// URL",
		    s->w[1].s);
	*to = conf_arena_strdup(b->arena, s->w[1].s);
}

/* ---- token-file, cms-socket, command ---- */

/* It is replaced, so its directory must let us. */
static bool
directory_lets_us(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *dir = slash == NULL ? mem_strdup(".") : slash == path ?
	    mem_strdup("/") : mem_strndup(path, (size_t)(slash - path));
	bool can = access(dir, W_OK | X_OK) == 0;

	free(dir);
	return can;
}

/* false: e says why no token comes from it. */
static bool
is_token_file(const struct build *b, const char *path, struct err *e)
{
	struct strbuf text = STRBUF_INIT;
	struct json_member m;
	struct stat st;

	if (stat(path, &st) < 0)
		(void)err_set(e, errno, "%s: %s", path, strerror(errno));
	else if (!S_ISREG(st.st_mode))
		(void)err_set(e, -1, "%s: not a regular file", path);
	else if (!directory_lets_us(path))
		(void)err_set(e, -1, "the directory of %s cannot be written: "
		    "the file is replaced there whenever its token is "
		    "refreshed", path);
	else if (conf_read_file(b->tree, path, &text, e) < 0)
		;
	else if (json_object_check(strbuf_slice(&text), e) < 0)
		err_prefix(e, "%s", path);
	else if (!json_member_find(strbuf_slice(&text), "refresh_token", &m) ||
	    m.type != JSON_STRING)
		(void)err_set(e, -1, "%s has no refresh_token", path);
	strbuf_wipe(&text);
	return e->code == 0;
}

/* One that others can read is an error, like any secret's file.  Else it is
 * no reason to stop all mail: other programs write it, too, and what is wrong
 * with it parks its account, in the same words (auth/oauth_fetch.c). */
static void
check_token_file(struct build *b, const struct conf_stmt *s, const char *path)
{
	size_t before = b->notes->n_errors;
	struct err e = { 0, "" };
	struct stat st;

	if (!b->check_files)
		return;
	if (stat(path, &st) == 0 && S_ISREG(st.st_mode) &&
	    access(path, R_OK) == 0)
		check_file(b, s, path, true, true);
	if (b->notes->n_errors == before && !is_token_file(b, path, &e))
		build_flaw(b, s, "%s; no mail leaves with this token until "
		    "that is mended", e.text);
}

static void
set_source(struct build *b, const struct conf_stmt *s, struct conf_oauth2 *o)
{
	static const struct conf_choice command[] = {
		{ "command", SECRET_COMMAND, NOW }, { NULL, 0, NOW }
	};
	static const struct conf_directive row = { .name = "oauth2",
	    .args = "command \"PROGRAM ARG...\"", .offset = 0,
	    .choices = command };
	bool pair = s->n == 3;

	if (pair && word_is(&s->w[1], "token-file")) {
		o->source = OAUTH2_TOKEN_FILE;
		o->path = build_path(b, s, &s->w[2]);
		if (build_is_main(b))
			check_token_file(b, s, o->path);
	} else if (pair && word_is(&s->w[1], "cms-socket")) {
		o->source = OAUTH2_CMS;
		o->path = build_path(b, s, &s->w[2]);
	} else if (s->n >= 3 && word_is(&s->w[1], "command")) {
		o->source = OAUTH2_COMMAND;
		set_secret(b, &o->command, s, &row);
	} else {
		build_error(b, s, NULL, "oauth2 is written oauth2 token-file "
		    "FILE, oauth2 cms-socket PATH, oauth2 command \"PROGRAM "
		    "ARG...\" or oauth2 { ... }");
	}
}

/* ---- { } ---- */

static void
guess_flow(struct conf_oauth2 *o)
{
	if (o->flow_set)
		return;
	if (o->key_file != NULL)
		o->flow = FLOW_SERVICE;
	else if (o->provider != NULL && strncmp(o->provider, "microsoft",
	    9) == 0)
		o->flow = FLOW_DEVICE;
	else
		o->flow = o->device_endpoint != NULL ? FLOW_DEVICE :
		    FLOW_CODE;
}

static void
need(struct build *b, const struct conf_stmt *s, const struct conf_oauth2 *o,
    bool there, const char *what)
{
	if (!there)
		build_error(b, s, NULL, "oauth2: flow %s needs %s",
		    conf_oauth2_flow_name[o->flow], what);
}

/* Its openid-configuration says where its endpoints are. */
static bool
is_issuer(const struct conf_oauth2 *o)
{
	return o->provider != NULL && strncmp(o->provider, "https://",
	    8) == 0 && strpbrk(o->provider, " \t\"<>\\@?#") == NULL;
}

static void
check_flow(struct build *b, const struct conf_stmt *s,
    const struct conf_oauth2 *o)
{
	const struct conf_oauth_provider *p =
	    conf_oauth_provider_find(o->provider);
	bool secret = o->client_secret.kind != SECRET_NONE;
	bool microsoft = p != NULL && p->microsoft, issuer = is_issuer(o);

	if (o->flow == FLOW_SERVICE) {
		need(b, s, o, o->key_file != NULL, "key-file");
		return;
	}
	need(b, s, o, o->client_id != NULL, "client-id");
	need(b, s, o, o->token_endpoint != NULL || p != NULL || issuer,
	    "provider or token-endpoint");
	if (o->token_endpoint == NULL && p == NULL && !issuer)
		return;
	if (o->flow == FLOW_CLIENT) {
		need(b, s, o, secret || o->certificate != NULL,
		    "client-secret or certificate");
		if (microsoft && o->token_endpoint == NULL)
			need(b, s, o, o->tenant != NULL, "tenant (the id or "
			    "the domain of the directory)");
		need(b, s, o, (p != NULL && p->app != NULL) || o->scope.n > 0,
		    "scope");
		return;
	}
	if (o->flow == FLOW_DEVICE && p != NULL && p->device == NULL &&
	    o->device_endpoint == NULL)
		build_error(b, s, NULL, "oauth2: %s has no device flow for "
		    "mail; use `flow code`", p->name);
	else if (o->flow == FLOW_DEVICE)
		need(b, s, o, p != NULL || issuer ||
		    o->device_endpoint != NULL, "device-endpoint");
	if (o->flow == FLOW_CODE)
		need(b, s, o, (p != NULL && p->authorize != NULL) || issuer ||
		    o->authorization_endpoint != NULL,
		    "authorization-endpoint");
	need(b, s, o, p != NULL || o->scope.n > 0, "scope");
}

static void
check_provider(struct build *b, const struct conf_stmt *s,
    const struct conf_oauth2 *o)
{
	const char *names[64];
	const struct conf_oauth_provider *p;
	size_t n = 0;
	char buf[64];

	if (o->provider == NULL || is_issuer(o) ||
	    conf_oauth_provider_find(o->provider) != NULL)
		return;
	while (n < 64 && (p = conf_oauth_provider_at(n)) != NULL)
		names[n++] = p->name;
	build_error(b, s, NULL, "oauth2: there is no provider `%s`%s; others "
	    "are reached by token-endpoint and its like, or by "
	    "https://ISSUER", o->provider, conf_suggestion(o->provider,
	    names, n, buf, sizeof(buf)));
}

void
set_oauth2(struct build *b, void *obj, const struct conf_stmt *s,
    const struct conf_directive *d)
{
	struct conf_transport *t = obj;
	size_t errors = b->notes->n_errors;
	struct conf_oauth2 *o;

	t->has_credential = true;
	if (s->hidden)
		return;
	o = t->oauth2 = conf_arena_alloc(b->arena, sizeof(*o));
	o->where = build_where(b, s);
	if (!s->block) {
		set_source(b, s, o);
		o->bad = b->notes->n_errors > errors;
		return;
	}
	o->source = OAUTH2_FLOW;
	if (s->n > 1)
		build_error(b, s, NULL, "oauth2: either a word or a block");
	build_block(b, s, d->block, o, CTX_NONE, NULL);
	o->bad = b->notes->n_errors > errors;
}

void
oauth2_finish(struct build *b, const struct conf_stmt *s,
    struct conf_transport *t)
{
	struct conf_oauth2 *o = t->oauth2;
	const struct conf_provider *p;
	size_t errors = b->notes->n_errors;

	if (o == NULL)
		return;
	if (o->source == OAUTH2_FLOW) {
		p = t->provider != NULL ? conf_provider_find(t->provider) :
		    NULL;
		/* Where endpoints are written it is somebody else. */
		if (o->provider == NULL && p != NULL && p->oauth != NULL &&
		    o->token_endpoint == NULL)
			o->provider = conf_arena_strdup(b->arena, p->oauth);
		guess_flow(o);
		if (build_is_main(b))
			check_provider(b, s, o);
		if (build_is_main(b) && !o->bad && b->notes->n_errors == errors)
			check_flow(b, s, o);
	}
	/* An account that is named by its address logs in as that. */
	if (t->username == NULL && t->account != NULL &&
	    mail_address_valid(slice_cstr(t->account), true))
		t->username = conf_arena_strdup(b->arena, t->account);
	if (build_is_main(b) && t->username == NULL &&
	    o->source != OAUTH2_TOKEN_FILE)
		build_error(b, s, NULL, "%s `%s`: oauth2, but no username",
		    s->w[0].s, t->name);
	if (build_is_main(b) && t->password.kind != SECRET_NONE)
		build_error(b, s, NULL, "%s `%s`: a password and oauth2; one "
		    "of them is enough", s->w[0].s, t->name);
}
