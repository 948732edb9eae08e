/* Mistakes in a configuration: each is told with its place, all in one run,
 * and no secret with them. */
#include "conf/fixture.h"

#include <string.h>

static void
misspelt_statements_get_a_suggestion(void **state)
{
	(void)state;
	expect_error("expyre 4d\n",
	    "unknown statement `expyre`, did you mean `expire`?");
	expect_error("hostnam x.test\n", "did you mean `hostname`?");
	expect_error("rotue via x\n", "did you mean `route`?");
	expect_error("listen 127.0.0.1:25 { alow 10.0.0.0/8 }\n",
	    "did you mean `allow`?");
	expect_error("xyzzy 1\n",
	    "unknown statement `xyzzy` among the global statements");
	expect_error("smarthost h\n", "`smarthost` has no place among the "
	    "global statements; it belongs in a `transport` block");
	expect_error("\"hostname\" x\n", "a quoted word is a value");
}

static void
arguments_are_counted(void **state)
{
	(void)state;
	expect_error("hostname\n", "hostname: arguments are missing: "
	    "hostname NAME");
	expect_error("hostname a b\n", "hostname: too many arguments");
	expect_error("hostname a { }\n", "hostname takes no block");
	expect_error("transport x\n", "transport needs a block");
	expect_error("transport x { discard now }\n",
	    "discard: too many arguments");
	expect_errors("hostname a\nhostname b\n",
	    "t.conf:2: hostname stands twice; the first is in line 1\n");
	expect_errors("retry 1m\nretry 2m\nlocal-domains a\n"
	    "local-domains b\n", "");
}

static void
values_are_checked(void **state)
{
	static const struct {
		const char *text, *words;
	} cases[] = {
	{ "expire 5parsecs\n", "`5parsecs` is not a duration" },
	{ "expire 0s\n", "is nothing" },
	{ "max-message-size 5Q\n", "`5Q` is not a size" },
	{ "max-recipients 0\n", "`0` is not a number from 1" },
	{ "max-recipients many\n", "`many` is not a number" },
	{ "hostname a..b\n", "`a..b` is not a host" },
	{ "hostname [192.0.2.1]\n", "is not a host" },
	{ "postmaster root\n", "`root` is not an address" },
	{ "bounce-from root\n", "`root` is not an address or <>" },
	{ "bounce-to nobody\n", "not one of sender, postmaster" },
	{ "bounce-to sendr\n", "did you mean `sender`?" },
	{ "dnssec maybe\n", "`maybe` is not one of on, off" },
	{ "log sderr\n", "did you mean `stderr`?" },
	{ "log stderr texd\n", "did you mean `text`?" },
	{ "log stderr text json\n", "one too many" },
	{ "log stderr info debug\n", "one too many" },
	{ "warn-after never\n", "`never` is not a duration" },
	{ "resolver example.net\n", "is not the address of a resolver" },
	{ "resolver 192.0.2.1:0\n", "port from 1 to 65535" },
	{ "processes listner 2\n", "did you mean `listener`?" },
	{ "processes listener 2 delivery\n", "a number is missing" },
	{ "processes listener 65\n", "from 1 to 64" },
	{ "local-domains a b..c\n", "`b..c` is not" },
	{ "listen 127.0.0.1\n", "is not ADDRESS:PORT" },
	{ "listen 127.0.0.1:99999 { }\n", "is not ADDRESS:PORT" },
	{ "listen 127.0.0.1:0 { }\n", "is not ADDRESS:PORT" },
	{ "listen localhost:25 { }\n", "takes an IP address" },
	{ "listen ::1:25 { }\n", "is not ADDRESS:PORT" },
	{ "listen [::1]25 { }\n", "is not ADDRESS:PORT" },
	{ "listen *:25 { allow 10.0.0.0/33 }\n", "is not a network" },
	{ "listen *:25 { allow 300.0.0.1 }\n", "is not a network" },
	{ "listen *:25 { allow fe80::/129 }\n", "is not a network" },
	{ "listen *:25 { allow lan }\n", "`lan` is not a network" },
	{ "listen *:25 { tls sometimes }\n", "not one of starttls" },
	{ "listen *:25 { min-tls 1.4 }\n", "not one of 1.0" },
	{ "listen *:25 { rate 30 }\n", "`30` is not a rate" },
	{ "listen *:25 { rate 0/1m }\n", "is not a rate" },
	{ "listen *:25 { auth-mechanisms PLAN }\n", "did you mean `PLAIN`?" },
	{ "listen *:25 { auth-mechanisms DIGEST-MD5 }\n",
	    "auth-mechanisms DIGEST-MD5: not supported yet" },
	{ "listen *:25 { auth-mechanisms GSSAPI }\n",
	    "auth-mechanisms GSSAPI: not supported yet" },
	{ "transport t { submission h; auth-mechanisms GSSAPI }\n",
	    "auth-mechanisms GSSAPI needs `kerberos`" },
	{ "transport t { submission h; kerberos keytab k; auth-mechanisms "
	    "PLAIN }\n", "which `auth-mechanisms` leaves out" },
	{ "transport t { submission h; kerberos keytab k; username u; "
	    "password p }\n", "a password and kerberos" },
	{ "transport t { submission h; kerberos keytab k; username u; oauth2 "
	    "cms-socket /s }\n", "oauth2 and kerberos" },
	{ "transport t { submission h; kerberos keytab k as u }\n",
	    "kerberos is written kerberos keytab FILE | cache NAME" },
	{ "transport t { submission h; kerberos ticket k }\n",
	    "kerberos is written" },
	{ "transport t { submission h; kerberos keytab k; kerberos cache "
	    "/c }\n", "kerberos" },
	{ "transport t { submission h; kerberos cache c }\n",
	    "`c` is neither an absolute path nor TYPE:NAME" },
	{ "transport t { submission h; kerberos cache FILE:c }\n",
	    "neither an absolute path" },
	{ "transport t { submission h; kerberos cache MEMORY:c }\n",
	    "a keytab needs no cache" },
	{ "transport t { submission h; kerberos cache /c as "
	    "nobody-of-this-name }\n", "there is no user" },
	{ "listen *:25 { tls required }\n", "TLS needs a certificate" },
	{ "listen *:465 { }\n", "TLS needs a certificate" },
	{ "client 300.0.0.1 { }\n", "is not a network" },
	{ "client 10.0.0.1 { recipients a@b@ }\n", "is not a pattern" },
	{ "account a { senders a..b }\n", "is not a pattern" },
	{ "account a { use-by uid nobody-of-this-name }\n",
	    "there is no user" },
	{ "account a { use-by uid }\n", "names are missing" },
	{ "domain a..b { }\n", "`a..b` is not a pattern" },
	{ "account \"\" { }\n", "the name is empty" },
	{ "login x { account a }\naccount a { }\n", "has no password" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		expect_error(cases[i].text, cases[i].words);
}

static void
transports_are_checked(void **state)
{
	static const struct {
		const char *statements, *words;
	} cases[] = {
	{ "", "does nothing" },
	{ "discard; smarthost h", "is a second one" },
	{ "smarthost h:99999", "port from 1 to 65535" },
	{ "smarthost 300.1.1.1", "is not a host name or address" },
	{ "smarthost [::1", "is not HOST:PORT" },
	{ "smarthost a..b", "is not a host name" },
	{ "smarthost h; tls maybe", "not one of opportunistic" },
	{ "smarthost h; tls requird", "did you mean `required`?" },
	{ "smarthost h; tls-fingerprint abcd", "64 hex digits" },
	{ "smarthost h; tls-fingerprint spki:abcg", "64 hex digits" },
	{ "smarthost h; tls opportunistic; tls-verify on",
	    "`tls opportunistic` does not go with tls-verify" },
	{ "smarthost h; tls off; tls-verify on", "does not go with" },
	{ "smarthost h; tls opportunistic; tls-fingerprint aaaaaaaaaaaaaaaa"
	    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	    "does not go with tls-fingerprint" },
	{ "submission a:465 b:587; username u; password p",
	    "port 465 takes another mode of TLS" },
	{ "submission h; username u", "a username, but no password" },
	{ "submission h; password p", "a password, but no username" },
	{ "submission h; username \"\"; password p", "the value is empty" },
	{ "smarthost h; ipv4 off; ipv6 off", "both off" },
	{ "smarthost h; source-address host.test", "is not an IP address" },
	{ "smarthost h; connections 0", "is not a number from 1" },
	{ "smarthost h; helo a_b..c", "is not a host" },
	{ "fail 250 ok", "is not a reply code" },
	{ "fail 600 ok", "is not a reply code" },
	{ "fail 550", "arguments are missing" },
	};
	struct strbuf text = STRBUF_INIT;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		strbuf_clear(&text);
		strbuf_printf(&text, "transport t { %s }\n",
		    cases[i].statements);
		expect_error(strbuf_cstr(&text), cases[i].words);
	}
	strbuf_free(&text);
	expect_error("transport direct { discard }\n", "is built in");
	expect_error("transport \"\" { discard }\n", "the name is empty");
	expect_error("account a { username u; password p }\n",
	    "no `submission HOST:PORT`");
	expect_error("account a { smarthost h }\n",
	    "has no place in an `account` block");
}

static void
routes_are_checked(void **state)
{
	static const struct {
		const char *route, *words;
	} cases[] = {
	{ "route to x.test", "`via TRANSPORT` is missing" },
	{ "route to x.test vai t", "did you mean `via`" },
	{ "route form x.test via t", "did you mean `from`?" },
	{ "route from via t", "nothing stands behind `from`" },
	{ "route via", "nothing stands behind `via`" },
	{ "route via t to x.test", "`to` belongs before `via`" },
	{ "route attempts 3 attempts 4 via t", "stands twice" },
	{ "route attempts 3 4 via t", "`4` is not one of from" },
	{ "route attempts many via t", "`many` is not a number" },
	{ "route larger 5Q via t", "`5Q` is not a size" },
	{ "route age soon via t", "`soon` is not a duration" },
	{ "route client 300.1.1.1/8 via t", "is not a network" },
	{ "route to a@b@c via t", "is not a pattern" },
	{ "route login nobody via t", "there is no login `nobody`" },
	{ "route via nosuch", "there is no transport `nosuch`" },
	{ "route via longr", "did you mean `longer`?" },
	{ "route via t t t t t t t t t t t t t t t t t",
	    "more than 16 transports" },
	};
	struct strbuf text = STRBUF_INIT;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		strbuf_clear(&text);
		strbuf_printf(&text, "%s; transport t { discard }; "
		    "transport longer { discard }\n", cases[i].route);
		expect_error(strbuf_cstr(&text), cases[i].words);
	}
	strbuf_free(&text);
}

static void
names_are_defined_once(void **state)
{
	(void)state;
	expect_errors("transport t { discard }\ntransport t { discard }\n",
	    "t.conf:2: transport `t` is defined already, in t.conf:1\n");
	expect_errors("account a { }\naccount a { }\n",
	    "t.conf:2: account `a` is defined already, in t.conf:1\n");
	expect_errors("transport a { discard }\n"
	    "account a { submission h; username u; password p }\n",
	    "t.conf:2: transport `a` is defined already, in t.conf:1\n");
	expect_errors("login a { password x }\nlogin a { password x }\n",
	    "t.conf:2: login `a` is defined already, in t.conf:1\n");
	expect_errors("account a { default }\naccount b { default }\n",
	    "t.conf:2: account `b` is a second default account; the first "
	    "is `a` in t.conf:1\n");
	expect_errors("client 10.0.0.0/8\nclient 10.1.2.3/8\n",
	    "t.conf:2: client 10.1.2.3/8 has a block already, in "
	    "t.conf:1\n");
	expect_errors("listen 127.0.0.1:25\nlisten *:25\nlisten [::1]:26\n",
	    "t.conf:2: listen *:25 collides with listen 127.0.0.1:25 in "
	    "t.conf:1\n");
	expect_errors("listen unix:/a\nlisten unix:/a\nlisten unix:/b\n",
	    "t.conf:2: listen unix:/a collides with listen unix:/a in "
	    "t.conf:1\n");
	expect_errors("login l {\npassword x\naccount nosuch\n}\n",
	    "t.conf:3: there is no account `nosuch`\n");
	expect_error("client 10.0.0.1 { account scan }; account scans\n",
	    "there is no account `scan`, did you mean `scans`?");
	expect_error("expire 60d\n", "longer than expire-max 30d");
}

static void
open_relays_are_refused(void **state)
{
	static const char *const local[] = {
		"127.0.0.0/8", "10.0.0.0/8", "10.1.0.0/16", "172.16.0.0/12",
		"192.168.0.0/16", "169.254.0.0/16", "::1", "fe80::/10",
		"fd00::/8", "fc00::/7", "::ffff:10.0.0.0/104"
	};
	static const char *const public[] = {
		"0.0.0.0/0", "::/0", "192.0.2.1", "172.0.0.0/8",
		"172.32.0.0/12", "10.0.0.0/7", "2001:db8::/47",
		"::ffff:0.0.0.0/96", "fc00::/6"
	};
	struct strbuf text = STRBUF_INIT;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(local) / sizeof(local[0]); i++) {
		strbuf_clear(&text);
		strbuf_printf(&text, "listen *:25 { allow %s }\n", local[i]);
		expect_errors(strbuf_cstr(&text), "");
	}
	for (i = 0; i < sizeof(public) / sizeof(public[0]); i++) {
		strbuf_clear(&text);
		strbuf_printf(&text, "listen *:25 { allow %s }\n", public[i]);
		expect_error(strbuf_cstr(&text), "makes an open relay");
		strbuf_clear(&text);
		strbuf_printf(&text, "client %s { auth off }\n", public[i]);
		expect_error(strbuf_cstr(&text), "makes an open relay");
		strbuf_clear(&text);
		strbuf_printf(&text, "client %s { "
		    "open-relay-i-know-what-i-do }\n", public[i]);
		expect_errors(strbuf_cstr(&text), "");
	}
	strbuf_free(&text);
	expect_errors("listen *:25 {\nallow 10.0.0.0/8\nallow 192.0.2.0/24 "
	    "198.51.100.1\n}\n",
	    "t.conf:3: `192.0.2.0/24` makes an open relay: it reaches beyond "
	    "private, link-local and loopback networks "
	    "(open-relay-i-know-what-i-do allows that)\n"
	    "t.conf:3: `198.51.100.1` makes an open relay: it reaches beyond "
	    "private, link-local and loopback networks "
	    "(open-relay-i-know-what-i-do allows that)\n");
	/* Whatever the order. */
	expect_errors("listen *:25 { allow 0.0.0.0/0; "
	    "open-relay-i-know-what-i-do }\n", "");
	expect_warning("listen *:25 { allow 2001:db8:1::/48 }\n",
	    "is a public network");
	expect_warning("client 2001:db8:1::1\n", "is a public network");
	expect_errors("listen *:25 { deny 0.0.0.0/0 }\n", "");
}

static void
what_comes_later_says_so(void **state)
{
	static const char *const global[] = {
		"dashboard 127.0.0.1:1"
	};
	struct strbuf text = STRBUF_INIT, words = STRBUF_INIT;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(global) / sizeof(global[0]); i++) {
		strbuf_clear(&text);
		strbuf_printf(&text, "%s\n", global[i]);
		strbuf_clear(&words);
		strbuf_printf(&words, "t.conf:1: %.*s: not supported yet",
		    (int)strcspn(global[i], " "), global[i]);
		expect_error(strbuf_cstr(&text), strbuf_cstr(&words));
	}
	strbuf_free(&text);
	strbuf_free(&words);
	expect_error("listen *:25 { proxy-protocol 10.0.0.1 }\n",
	    "not supported yet");
}

static void
secrets_are_never_shown(void **state)
{
	static const char *const texts[] = {
		"login l { password geheim extra }\n",
		"login l { password fil geheim }\n",
		"login l { password x;geheim }\n",
		"login l { password x } geheim\n",
		"login l { password x}geheim\n",
		"login l { password x{geheim }\n",
		"login l { password \"x\"geheim }\n",
		"login l { password x\"geheim }\n",
		"login l { password \"geheim }\n",
		"login l { pasword geheim }\n",
		"password geheim\n",
		"login l { password ${geheim }\n",
		"transport t { discard; password geheim more words x y }\n",
		"transport t { submission h; username u; password a geheim }\n",
		"login l { password hash geheim; password hash geheim }\n",
	};
	struct conf_messages m;
	struct conf *conf;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		conf = load_text(texts[i], NULL, &m);
		assert_null(conf);
		if (strstr(strbuf_cstr(&m.errors), "geheim") != NULL ||
		    strstr(strbuf_cstr(&m.warnings), "geheim") != NULL)
			fail_msg("%s", strbuf_cstr(&m.errors));
		conf_messages_free(&m);
	}
}

static void
all_mistakes_are_told_in_one_run(void **state)
{
	(void)state;
	expect_errors(
	    "hostnam x.test\nlisten 127.0.0.1:99999 { }\n"
	    "retry 5 parsecs\ntransport t {\n  smarthost h:25\n"
	    "  tls maybe\n  tls-fingerprint abcd\n}\n"
	    "login l { password x; account nosuch }\n"
	    "route to x.test via nosuch\n",
	    "t.conf:1: unknown statement `hostnam`, did you mean "
	    "`hostname`?\n"
	    "t.conf:2: `127.0.0.1:99999` is not ADDRESS:PORT with a port "
	    "from 1 to 65535\n"
	    "t.conf:3: `5` is not a duration (30s 5m 4h 5d)\n"
	    "t.conf:3: `parsecs` is not a duration (30s 5m 4h 5d)\n"
	    "t.conf:6: `maybe` is not one of opportunistic, required, "
	    "implicit, off\n"
	    "t.conf:7: `abcd` is not a SHA-256 fingerprint: 64 hex digits, "
	    "colons between them or not\n"
	    "t.conf:9: there is no account `nosuch`\n"
	    "t.conf:10: there is no transport `nosuch`\n");
}

static void
too_many_mistakes_are_counted(void **state)
{
	struct strbuf text = STRBUF_INIT;
	struct conf_messages m;
	unsigned i;

	(void)state;
	for (i = 0; i < CONF_NOTES_MAX + 7; i++)
		strbuf_puts(&text, "xyzzy\n");
	assert_null(load_text(strbuf_cstr(&text), NULL, &m));
	assert_non_null(strstr(strbuf_cstr(&m.errors), "and 7 more errors"));
	assert_int_equal(m.n_errors, CONF_NOTES_MAX + 7);
	conf_messages_free(&m);
	strbuf_free(&text);
}

static void
what_is_odd_is_warned_about(void **state)
{
	(void)state;
	expect_warning("", "has nowhere to go");
	expect_warning("listen 127.0.0.1:2525 { auth required }\n",
	    "there is no `login`");
	expect_warning("transport t { submission h; username u; password p; "
	    "tls-verify off }\n", "nobody verifies");
	expect_warning("transport t { submission h; username u; password p; "
	    "tls off }\n", "without TLS");
	expect_warning("transport t { submission h; username u; password p; "
	    "tls opportunistic }\n", "tls opportunistic");
	expect_warning("transport t { submission h }\n", "without `username`");
	expect_warning("transport t { discard; tls off }\n",
	    "`tls` means nothing");
	expect_warning("transport t { smarthost h; spf-check skip }\n",
	    "not `direct`");
	expect_warning("client 10.1.2.3/8\n", "the whole network is meant");
}

static void
a_sound_configuration_has_no_warning(void **state)
{
	struct conf_messages m;
	struct conf *conf = load_text("hostname relay.test\n"
	    "postmaster admin@example.org\n"
	    "transport t { smarthost h }\nroute via t\n", NULL, &m);

	(void)state;
	assert_non_null(conf);
	assert_string_equal(strbuf_cstr(&m.warnings), "");
	conf_free(&conf);
	conf_messages_free(&m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(misspelt_statements_get_a_suggestion),
		cmocka_unit_test(arguments_are_counted),
		cmocka_unit_test(values_are_checked),
		cmocka_unit_test(transports_are_checked),
		cmocka_unit_test(routes_are_checked),
		cmocka_unit_test(names_are_defined_once),
		cmocka_unit_test(open_relays_are_refused),
		cmocka_unit_test(what_comes_later_says_so),
		cmocka_unit_test(secrets_are_never_shown),
		cmocka_unit_test(all_mistakes_are_told_in_one_run),
		cmocka_unit_test(too_many_mistakes_are_counted),
		cmocka_unit_test(what_is_odd_is_warned_about),
		cmocka_unit_test(a_sound_configuration_has_no_warning),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
