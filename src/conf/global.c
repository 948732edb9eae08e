/* Global statements: their table, their setters, and what holds where they
 * are not written.  Every role builds its part of them. */
#include <limits.h>
#include <string.h>

#include "base/num.h"
#include "conf/directives.h"
#include "mail/domain.h"

#define AT(field) .offset = offsetof(struct conf, field)

static conf_setter set_bounce_to, set_log, set_processes, set_resolver,
    set_warn_after;

static const struct conf_directive rows[] = {
{ "hostname", "NAME", ARG_HOST, NOW, ALL, 0, AT(hostname) },
{ "user", "NAME", ARG_STRING, NOW, M, 0, AT(user), .deflt = "smarthostd" },
{ "group", "NAME", ARG_STRING, NOW, Q | M, 0, AT(group),
    .deflt = "smarthostd" },
{ "spool-directory", "DIR", ARG_PATH, NOW, Q | M, 0, AT(spool_directory),
    .deflt = "/var/spool/smarthostd" },
{ "runtime-directory", "DIR", ARG_PATH, NOW, Q | M, 0,
    AT(runtime_directory), .deflt = "/run/smarthostd" },
{ "disk-reserve", "SIZE", ARG_SIZE, NOW, Q, 0, AT(disk_reserve) },
{ "probe", "DURATION...", ARG_DURATIONS, NOW, Q, LIST, AT(probe),
    .deflt = "5s 10s 30s 1m 2m 5m" },
{ "probe-auth", "DURATION...", ARG_DURATIONS, NOW, Q, LIST,
    AT(probe_auth), .deflt = "5m 15m 1h 4h" },
{ "postmaster", "ADDRESS", ARG_ADDRESS, NOW, Q, 0, AT(postmaster) },
{ "bounce-from", "<>|ADDRESS", ARG_SENDER, NOW, Q, 0, AT(bounce_from),
    .deflt = "<>" },
{ "bounce-to", "sender|postmaster", ARG_CUSTOM, NOW, Q, 0, AT(bounce_to),
    .set = set_bounce_to, .min = 1, .max = 1 },
{ "log", "stderr|syslog|FILE [text|json] [error|warn|info|debug]",
    ARG_CUSTOM, NOW, ALL, 0, 0, .set = set_log, .min = 1, .max = 3 },
{ "max-message-size", "SIZE", ARG_SIZE, NOW, L | Q, 0,
    AT(max_message_size), .deflt = "50M" },
{ "max-recipients", "N", ARG_COUNT, NOW, L | Q, 0, AT(max_recipients),
    .deflt = "1000" },
{ "retry", "DURATION...", ARG_DURATIONS, NOW, Q, LIST, AT(retry),
    .deflt = "1m 3m 5m 10m 15m 30m 1h" },
{ "expire", "DURATION", ARG_DURATION, NOW, Q, 0, AT(expire),
    .deflt = "4d" },
{ "expire-max", "DURATION", ARG_DURATION, NOW, Q, 0, AT(expire_max),
    .deflt = "30d" },
{ "warn-after", "DURATION|off", ARG_CUSTOM, NOW, Q, 0, AT(warn_after),
    .set = set_warn_after, .min = 1, .max = 1, .deflt = "4h" },
{ "resolver", "ADDRESS[:PORT]...", ARG_CUSTOM, NOW, D | A, LIST, AT(resolver),
    .set = set_resolver, .min = 1, .max = CONF_MANY },
{ "dnssec", "on|off", ARG_BOOL, NOW, D | A, 0, AT(dnssec), .deflt = "on" },
{ "trust-anchor", "FILE", ARG_FILE, NOW, D | A, 0, AT(trust_anchor) },
{ "tls-ca", "FILE", ARG_FILE, NOW, D | A, 0, AT(tls_ca) },
{ "aliases", "FILE", ARG_ALIASES, NOW, Q, 0, AT(aliases) },
{ "local-domains", "NAME...", ARG_HOSTS, NOW, L | Q, LIST,
    AT(local_domains) },
{ "qualify-domain", "NAME", ARG_HOST, NOW, L | Q, 0, AT(qualify_domain) },
{ "login-file", "FILE", ARG_LOGINS, NOW, L | Q | A, 0, 0,
    .set = set_login_file, .min = 1, .max = 1 },
{ "metrics", "ADDRESS:PORT", ARG_CUSTOM, NOW, M, 0, 0, .set = set_metrics,
    .min = 1, .max = 1 },
{ "dashboard", "ADDRESS:PORT", ARG_STRING, LATER, M, 0, NOWHERE },
{ "processes", "listener N delivery N", ARG_CUSTOM, NOW, Q | M, 0, 0,
    .set = set_processes, .min = 2, .max = 4,
    .deflt = "listener 1 delivery 1" },
{ "listen", "ADDRESS:PORT|unix:PATH { }", ARG_CUSTOM, NOW, L | Q | D,
    LIST | BLOCK_MAY, 0, .set = set_listen, .min = 1, .max = 1,
    .block = CTX_LISTEN },
{ "client", "NETWORK { }", ARG_CUSTOM, NOW, L | Q, LIST | BLOCK_MAY, 0,
    .set = set_client, .min = 1, .max = 1, .block = CTX_CLIENT },
{ "login", "NAME { }", ARG_CUSTOM, NOW, L | Q | A, LIST | BLOCK, 0,
    .set = set_login, .min = 1, .max = 1, .block = CTX_LOGIN },
{ "account", "NAME { }", ARG_CUSTOM, NOW, L | Q | D | A, LIST | BLOCK_MAY,
    0, .set = set_account, .min = 1, .max = 1, .block = CTX_ACCOUNT },
{ "transport", "NAME { }", ARG_CUSTOM, NOW, Q | D | A, LIST | BLOCK, 0,
    .set = set_transport, .min = 1, .max = 1, .block = CTX_TRANSPORT },
{ "domain", "PATTERN { }", ARG_CUSTOM, NOW, Q, LIST | BLOCK, 0,
    .set = set_domain, .min = 1, .max = 1, .block = CTX_DOMAIN },
{ "route", "[from PATTERN...] [to PATTERN...] [attempts N] [login NAME...] "
    "[client NETWORK...] [larger SIZE] [age DURATION] via TRANSPORT...",
    ARG_CUSTOM, NOW, Q, LIST, 0, .set = set_route, .min = 1,
    .max = CONF_MANY },
{ "token-server", "unix:PATH { }", ARG_CUSTOM, NOW, A, LIST | BLOCK,
    0, .set = set_token_server, .min = 1, .max = 1,
    .block = CTX_TOKEN_SERVER },
{ "alert", "{ }", ARG_CUSTOM, NOW, Q | M, BLOCK, 0, .set = set_alert,
    .block = CTX_ALERT },
};

const struct conf_table conf_table_global = {
	"among the global statements", rows, sizeof(rows) / sizeof(rows[0])
};

static const struct conf_choice bounce_choices[] = {
	{ "sender", BOUNCE_TO_SENDER, NOW },
	{ "postmaster", BOUNCE_TO_POSTMASTER, NOW },
	{ NULL, 0, NOW }
};

static void
set_bounce_to(struct build *b, void *obj, const struct conf_stmt *s,
    const struct conf_directive *d)
{
	struct conf *conf = obj;
	int value;

	(void)d;
	if (value_choice(b, s, &s->w[1], bounce_choices, &value))
		conf->bounce_to = (enum conf_bounce_to)value;
}

static void
set_warn_after(struct build *b, void *obj, const struct conf_stmt *s,
    const struct conf_directive *d)
{
	struct conf *conf = obj;

	(void)d;
	if (word_is(&s->w[1], "off"))
		conf->warn_after = 0;
	else
		value_duration(b, s, &s->w[1], &conf->warn_after);
}

static const struct conf_choice log_words[] = {
	{ "text", 0x100 + LOG_TEXT, NOW },
	{ "json", 0x100 + LOG_JSON, NOW },
	{ "error", LL_ERROR, NOW },
	{ "warn", LL_WARN, NOW },
	{ "info", LL_INFO, NOW },
	{ "debug", LL_DEBUG, NOW },
	{ NULL, 0, NOW }
};

static void
set_log_target(struct build *b, struct conf *conf, const struct conf_stmt *s)
{
	static const char *const targets[] = { "stderr", "syslog" };
	const struct conf_word *w = &s->w[1];
	char buf[64];

	if (word_is(w, "stderr")) {
		conf->log_to = CONF_LOG_STDERR;
	} else if (word_is(w, "syslog")) {
		conf->log_to = CONF_LOG_SYSLOG;
	} else if (!w->quoted && strpbrk(w->s, "/.") == NULL &&
	    conf_suggest(w->s, targets, 2) != NULL) {
		build_error(b, s, w, "`%s` is not stderr, syslog or a file%s",
		    w->s, conf_suggestion(w->s, targets, 2, buf,
		    sizeof(buf)));
	} else {
		conf->log_to = CONF_LOG_FILE;
		conf->log_file = build_path(b, s, w);
	}
}

static void
set_log(struct build *b, void *obj, const struct conf_stmt *s,
    const struct conf_directive *d)
{
	struct conf *conf = obj;
	bool format = false, level = false;
	size_t i;
	int value;

	(void)d;
	conf->log_set = true;
	set_log_target(b, conf, s);
	for (i = 2; i < s->n; i++) {
		if (!value_choice(b, s, &s->w[i], log_words, &value))
			continue;
		if (value >= 0x100 ? format : level) {
			build_error(b, s, &s->w[i], "`%s` is one too many: "
			    "log takes one format and one level", s->w[i].s);
		} else if (value >= 0x100) {
			conf->log_format = (enum log_format)(value - 0x100);
			format = true;
		} else {
			conf->log_level = (enum log_level)value;
			level = true;
		}
	}
}

static void
set_processes(struct build *b, void *obj, const struct conf_stmt *s,
    const struct conf_directive *d)
{
	static const char *const names[] = { "listener", "delivery" };
	struct conf *conf = obj;
	uint64_t n;
	size_t i;
	char buf[64];

	(void)d;
	for (i = 1; i < s->n; i += 2) {
		if (!word_is(&s->w[i], names[0]) &&
		    !word_is(&s->w[i], names[1])) {
			build_error(b, s, &s->w[i],
			    "`%s` is not listener or delivery%s", s->w[i].s,
			    conf_suggestion(s->w[i].s, names, 2, buf,
			    sizeof(buf)));
		} else if (i + 1 >= s->n) {
			build_error(b, s, &s->w[i],
			    "a number is missing behind `%s`", s->w[i].s);
		} else if (value_number(b, s, &s->w[i + 1], 64, &n)) {
			if (word_is(&s->w[i], names[0]))
				conf->listeners = (unsigned)n;
			else
				conf->deliveries = (unsigned)n;
		}
	}
}

static void
set_resolver(struct build *b, void *obj, const struct conf_stmt *s,
    const struct conf_directive *d)
{
	struct conf *conf = obj;
	struct conf_host host;
	unsigned char addr[16];
	size_t i;
	bool v6;

	(void)d;
	for (i = 1; i < s->n; i++) {
		if (!value_host_port(b, s, &s->w[i], &host))
			continue;
		if (conf_parse_ip(host.name, &v6, addr))
			value_add_word(b, &conf->resolver, s->w[i].s);
		else
			build_error(b, s, &s->w[i],
			    "`%s` is not the address of a resolver",
			    s->w[i].s);
	}
}

/* A list that the configuration does not mention. */
static void
default_durations(struct build *b, struct conf_durations *list,
    const char *name)
{
	const struct conf_directive *d = conf_directive_find(CTX_GLOBAL, name);
	struct slice rest = slice_cstr(d->deflt), word;
	uint64_t ms;

	if (list->n > 0)
		return;
	while (slice_word(&rest, &word))
		if (num_duration(word, &ms))
			*(uint64_t *)conf_arena_push(b->arena, &list->v,
			    &list->n, sizeof(ms)) = ms;
}

static void
default_from_facts(struct build *b)
{
	const struct conf_facts *facts = &b->tree->facts;
	struct conf *conf = b->conf;
	size_t i;

	if (conf->hostname == NULL)
		conf->hostname = conf_arena_strdup(b->arena,
		    facts->hostname != NULL ? facts->hostname : "localhost");
	if (conf->resolver.n == 0)
		for (i = 0; i < facts->resolvers.n; i++)
			value_add_word(b, &conf->resolver,
			    facts->resolvers.v[i]);
	if (conf->tls_ca == NULL)
		conf->tls_ca = conf_arena_strdup(b->arena, facts->tls_ca);
	if (conf->trust_anchor == NULL)
		conf->trust_anchor = conf_arena_strdup(b->arena,
		    facts->trust_anchor);
	conf->etc_hosts = conf_arena_strdup(b->arena, facts->etc_hosts);
}

void
global_defaults(struct build *b)
{
	struct conf *conf = b->conf;
	struct strbuf buf = STRBUF_INIT;

	default_from_facts(b);
	default_durations(b, &conf->probe, "probe");
	default_durations(b, &conf->probe_auth, "probe-auth");
	default_durations(b, &conf->retry, "retry");
	if (conf->postmaster == NULL) {
		strbuf_printf(&buf, "postmaster@%s", conf->hostname);
		conf->postmaster = conf_arena_strdup(b->arena,
		    strbuf_cstr(&buf));
		strbuf_free(&buf);
	}
	if (conf->local_domains.n == 0) {
		value_add_word(b, &conf->local_domains, "localhost");
		if (strcmp(conf->hostname, "localhost") != 0)
			value_add_word(b, &conf->local_domains,
			    conf->hostname);
	}
	if (conf->qualify_domain == NULL)
		conf->qualify_domain = conf->hostname;
}
