/* What comes in: `listen` and `client` blocks, and who is let in by address.
 * Built by monitor, listener and (names only) queue. */
#include <string.h>

#include "conf/directives.h"
#include "mail/pattern.h"
#include "mail/scope.h"

#define UNIX_PATH_MAX_LEN 107

static const struct conf_choice tls_choices[] = {
	{ "starttls", TLS_STARTTLS, NOW },
	{ "required", TLS_REQUIRED, NOW },
	{ "implicit", TLS_IMPLICIT, NOW },
	{ "off", TLS_OFF, NOW },
	{ NULL, 0, NOW }
};

static const struct conf_choice listen_auth[] = {
	{ "required", AUTH_REQUIRED, NOW },
	{ "optional", AUTH_OPTIONAL, NOW },
	{ "off", AUTH_OFF, NOW },
	{ NULL, 0, NOW }
};

static const struct conf_choice client_auth[] = {
	{ "off", AUTH_OFF, NOW },
	{ "any", AUTH_ANY, NOW },
	{ NULL, 0, NOW }
};

static const struct conf_choice bare_lf[] = {
	{ "reject", BARE_LF_REJECT, NOW },
	{ "fix", BARE_LF_FIX, NOW },
	{ NULL, 0, NOW }
};

static conf_setter set_allow, set_client_account, set_listen_certificate;

#define AT(field) .offset = offsetof(struct conf_listen, field)

static const struct conf_directive listen_rows[] = {
{ "tls", "starttls|required|implicit|off", ARG_CHOICE, NOW, L, 0, AT(tls),
    .choices = tls_choices },
{ "certificate", "FILE [key FILE] | auto", ARG_CERTIFICATE, NOW, L, 0,
    AT(certificate), .set = set_listen_certificate, .min = 1, .max = 3 },
{ "client-ca", "FILE", ARG_FILE, NOW, L, 0, AT(client_ca) },
{ "min-tls", "1.0|1.1|1.2|1.3", ARG_CHOICE, NOW, L, 0, AT(min_tls),
    .choices = conf_choices_min_tls, .deflt = "1.2" },
{ "auth", "required|optional|off", ARG_CHOICE, NOW, L, 0, AT(auth),
    .choices = listen_auth },
{ "auth-mechanisms", "NAME...", ARG_MECHANISMS, NOW, L, LIST,
    AT(auth_mechanisms) },
{ "timeout", "DURATION", ARG_DURATION, NOW, L, 0, AT(timeout),
    .deflt = "5m" },
{ "auth-without-tls", "on|off", ARG_SWITCH, NOW, L, 0,
    AT(auth_without_tls) },
{ "allow", "NETWORK...", ARG_CUSTOM, NOW, L, LIST, AT(allow),
    .set = set_allow, .min = 1, .max = CONF_MANY },
{ "deny", "NETWORK...", ARG_NETS, NOW, L, LIST, AT(deny) },
{ "proxy-protocol", "NETWORK...", ARG_NETS, LATER, L, LIST,
    AT(proxy_protocol) },
{ "max-connections", "N", ARG_COUNT, NOW, L, 0, AT(max_connections),
    .deflt = "1000" },
{ "max-connections-per-client", "N", ARG_COUNT, NOW, L, 0,
    AT(max_connections_per_client), .deflt = "50" },
{ "rate", "N/DURATION", ARG_RATE, NOW, L, 0, AT(rate) },
{ "bare-lf", "reject|fix", ARG_CHOICE, NOW, L, 0, AT(bare_lf),
    .choices = bare_lf, .deflt = "reject" },
{ "add-headers", "on|off", ARG_BOOL, NOW, L, 0, AT(add_headers),
    .deflt = "on" },
{ "open-relay-i-know-what-i-do", "", ARG_FLAG, NOW, L, 0,
    AT(open_relay) },
};

const struct conf_table conf_table_listen = {
	"in a `listen` block", listen_rows,
	sizeof(listen_rows) / sizeof(listen_rows[0])
};

#undef AT
#define AT(field) .offset = offsetof(struct conf_client, field)

static const struct conf_directive client_rows[] = {
{ "account", "NAME", ARG_CUSTOM, NOW, L | Q, 0, AT(account),
    .set = set_client_account, .min = 1, .max = 1 },
{ "min-tls", "1.0|1.1|1.2|1.3", ARG_CHOICE, NOW, L, 0, AT(min_tls),
    .choices = conf_choices_min_tls },
{ "auth", "off|any", ARG_CHOICE, NOW, L, 0, AT(auth),
    .choices = client_auth },
{ "recipients", "PATTERN...", ARG_PATTERNS, NOW, L, LIST, AT(recipients) },
{ "max-message-size", "SIZE", ARG_SIZE, NOW, L, 0, AT(max_message_size) },
{ "rate", "N/DURATION", ARG_RATE, NOW, L, 0, AT(rate) },
{ "bare-lf", "reject|fix", ARG_CHOICE, NOW, L, 0, AT(bare_lf),
    .choices = bare_lf },
{ "open-relay-i-know-what-i-do", "", ARG_FLAG, NOW, L, 0,
    AT(open_relay) },
};

const struct conf_table conf_table_client = {
	"in a `client` block", client_rows,
	sizeof(client_rows) / sizeof(client_rows[0])
};

/* ---- who may relay ---- */

static const struct conf_net loopback[] = {
	{ false, { 127 }, 8 },
	{ true, { [15] = 1 }, 128 },
};

/* No stranger can be in it. */
static bool
net_is_local(const struct conf_net *net)
{
	enum mail_scope s = mail_scope_of_net(net->v6, net->addr, net->bits);

	return s == MAIL_SCOPE_PRIVATE || s == MAIL_SCOPE_LINK ||
	    s == MAIL_SCOPE_MACHINE;
}

static void
check_open_relay(struct build *b, const struct conf_stmt *s,
    const struct conf_word *w)
{
	struct conf_net net;
	bool host_bits;

	/* What is no network was told already. */
	if (!build_is_main(b) || !conf_net_parse(w->s, &net, &host_bits) ||
	    net_is_local(&net))
		return;
	if (net.v6 && net.bits >= 48)
		build_warning(b, s, "`%s` is a public network: whoever is in "
		    "it may relay", w->s);
	else
		build_error(b, s, w, "`%s` makes an open relay: it reaches "
		    "beyond private, link-local and loopback networks "
		    "(open-relay-i-know-what-i-do allows that)", w->s);
}

static void
set_allow(struct build *b, void *obj, const struct conf_stmt *s,
    const struct conf_directive *d)
{
	struct conf_listen *l = obj;
	struct conf_net net;
	size_t i;

	(void)d;
	l->allow_set = true;
	for (i = 1; i < s->n; i++)
		if (value_net(b, s, &s->w[i], &net))
			value_add_net(b, &l->allow, &net);
}

/* Once it is known whether the block says that it means it. */
static void
check_allow(struct build *b, const struct conf_stmt *s)
{
	const struct conf_stmt *kid;
	size_t i, j;

	for (i = 0; i < s->n_kids; i++) {
		kid = &s->kids[i];
		if (kid->bad || !word_is(&kid->w[0], "allow"))
			continue;
		for (j = 1; j < kid->n; j++)
			check_open_relay(b, kid, &kid->w[j]);
	}
}

/* ---- listen ---- */

static void
listen_address(struct build *b, const struct conf_stmt *s,
    struct conf_listen *l)
{
	const char *name = s->w[1].s;
	struct conf_word path = s->w[1];
	unsigned char addr[16];
	char host[256];
	bool v6;

	l->name = conf_arena_strdup(b->arena, name);
	if (strncmp(name, "unix:", 5) == 0) {
		l->is_unix = true;
		path.s = name + 5;
		l->path = build_path(b, s, &path);
		if (strlen(l->path) > UNIX_PATH_MAX_LEN)
			build_error(b, s, &path, "`%s` is too long for the "
			    "name of a socket", l->path);
		return;
	}
	if (conf_split_port(name, host, sizeof(host), &l->port) == -1 ||
	    l->port == 0)
		build_error(b, s, &s->w[1], "`%s` is not ADDRESS:PORT with a "
		    "port from 1 to 65535", name);
	else if (strcmp(host, "*") != 0 && !conf_parse_ip(host, &v6, addr))
		build_error(b, s, &s->w[1], "`%s`: listen takes an IP address "
		    "or `*`", name);
	l->address = conf_arena_strdup(b->arena, l->port != 0 ? host : "*");
}

static void
set_listen_certificate(struct build *b, void *obj, const struct conf_stmt *s,
    const struct conf_directive *d)
{
	struct conf_listen *l = obj;

	(void)d;
	if (s->n == 2 && word_is(&s->w[1], "auto")) {
		l->certificate_auto = true;
		return;
	}
	build_certificate(b, s, &l->certificate, &l->key, NULL);
}

/* Two that cannot be bound side by side. */
static bool
same_place(const struct conf_listen *a, const struct conf_listen *b)
{
	if (a->is_unix || b->is_unix)
		return a->is_unix && b->is_unix &&
		    strcmp(a->path, b->path) == 0;
	return a->port == b->port && (strcmp(a->address, b->address) == 0 ||
	    strcmp(a->address, "*") == 0 || strcmp(b->address, "*") == 0);
}

static void
listen_mechanisms(struct build *b, struct conf_listen *l)
{
	static const char *const names[] = {
		"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1-PLUS",
		"SCRAM-SHA-1", "PLAIN", "LOGIN"
	};
	size_t i;

	if (l->auth_mechanisms.n > 0)
		return;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		value_add_word(b, &l->auth_mechanisms, names[i]);
	if (l->client_ca != NULL)
		value_add_word(b, &l->auth_mechanisms, "EXTERNAL");
}

static void
listen_finish(struct build *b, const struct conf_stmt *s,
    struct conf_listen *l)
{
	bool certificate = l->certificate != NULL || l->certificate_auto;
	size_t i;

	if (l->tls == TLS_UNSET)
		l->tls = !l->is_unix && l->port == 465 ? TLS_IMPLICIT :
		    certificate ? TLS_STARTTLS : TLS_OFF;
	if (l->tls != TLS_OFF && !certificate && (b->role &
	    (CONF_MONITOR | CONF_TOOL | CONF_LISTENER)) != 0 && s != NULL)
		build_error(b, s, NULL, "listen %s: TLS needs a certificate",
		    l->name);
	if (l->auth == AUTH_UNSET)
		l->auth = !l->is_unix && (l->port == 587 || l->port == 465) ?
		    AUTH_REQUIRED : AUTH_OPTIONAL;
	if (!l->allow_set && !b->tree->facts.container)
		for (i = 0; i < sizeof(loopback) / sizeof(loopback[0]); i++)
			value_add_net(b, &l->allow, &loopback[i]);
	listen_mechanisms(b, l);
}

/* Answers nobody but by numbers: any address will do. */
void
set_metrics(struct build *b, void *obj, const struct conf_stmt *s,
    const struct conf_directive *d)
{
	struct conf *conf = obj;
	struct conf_listen l;

	(void)d;
	memset(&l, 0, sizeof(l));
	listen_address(b, s, &l);
	if (l.is_unix)
		build_error(b, s, &s->w[1], "metrics: ADDRESS:PORT is "
		    "expected");
	conf->metrics = conf_arena_strdup(b->arena, s->w[1].s);
}

void
set_listen(struct build *b, void *obj, const struct conf_stmt *s,
    const struct conf_directive *d)
{
	struct conf *conf = obj;
	struct conf_listen l;
	size_t i;

	memset(&l, 0, sizeof(l));
	build_defaults(b, d->block, &l);
	l.where = build_where(b, s);
	listen_address(b, s, &l);
	build_block(b, s, d->block, &l, CTX_NONE, NULL);
	listen_finish(b, s, &l);
	if (!l.open_relay)
		check_allow(b, s);
	for (i = 0; i < conf->n_listens; i++)
		if (same_place(&conf->listens[i], &l)) {
			build_error(b, s, &s->w[1], "listen %s collides with "
			    "listen %s in %s:%u", l.name,
			    conf->listens[i].name,
			    conf->listens[i].where.file,
			    conf->listens[i].where.line);
			break;
		}
	*(struct conf_listen *)conf_arena_push(b->arena, &conf->listens,
	    &conf->n_listens, sizeof(l)) = l;
}

void
listen_defaults(struct build *b)
{
	static const char *const names[] = { "127.0.0.1:25", "[::1]:25" };
	static const char *const addresses[] = { "127.0.0.1", "::1" };
	struct conf *conf = b->conf;
	struct conf_listen *l;
	size_t i;

	if (conf->n_listens > 0)
		return;
	for (i = 0; i < 2; i++) {
		l = conf_arena_push(b->arena, &conf->listens,
		    &conf->n_listens, sizeof(*l));
		build_defaults(b, CTX_LISTEN, l);
		l->where.file = conf->path;
		l->name = conf_arena_strdup(b->arena, names[i]);
		l->address = conf_arena_strdup(b->arena, addresses[i]);
		l->port = 25;
		listen_finish(b, NULL, l);
	}
}

/* ---- client ---- */

static void
set_client_account(struct build *b, void *obj, const struct conf_stmt *s,
    const struct conf_directive *d)
{
	struct conf_client *c = obj;

	(void)d;
	c->account = conf_arena_strdup(b->arena, s->w[1].s);
	build_ref(b, s, &s->w[1], REF_ACCOUNT, NULL);
}

void
set_client(struct build *b, void *obj, const struct conf_stmt *s,
    const struct conf_directive *d)
{
	struct conf *conf = obj;
	struct conf_client c, *other;
	size_t i;
	bool good;

	memset(&c, 0, sizeof(c));
	c.where = build_where(b, s);
	good = value_net(b, s, &s->w[1], &c.net);
	build_block(b, s, d->block, &c, CTX_NONE, NULL);
	if (!good)
		return;
	if (!c.open_relay)
		check_open_relay(b, s, &s->w[1]);
	for (i = 0; i < conf->n_clients; i++) {
		other = &conf->clients[i];
		if (other->net.v6 == c.net.v6 &&
		    other->net.bits == c.net.bits &&
		    conf_net_match(&other->net, c.net.v6, c.net.addr)) {
			build_error(b, s, &s->w[1], "client %s has a block "
			    "already, in %s:%u", s->w[1].s,
			    other->where.file, other->where.line);
			return;
		}
	}
	*(struct conf_client *)conf_arena_push(b->arena, &conf->clients,
	    &conf->n_clients, sizeof(c)) = c;
}
