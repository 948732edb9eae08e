/* The statements of a transport, in a `transport` block or in an account.
 * monitor, queue, delivery and auth build their parts. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "conf/command_line.h"
#include "conf/directives.h"
#include "conf/mda_line.h"
#include "conf/provider.h"

#define AT(field) .offset = offsetof(struct conf_transport, field)

static conf_setter set_direct, set_smarthost, set_submission, set_provider,
    set_lmtp, set_mda, set_maildir, set_discard, set_fail, set_port,
    set_verify, set_fingerprint, set_transport_certificate, set_password;

static const struct conf_choice tls_choices[] = {
	{ "opportunistic", TLS_OPPORTUNISTIC, NOW },
	{ "required", TLS_REQUIRED, NOW },
	{ "implicit", TLS_IMPLICIT, NOW },
	{ "off", TLS_OFF, NOW },
	{ NULL, 0, NOW }
};

static const struct conf_choice verify_choices[] = {
	{ "on", VERIFY_ON, NOW },
	{ "off", VERIFY_OFF, NOW },
	{ "dane", VERIFY_DANE, NOW },
	{ NULL, 0, NOW }
};

static const struct conf_choice spf_choices[] = {
	{ "warn", SPF_CHECK_WARN, NOW },
	{ "skip", SPF_CHECK_SKIP, NOW },
	{ "off", SPF_CHECK_OFF, NOW },
	{ NULL, 0, NOW }
};

#define NOT_OWN (KIND | NOT_IN_ACCOUNT)

static const struct conf_directive rows[] = {
{ "direct", "", ARG_CUSTOM, NOW, Q | D | A, NOT_OWN, 0,
    .set = set_direct },
{ "smarthost", "HOST[:PORT]...", ARG_CUSTOM, NOW, Q | D | A, NOT_OWN, 0,
    .set = set_smarthost, .min = 1, .max = CONF_MANY },
{ "submission", "HOST[:PORT]...", ARG_CUSTOM, NOW, Q | D | A, KIND, 0,
    .set = set_submission, .min = 1, .max = CONF_MANY },
{ "provider", "NAME", ARG_CUSTOM, NOW, Q | D | A, KIND, 0,
    .set = set_provider, .min = 1, .max = 1 },
{ "lmtp", "HOST:PORT|unix:PATH", ARG_CUSTOM, NOW, Q | D, NOT_OWN, 0,
    .set = set_lmtp, .min = 1, .max = 1 },
{ "mda", "\"PROGRAM ARG...\"", ARG_CUSTOM, NOW, Q | D, NOT_OWN, 0,
    .set = set_mda, .min = 1, .max = 1 },
{ "maildir", "PATH", ARG_PATH, NOW, Q | D, NOT_OWN, AT(maildir),
    .set = set_maildir, .min = 1, .max = 1 },
{ "discard", "", ARG_CUSTOM, NOW, Q | D, NOT_OWN, 0, .set = set_discard },
{ "fail", "CODE \"TEXT\"", ARG_CUSTOM, NOW, Q | D, NOT_OWN, 0,
    .set = set_fail, .min = 2, .max = 2 },
{ "port", "N", ARG_CUSTOM, NOW, Q | D, NOT_IN_ACCOUNT, AT(direct_port),
    .set = set_port, .min = 1, .max = 1, .deflt = "25" },
{ "tls", "opportunistic|required|implicit|off", ARG_CHOICE, NOW, Q | D | A,
    NETWORK, AT(tls), .choices = tls_choices },
{ "tls-verify", "on|off|dane", ARG_CUSTOM, NOW, Q | D | A, NETWORK, 0,
    .set = set_verify, .min = 1, .max = 1 },
{ "tls-fingerprint", "HEX... | spki:HEX...", ARG_CUSTOM, NOW, Q | D | A,
    LIST | NETWORK, 0, .set = set_fingerprint, .min = 1, .max = CONF_MANY },
{ "tls-name", "NAME", ARG_HOST, NOW, Q | D | A, NETWORK, AT(tls_name) },
{ "tls-ca", "FILE", ARG_FILE, NOW, D, NETWORK, AT(tls_ca) },
{ "certificate", "FILE [key FILE] [passphrase file FILE]", ARG_CERTIFICATE,
    NOW, D, NETWORK | SHADOW, 0, .set = set_transport_certificate,
    .min = 1, .max = 6 },
{ "min-tls", "1.0|1.1|1.2|1.3", ARG_CHOICE, NOW, Q | D, NETWORK,
    AT(min_tls), .choices = conf_choices_min_tls, .deflt = "1.2" },
{ "username", "NAME", ARG_STRING, NOW, Q | D | A, NETWORK, AT(username) },
{ "password", "VALUE | file FILE | command \"PROGRAM ARG...\" [as USER] | "
    "credential NAME", ARG_SECRET, NOW, A, NETWORK | SHADOW, AT(password),
    .set = set_password, .min = 1, .max = 4,
    .choices = conf_secret_transport },
{ "oauth2", "token-file FILE | cms-socket PATH | command \"PROGRAM ARG...\" "
    "| { }", ARG_CUSTOM, NOW, A, NETWORK | SHADOW | BLOCK_MAY, 0,
    .set = set_oauth2, .min = 0, .max = 4, .block = CTX_OAUTH2 },
{ "kerberos", "keytab FILE | cache NAME [as USER]", ARG_KERBEROS, NOW, M,
    NETWORK | SHADOW, 0, .set = set_kerberos, .min = 2, .max = 4 },
{ "auth-mechanisms", "NAME...", ARG_MECHANISMS, NOW, Q | D | A,
    LIST | NETWORK, AT(auth_mechanisms) },
{ "socks5", "HOST:PORT { }", ARG_CUSTOM, NOW, Q | D | A,
    LIST | NETWORK | BLOCK_MAY, 0, .set = set_socks5, .min = 1, .max = 1,
    .block = CTX_SOCKS5 },
{ "spf-check", "warn|skip|off", ARG_CHOICE, NOW, Q | D, NETWORK,
    AT(spf_check), .choices = spf_choices, .deflt = "warn" },
{ "source-address", "IP...", ARG_IPS, NOW, Q | D, LIST | NETWORK,
    AT(source_address) },
{ "ipv4", "on|off", ARG_SWITCH, NOW, Q | D, NETWORK, AT(ipv4) },
{ "ipv6", "on|off", ARG_SWITCH, NOW, Q | D, NETWORK, AT(ipv6) },
{ "helo", "NAME", ARG_HOST, NOW, Q | D, NETWORK, AT(helo) },
{ "connections", "N", ARG_COUNT, NOW, Q | D, 0, AT(connections),
    .deflt = "20" },
{ "connections-per-host", "N", ARG_COUNT, NOW, Q | D, NETWORK,
    AT(connections_per_host), .deflt = "10" },
{ "messages-per-connection", "N", ARG_COUNT, NOW, Q | D, NETWORK,
    AT(messages_per_connection), .deflt = "100" },
{ "recipients-per-message", "N", ARG_COUNT, NOW, Q | D, 0,
    AT(recipients_per_message), .deflt = "100" },
{ "rate", "N/DURATION", ARG_RATE, NOW, Q, 0, AT(rate) },
{ "daily", "N", ARG_NUMBER, NOW, Q, 0, AT(daily) },
{ "idle-timeout", "DURATION", ARG_DURATION, NOW, Q | D, NETWORK,
    AT(idle_timeout), .deflt = "30s" },
{ "connect-timeout", "DURATION", ARG_DURATION, NOW, Q | D, NETWORK,
    AT(connect_timeout), .deflt = "30s" },
{ "timeout", "DURATION", ARG_DURATION, NOW, Q | D, 0, AT(timeout) },
{ "max-message-size", "SIZE", ARG_SIZE, NOW, Q | D, 0,
    AT(max_message_size) },
{ "probe", "DURATION...", ARG_DURATIONS, NOW, Q, LIST | NETWORK,
    AT(probe) },
};

const struct conf_table conf_table_transport = {
	"in a `transport` block", rows, sizeof(rows) / sizeof(rows[0])
};

/* ---- kinds ---- */

/* False: it has a kind already. */
static bool
take_kind(struct build *b, const struct conf_stmt *s,
    struct conf_transport *t, enum conf_transport_kind kind)
{
	if (t->kind_set) {
		build_error(b, s, NULL, "a transport does one thing: "
		    "`%s` is a second one", s->w[0].s);
		return false;
	}
	t->kind = kind;
	t->kind_set = true;
	return true;
}

static void
set_hosts(struct build *b, const struct conf_stmt *s,
    struct conf_transport *t)
{
	struct conf_host host;
	size_t i;

	for (i = 1; i < s->n; i++)
		if (value_host_port(b, s, &s->w[i], &host))
			*(struct conf_host *)conf_arena_push(b->arena,
			    &t->hosts, &t->n_hosts, sizeof(host)) = host;
}

static void
set_direct(struct build *b, void *obj, const struct conf_stmt *s,
    const struct conf_directive *d)
{
	(void)d;
	take_kind(b, s, obj, TRANSPORT_DIRECT);
}

static void
set_smarthost(struct build *b, void *obj, const struct conf_stmt *s,
    const struct conf_directive *d)
{
	struct conf_transport *t = obj;
	struct conf_host host;

	(void)d;
	if (!take_kind(b, s, t, TRANSPORT_SMARTHOST))
		return;
	if (s->n != 3 || !word_is(&s->w[1], "mx")) {
		set_hosts(b, s, t);
		return;
	}
	memset(&host, 0, sizeof(host));
	host.mx = true;
	if ((host.name = value_host(b, s, &s->w[2])) != NULL)
		*(struct conf_host *)conf_arena_push(b->arena, &t->hosts,
		    &t->n_hosts, sizeof(host)) = host;
}

static void
set_submission(struct build *b, void *obj, const struct conf_stmt *s,
    const struct conf_directive *d)
{
	(void)d;
	if (take_kind(b, s, obj, TRANSPORT_SUBMISSION))
		set_hosts(b, s, obj);
}

static void
set_provider(struct build *b, void *obj, const struct conf_stmt *s,
    const struct conf_directive *d)
{
	const struct conf_provider *p = conf_provider_find(s->w[1].s);
	struct conf_transport *t = obj;
	struct conf_host host;
	char name[256];

	(void)d;
	if (!take_kind(b, s, t, TRANSPORT_SUBMISSION))
		return;
	if (p == NULL) {
		build_error(b, s, &s->w[1], "there is no provider `%s`%s "
		    "(`relayctl providers` lists them)", s->w[1].s,
		    conf_provider_suggest(s->w[1].s, name, sizeof(name)));
		return;
	}
	t->provider = conf_arena_strdup(b->arena, s->w[1].s);
	memset(&host, 0, sizeof(host));
	host.name = conf_arena_strdup(b->arena, conf_provider_host(p,
	    s->w[1].s, name, sizeof(name)));
	host.port = p->port;
	*(struct conf_host *)conf_arena_push(b->arena, &t->hosts, &t->n_hosts,
	    sizeof(host)) = host;
}

static void
set_lmtp(struct build *b, void *obj, const struct conf_stmt *s,
    const struct conf_directive *d)
{
	struct conf_transport *t = obj;
	struct conf_word path = s->w[1];

	(void)d;
	if (!take_kind(b, s, t, TRANSPORT_LMTP))
		return;
	if (strncmp(s->w[1].s, "unix:", 5) == 0) {
		path.s += 5;
		t->lmtp_path = build_path(b, s, &path);
	} else {
		set_hosts(b, s, t);
		if (t->n_hosts > 0 && t->hosts[0].port == 0)
			build_error(b, s, NULL, "lmtp: HOST:PORT, there is "
			    "no usual port (24 and 2003 are common)");
	}
}

static int
find_program(const char *line, struct err *e)
{
	char **argv = conf_command_split(line, e);
	char *path = argv != NULL ? conf_command_find(argv[0], e) : NULL;
	int rc = path != NULL ? 0 : -1;

	free(path);
	conf_command_free(&argv);
	return rc;
}

static void
set_mda(struct build *b, void *obj, const struct conf_stmt *s,
    const struct conf_directive *d)
{
	struct conf_transport *t = obj;
	struct err e = { 0, "" };

	(void)d;
	if (!take_kind(b, s, t, TRANSPORT_MDA))
		return;
	t->mda = conf_arena_strdup(b->arena, s->w[1].s);
	if (mda_line_check(t->mda, &t->mda_all, &e) < 0 ||
	    (b->check_files && find_program(t->mda, &e) < 0))
		build_error(b, s, &s->w[1], "mda: %s", e.text);
}

static void
set_maildir(struct build *b, void *obj, const struct conf_stmt *s,
    const struct conf_directive *d)
{
	struct conf_transport *t = obj;

	(void)d;
	if (take_kind(b, s, t, TRANSPORT_MAILDIR))
		t->maildir = build_path(b, s, &s->w[1]);
}

static void
set_discard(struct build *b, void *obj, const struct conf_stmt *s,
    const struct conf_directive *d)
{
	(void)d;
	take_kind(b, s, obj, TRANSPORT_DISCARD);
}

static void
set_fail(struct build *b, void *obj, const struct conf_stmt *s,
    const struct conf_directive *d)
{
	struct conf_transport *t = obj;
	uint64_t code;

	(void)d;
	if (!take_kind(b, s, t, TRANSPORT_FAIL))
		return;
	if (!num_u64(slice_cstr(s->w[1].s), 599, &code) || code < 400)
		build_error(b, s, &s->w[1], "`%s` is not a reply code from "
		    "400 to 599", s->w[1].s);
	else
		t->fail_code = (unsigned)code;
	t->fail_text = conf_arena_strdup(b->arena, s->w[2].s);
}

static void
set_port(struct build *b, void *obj, const struct conf_stmt *s,
    const struct conf_directive *d)
{
	struct conf_transport *t = obj;
	uint64_t port;

	(void)d;
	if (value_number(b, s, &s->w[1], 65535, &port))
		t->direct_port = (unsigned)port;
}

/* ---- TLS and credentials ---- */

static void
set_verify(struct build *b, void *obj, const struct conf_stmt *s,
    const struct conf_directive *d)
{
	struct conf_transport *t = obj;
	int v;

	(void)d;
	if (!value_choice(b, s, &s->w[1], verify_choices, &v))
		return;
	t->tls_verify = (enum conf_tls_verify)v;
	t->tls_verify_off_written = v == VERIFY_OFF;
}

/* SHA-256 in hex without colons, lower case; false: it is none. */
static bool
fingerprint(const char *text, char out[5 + 64 + 1])
{
	size_t n = 0;

	if (strncmp(text, "spki:", 5) == 0) {
		memcpy(out, text, 5);
		out += 5;
		text += 5;
	}
	for (; *text != '\0'; text++) {
		if (*text == ':')
			continue;
		if (!isxdigit((unsigned char)*text) || n == 64)
			return false;
		out[n++] = (char)tolower((unsigned char)*text);
	}
	out[n] = '\0';
	return n == 64;
}

static void
set_fingerprint(struct build *b, void *obj, const struct conf_stmt *s,
    const struct conf_directive *d)
{
	struct conf_transport *t = obj;
	char hex[5 + 64 + 1];
	size_t i;

	(void)d;
	for (i = 1; i < s->n; i++) {
		if (fingerprint(s->w[i].s, hex))
			value_add_word(b, &t->tls_fingerprint, hex);
		else
			build_error(b, s, &s->w[i], "`%s` is not a SHA-256 "
			    "fingerprint: 64 hex digits, colons between them "
			    "or not", s->w[i].s);
	}
}

static void
set_transport_certificate(struct build *b, void *obj,
    const struct conf_stmt *s, const struct conf_directive *d)
{
	struct conf_transport *t = obj;

	(void)d;
	t->has_certificate = true;
	if (!s->hidden)
		build_certificate(b, s, &t->certificate, &t->key,
		    &t->passphrase);
}

static void
set_password(struct build *b, void *obj, const struct conf_stmt *s,
    const struct conf_directive *d)
{
	struct conf_transport *t = obj;

	set_secret(b, obj, s, d);
	t->has_credential = true;
}

/* ---- the block ---- */

void
transport_init(struct build *b, const struct conf_stmt *s,
    struct conf_transport *t)
{
	memset(t, 0, sizeof(*t));
	t->where = build_where(b, s);
	t->name = conf_arena_strdup(b->arena, s->w[1].s);
	t->direct_port = 25;
	build_defaults(b, CTX_TRANSPORT, t);
}

void
transport_built_in(struct build *b)
{
	struct conf_transport *t = conf_arena_alloc(b->arena, sizeof(*t));

	memset(t, 0, sizeof(*t));
	t->name = conf_arena_strdup(b->arena, "direct");
	t->kind = TRANSPORT_DIRECT;
	t->kind_set = true;
	t->direct_port = 25;
	build_defaults(b, CTX_TRANSPORT, t);
	t->tls = TLS_OPPORTUNISTIC;
	t->tls_verify = VERIFY_OFF;
	t->dane = t->mta_sts = true;
	b->conf->direct = t;
}

void
set_transport(struct build *b, void *obj, const struct conf_stmt *s,
    const struct conf_directive *d)
{
	struct conf *conf = obj;
	struct conf_transport t;
	size_t errors = b->notes->n_errors;

	transport_init(b, s, &t);
	if (t.name[0] == '\0')
		build_error(b, s, &s->w[1], "transport: the name is empty");
	if (strcmp(t.name, "direct") == 0)
		build_error(b, s, &s->w[1], "`direct` is built in; a "
		    "transport needs another name");
	build_block(b, s, d->block, &t, CTX_NONE, NULL);
	if (!t.kind_set && b->notes->n_errors == errors && build_is_main(b))
		build_error(b, s, NULL, "transport `%s` does nothing: one of "
		    "direct, smarthost, submission, maildir, discard or "
		    "fail is missing", t.name);
	transport_finish(b, s, &t);
	*(struct conf_transport *)conf_arena_push(b->arena,
	    &conf->transports, &conf->n_transports, sizeof(t)) = t;
}
