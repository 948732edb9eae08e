/* What a configuration means: defaults, and what follows from what. */
#include "conf/fixture.h"

#include <string.h>

#include "conf/build.h"
#include "conf/conf.h"
#include "mail/pattern.h"

#define MINUTE ((uint64_t)60 * 1000)
#define DAY (24 * 60 * MINUTE)

static void
nothing_written_has_the_defaults(void **state)
{
	static const uint64_t retry[] = { 1, 3, 5, 10, 15, 30, 60 };
	struct conf *c = load_good("");
	size_t i;

	(void)state;
	assert_string_equal(c->path, "t.conf");
	assert_string_equal(c->hostname, "localhost");
	assert_string_equal(c->user, "smarthostd");
	assert_string_equal(c->group, "smarthostd");
	assert_string_equal(c->spool_directory, "/var/spool/smarthostd");
	assert_string_equal(c->runtime_directory, "/run/smarthostd");
	assert_true(c->disk_reserve == UINT64_MAX);
	assert_string_equal(c->postmaster, "postmaster@localhost");
	assert_string_equal(c->bounce_from, "");
	assert_int_equal(c->bounce_to, BOUNCE_TO_AUTO);
	assert_false(c->log_set);
	assert_int_equal(c->log_to, CONF_LOG_STDERR);
	assert_int_equal(c->log_format, LOG_TEXT);
	assert_int_equal(c->log_level, LL_INFO);
	assert_int_equal(c->max_message_size, 50 << 20);
	assert_int_equal(c->max_recipients, 1000);
	assert_int_equal(c->retry.n, 7);
	for (i = 0; i < 7; i++)
		assert_int_equal(c->retry.v[i], retry[i] * MINUTE);
	assert_int_equal(c->probe.n, 6);
	assert_int_equal(c->probe_auth.v[0], 5 * MINUTE);
	assert_int_equal(c->expire, 4 * DAY);
	assert_int_equal(c->expire_max, 30 * DAY);
	assert_int_equal(c->warn_after, 240 * MINUTE);
	assert_true(c->dnssec);
	assert_null(c->aliases);
	assert_int_equal(c->local_domains.n, 1);
	assert_string_equal(c->local_domains.v[0], "localhost");
	assert_string_equal(c->qualify_domain, "localhost");
	assert_int_equal(c->listeners, 1);
	assert_int_equal(c->deliveries, 1);
	assert_int_equal(c->n_listens, 2);
	assert_string_equal(c->listens[0].name, "127.0.0.1:25");
	assert_string_equal(c->listens[1].address, "::1");
	assert_int_equal(c->listens[1].port, 25);
	conf_free(&c);
	assert_null(c);
	conf_free(&c);
}

static void
global_statements_are_taken(void **state)
{
	struct conf *c = load_good("hostname Relay.B\xc3\xbc" "cher.test\n"
	    "log syslog json debug\nwarn-after off\nretry 30s 1h30m\n"
	    "processes delivery 3 listener 2\nbounce-from a@b.test\n"
	    "bounce-to postmaster\nlocal-domains a.test\n"
	    "local-domains B.test c.test\ndisk-reserve 1G\ndnssec off\n"
	    "resolver 192.0.2.1 [2001:db8::1]:5353\n"
	    "spool-directory spool\n");

	(void)state;
	assert_string_equal(c->hostname, "relay.xn--bcher-kva.test");
	assert_string_equal(c->postmaster,
	    "postmaster@relay.xn--bcher-kva.test");
	assert_string_equal(c->qualify_domain, c->hostname);
	assert_true(c->log_set);
	assert_int_equal(c->log_to, CONF_LOG_SYSLOG);
	assert_int_equal(c->log_format, LOG_JSON);
	assert_int_equal(c->log_level, LL_DEBUG);
	assert_int_equal(c->warn_after, 0);
	assert_int_equal(c->retry.n, 2);
	assert_int_equal(c->retry.v[1], 90 * MINUTE);
	assert_int_equal(c->listeners, 2);
	assert_int_equal(c->deliveries, 3);
	assert_string_equal(c->bounce_from, "a@b.test");
	assert_int_equal(c->bounce_to, BOUNCE_TO_POSTMASTER);
	assert_int_equal(c->local_domains.n, 3);
	assert_string_equal(c->local_domains.v[1], "b.test");
	assert_int_equal(c->disk_reserve, 1 << 30);
	assert_false(c->dnssec);
	assert_string_equal(c->resolver.v[1], "[2001:db8::1]:5353");
	/* Relative to the file, and absolute then. */
	assert_int_equal(c->spool_directory[0], '/');
	conf_free(&c);
}

static void
listeners_have_the_defaults_of_their_port(void **state)
{
	struct conf *c = load_good("listen *:25\nlisten [::1]:587 { }\n"
	    "listen 127.0.0.1:465 { certificate c.pem }\n"
	    "listen 10.0.0.1:2525 { certificate c.pem key k.pem }\n"
	    "listen unix:s.sock { }\n"
	    "login x { password y }\n");
	struct conf_listen *l = c->listens;

	(void)state;
	assert_int_equal(c->n_listens, 5);
	assert_string_equal(l[0].address, "*");
	assert_int_equal(l[0].tls, TLS_OFF);
	assert_int_equal(l[0].auth, AUTH_OPTIONAL);
	assert_int_equal(l[0].min_tls, 0x0303);
	assert_int_equal(l[0].timeout, 5 * MINUTE);
	assert_int_equal(l[0].max_connections, 1000);
	assert_int_equal(l[0].max_connections_per_client, 50);
	assert_int_equal(l[0].rate.count, 0);
	assert_int_equal(l[0].bare_lf, BARE_LF_REJECT);
	assert_int_equal(l[0].auth_without_tls, SWITCH_UNSET);
	assert_true(l[0].add_headers);
	assert_false(l[0].allow_set);
	assert_int_equal(l[0].allow.n, 2);
	assert_int_equal(l[0].auth_mechanisms.n, 6);
	assert_string_equal(l[0].auth_mechanisms.v[0], "SCRAM-SHA-256-PLUS");
	assert_int_equal(l[1].auth, AUTH_REQUIRED);
	assert_int_equal(l[1].tls, TLS_OFF);
	assert_int_equal(l[2].tls, TLS_IMPLICIT);
	assert_int_equal(l[2].auth, AUTH_REQUIRED);
	assert_int_equal(l[3].tls, TLS_STARTTLS);
	assert_non_null(strstr(l[3].key, "/k.pem"));
	assert_true(l[4].is_unix);
	assert_non_null(strstr(l[4].path, "/s.sock"));
	conf_free(&c);
}

static void
what_a_listener_says_counts(void **state)
{
	struct conf *c = load_good("listen 127.0.0.1:587 { tls off; auth "
	    "off; allow 10.0.0.0/8 10.1.2.3; allow fe80::/10; deny "
	    "10.9.0.0/16; min-tls 1.0; timeout 30s; rate 30/1m; bare-lf "
	    "fix; add-headers off; auth-without-tls on; "
	    "auth-mechanisms plain LOGIN; max-connections 7 }\n");
	struct conf_listen *l = c->listens;

	(void)state;
	assert_int_equal(l->auth, AUTH_OFF);
	assert_true(l->allow_set);
	assert_int_equal(l->allow.n, 3);
	assert_int_equal(l->allow.v[1].bits, 32);
	assert_true(l->allow.v[2].v6);
	assert_int_equal(l->deny.v[0].bits, 16);
	assert_int_equal(l->min_tls, 0x0301);
	assert_int_equal(l->timeout, 30000);
	assert_int_equal(l->rate.count, 30);
	assert_int_equal(l->rate.per, MINUTE);
	assert_int_equal(l->bare_lf, BARE_LF_FIX);
	assert_false(l->add_headers);
	assert_int_equal(l->auth_without_tls, SWITCH_ON);
	assert_string_equal(l->auth_mechanisms.v[0], "PLAIN");
	assert_int_equal(l->max_connections, 7);
	conf_free(&c);
}

static bool
ip(const char *text, unsigned char addr[16])
{
	bool v6;

	assert_true(conf_parse_ip(text, &v6, addr));
	return v6;
}

static const char *
client_account(const struct conf *c, const char *text)
{
	unsigned char addr[16];
	bool v6 = ip(text, addr);
	const struct conf_client *client = conf_client_of(c, v6, addr);

	return client == NULL ? NULL : client->account;
}

static void
the_longest_client_network_wins(void **state)
{
	struct conf *c = load_good("account a; account b; account c\n"
	    "client 10.0.0.0/8 { account a }\n"
	    "client 10.1.2.0/23 { account b; auth any; min-tls 1.1; "
	    "recipients x@y.test .z.test; max-message-size 1M; rate 1/1s; "
	    "bare-lf fix }\n"
	    "client fd00::/8 { account c; auth off }\n");
	struct conf_client *b = &c->clients[1];

	(void)state;
	assert_string_equal(client_account(c, "10.9.9.9"), "a");
	assert_string_equal(client_account(c, "10.1.2.1"), "b");
	assert_string_equal(client_account(c, "10.1.3.255"), "b");
	assert_string_equal(client_account(c, "10.1.4.0"), "a");
	assert_string_equal(client_account(c, "fdff::1"), "c");
	assert_null(client_account(c, "11.0.0.0"));
	assert_null(client_account(c, "fe00::1"));
	assert_int_equal(b->auth, AUTH_ANY);
	assert_int_equal(b->min_tls, 0x0302);
	assert_int_equal(b->recipients.n, 2);
	assert_int_equal(b->max_message_size, 1 << 20);
	assert_int_equal(b->rate.count, 1);
	assert_int_equal(b->bare_lf, BARE_LF_FIX);
	assert_int_equal(c->clients[0].auth, AUTH_UNSET);
	assert_int_equal(c->clients[0].bare_lf, BARE_LF_UNSET);
	conf_free(&c);
}

static const struct conf_transport *
transport(const struct conf *c, const char *name)
{
	size_t i = conf_transport_find(c, name);

	assert_true(i < c->n_transports);
	return &c->transports[i];
}

static void
transports_have_their_defaults(void **state)
{
	struct conf *c = load_good(
	    "transport smart { smarthost h.test }\n"
	    "transport sub { submission h.test; username u; password p }\n"
	    "transport sub465 { submission h.test:465; username u; "
	    "password p }\n"
	    "transport implicit { submission h.test [2001:db8::1]; "
	    "tls implicit; username u; password p }\n"
	    "transport pin { smarthost h.test; tls-fingerprint "
	    "AA:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	    " spki:"
	    "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb }"
	    "\ntransport strict { smarthost h.test; tls required }\n"
	    "transport lax { smarthost h.test; tls required; "
	    "tls-verify off }\n"
	    "transport verify { smarthost h.test; tls-verify on }\n");
	const struct conf_transport *t = transport(c, "smart");

	(void)state;
	assert_int_equal(t->kind, TRANSPORT_SMARTHOST);
	assert_int_equal(t->hosts[0].port, 25);
	assert_int_equal(t->tls, TLS_OPPORTUNISTIC);
	assert_int_equal(t->tls_verify, VERIFY_OFF);
	assert_false(t->tls_verify_off_written);
	assert_false(t->has_credential);
	assert_int_equal(t->min_tls, 0x0303);
	assert_int_equal(t->connections, 20);
	assert_int_equal(t->connections_per_host, 10);
	assert_int_equal(t->messages_per_connection, 100);
	assert_int_equal(t->recipients_per_message, 100);
	assert_int_equal(t->idle_timeout, 30000);
	assert_int_equal(t->connect_timeout, 30000);
	assert_int_equal(t->timeout, 0);
	assert_int_equal(t->ipv4, SWITCH_UNSET);
	t = transport(c, "sub");
	assert_int_equal(t->hosts[0].port, 587);
	assert_int_equal(t->tls, TLS_REQUIRED);
	assert_int_equal(t->tls_verify, VERIFY_ON);
	assert_true(t->has_credential);
	assert_int_equal(t->password.kind, SECRET_VALUE);
	assert_int_equal(transport(c, "sub465")->tls, TLS_IMPLICIT);
	t = transport(c, "implicit");
	assert_int_equal(t->hosts[0].port, 465);
	assert_string_equal(t->hosts[1].name, "2001:db8::1");
	assert_int_equal(t->tls_verify, VERIFY_ON);
	t = transport(c, "pin");
	assert_int_equal(t->tls, TLS_REQUIRED);
	assert_string_equal(t->tls_fingerprint.v[0],
	    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
	assert_int_equal(strncmp(t->tls_fingerprint.v[1], "spki:bb", 7), 0);
	assert_int_equal(transport(c, "strict")->tls_verify, VERIFY_ON);
	t = transport(c, "lax");
	assert_int_equal(t->tls_verify, VERIFY_OFF);
	assert_true(t->tls_verify_off_written);
	assert_int_equal(transport(c, "verify")->tls, TLS_REQUIRED);
	conf_free(&c);
}

static void
policies_count_where_tls_is_left_as_it_comes(void **state)
{
	static const struct {
		const char *name;
		bool dane, mta_sts;
	} want[] = {
		{ "usual", true, true }, { "said", true, true },
		{ "off", false, false }, { "on", false, false },
		{ "dane", true, false }, { "plain", false, false },
		{ "need", false, false }, { "relay", false, true },
		{ "one", false, false },
	};
	struct conf *c = load_good(
	    "transport usual { direct }\n"
	    "transport said { direct; tls opportunistic }\n"
	    "transport off { direct; tls-verify off }\n"
	    "transport on { direct; tls-verify on }\n"
	    "transport dane { direct; tls-verify dane }\n"
	    "transport plain { direct; tls off }\n"
	    "transport need { direct; tls required }\n"
	    "transport relay { smarthost mx x.test }\n"
	    "transport one { smarthost x.test }\n");
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		const struct conf_transport *t = transport(c, want[i].name);

		if (t->dane != want[i].dane || t->mta_sts != want[i].mta_sts)
			fail_msg("%s", want[i].name);
	}
	assert_true(c->direct->dane && c->direct->mta_sts);
	conf_free(&c);
}

static void
transports_of_every_kind(void **state)
{
	struct conf *c = load_good(
	    "transport many { smarthost a.test:26 192.0.2.1 [::1]:27 }\n"
	    "transport box { maildir ~/Maildir }\n"
	    "transport rel { maildir boxes/%u }\n"
	    "transport drop { discard }\n"
	    "transport no { fail 451 \"4.7.1 not now\" }\n"
	    "transport opt { smarthost h; source-address 192.0.2.9 ::1; "
	    "ipv6 off; helo Me.test; tls-name N.test; timeout 1m; "
	    "max-message-size 10M; connections 3; auth-mechanisms PLAIN; "
	    "username u; password \"file x\" }\n");
	const struct conf_transport *t = transport(c, "many");

	(void)state;
	assert_int_equal(t->n_hosts, 3);
	assert_int_equal(t->hosts[0].port, 26);
	assert_string_equal(t->hosts[1].name, "192.0.2.1");
	assert_int_equal(t->hosts[1].port, 25);
	assert_string_equal(t->hosts[2].name, "::1");
	assert_int_equal(t->hosts[2].port, 27);
	assert_string_equal(transport(c, "box")->maildir, "~/Maildir");
	assert_int_equal(transport(c, "rel")->maildir[0], '/');
	assert_int_equal(transport(c, "drop")->kind, TRANSPORT_DISCARD);
	t = transport(c, "no");
	assert_int_equal(t->fail_code, 451);
	assert_string_equal(t->fail_text, "4.7.1 not now");
	t = transport(c, "opt");
	assert_int_equal(t->source_address.n, 2);
	assert_int_equal(t->ipv6, SWITCH_OFF);
	assert_string_equal(t->helo, "me.test");
	assert_string_equal(t->tls_name, "n.test");
	assert_int_equal(t->timeout, MINUTE);
	assert_int_equal(t->max_message_size, 10 << 20);
	assert_int_equal(t->connections, 3);
	/* A quoted word is a value, never a keyword. */
	assert_int_equal(t->password.kind, SECRET_VALUE);
	assert_string_equal(t->password.text, "file x");
	conf_free(&c);
}

static void
accounts_hold_what_they_own(void **state)
{
	struct conf *c = load_good(
	    "account shop@Sub.test { submission h.test; username u; "
	    "password p; senders @other.test; connections 2; "
	    "bounce-from <>; route to x.test via t }\n"
	    "account plain { default; use-by 10.0.0.0/8; use-by uid 0 33; "
	    "use-by login }\n"
	    "transport t { discard }\n");
	struct conf_account *a = &c->accounts[0];
	const struct conf_transport *t;

	(void)state;
	assert_int_equal(a->senders.n, 2);
	assert_int_equal(a->senders.v[0].kind, MAIL_PATTERN_ADDRESS);
	assert_string_equal(a->senders.v[0].domain, "sub.test");
	assert_int_equal(a->n_routes, 1);
	assert_int_equal(a->routes[0].via_index[0],
	    conf_transport_find(c, "t"));
	assert_string_equal(a->bounce_from, "");
	t = &c->transports[a->transport];
	assert_string_equal(t->name, "shop@Sub.test");
	assert_string_equal(t->account, "shop@Sub.test");
	assert_int_equal(t->hosts[0].port, 587);
	assert_int_equal(t->connections, 2);
	a = &c->accounts[1];
	assert_true(a->is_default);
	assert_true(a->use_by_set);
	assert_true(a->use_by_login);
	assert_int_equal(a->use_by_net.n, 1);
	assert_int_equal(a->use_by_uid.n, 2);
	assert_string_equal(a->use_by_uid.v[1], "33");
	assert_true(a->transport == SIZE_MAX);
	assert_null(a->bounce_from);
	assert_int_equal(a->senders.n, 0);
	conf_free(&c);
}

static void
routes_keep_their_place(void **state)
{
	struct conf *c = load_good("route from a.test b.test to c.test from "
	    "d.test attempts 3 \\\n  login l client 10.0.0.0/8 larger 10M "
	    "age 2h via t \"to\"\n\nroute via t\n"
	    "transport t { discard }\ntransport \"to\" { discard }\n"
	    "login l { password x }\n");
	struct conf_route *r = c->routes;

	(void)state;
	assert_string_equal(r[0].where.file, "t.conf");
	assert_int_equal(r[0].where.line, 1);
	assert_int_equal(r[0].from.n, 3);
	assert_int_equal(r[0].to.n, 1);
	assert_int_equal(r[0].attempts, 3);
	assert_string_equal(r[0].login.v[0], "l");
	assert_int_equal(r[0].client.n, 1);
	assert_true(r[0].larger_set);
	assert_int_equal(r[0].larger, 10 << 20);
	assert_int_equal(r[0].age, 120 * MINUTE);
	assert_int_equal(r[0].via.n, 2);
	assert_int_equal(r[0].via_index[1], 1);
	assert_int_equal(r[1].where.line, 4);
	conf_free(&c);
}

static void
networks_match_to_the_bit(void **state)
{
	static const struct {
		const char *net, *addr;
		bool match;
	} cases[] = {
		{ "0.0.0.0/0", "255.1.2.3", true },
		{ "0.0.0.0/0", "::1", false },
		{ "::/0", "2001:db8::1", true },
		{ "10.0.0.0/8", "10.255.0.1", true },
		{ "10.0.0.0/8", "11.0.0.1", false },
		{ "192.0.2.128/25", "192.0.2.127", false },
		{ "192.0.2.128/25", "192.0.2.128", true },
		{ "192.0.2.7", "192.0.2.7", true },
		{ "192.0.2.7", "192.0.2.6", false },
		{ "192.0.2.7/31", "192.0.2.6", true },
		{ "2001:db8::/33", "2001:db8:7fff::", true },
		{ "2001:db8::/33", "2001:db8:8000::", false },
		{ "[2001:db8::1]", "2001:db8::1", true },
		{ "::ffff:192.0.2.0/120", "192.0.2.9", true },
	};
	unsigned char addr[16];
	struct conf_net net;
	bool v6, host_bits;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_true(conf_net_parse(cases[i].net, &net, &host_bits));
		v6 = ip(cases[i].addr, addr);
		if (conf_net_match(&net, v6, addr) != cases[i].match)
			fail_msg("%s %s", cases[i].net, cases[i].addr);
	}
}

static void
suggestions_are_near(void **state)
{
	static const char *const names[] = { "retry", "route", NULL, "tls" };

	(void)state;
	assert_string_equal(conf_suggest("rotue", names, 4), "route");
	assert_string_equal(conf_suggest("RETRY", names, 4), "retry");
	assert_string_equal(conf_suggest("tsl", names, 4), "tls");
	assert_null(conf_suggest("xyzzy", names, 4));
	assert_null(conf_suggest("", names, 4));
	assert_null(conf_suggest("a-word-of-more-letters-than-any-statement-"
	    "has-ever-had", names, 4));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_written_has_the_defaults),
		cmocka_unit_test(global_statements_are_taken),
		cmocka_unit_test(listeners_have_the_defaults_of_their_port),
		cmocka_unit_test(what_a_listener_says_counts),
		cmocka_unit_test(the_longest_client_network_wins),
		cmocka_unit_test(transports_have_their_defaults),
		cmocka_unit_test(
		    policies_count_where_tls_is_left_as_it_comes),
		cmocka_unit_test(transports_of_every_kind),
		cmocka_unit_test(accounts_hold_what_they_own),
		cmocka_unit_test(routes_keep_their_place),
		cmocka_unit_test(networks_match_to_the_bit),
		cmocka_unit_test(suggestions_are_near),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
