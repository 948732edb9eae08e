/* What each role gets of a configuration: all that it needs, no more. */
#include "conf/fixture.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "conf/build.h"
#include "conf/view.h"
#include "mail/pattern.h"

static const char text[] =
    "hostname relay.test\n"
    "postmaster admin@elsewhere.test\n"
    "max-message-size 1M\n"
    "listen 127.0.0.1:25 { allow 10.0.0.0/8; max-connections 9 }\n"
    "login scanner { password geheim1; account scans; "
    "recipients x@y.test }\n"
    "login old { password hash $6$geheim2; account scans }\n"
    "client 10.0.0.0/8 { account scans; auth any }\n"
    "account scans { default; senders @scan.test; route to a.test via up }\n"
    "account shop@s.test { submission h.test; username u; "
    "password geheim3 }\n"
    "transport up { smarthost up.test; connections 3 }\n"
    "domain d.test { route via up }\n"
    "alert { to boss@s.test; via up; after 5m; command \"cat geheim4\" }\n"
    "route larger 1M login old via shop@s.test up\n"
    "route via up\n";

static bool
says(const struct strbuf *view, const char *what)
{
	return memmem(view->p, view->n, what, strlen(what)) != NULL;
}

static struct strbuf
encode(const char *config, enum conf_role role)
{
	struct conf_messages m;
	struct conf_tree *tree = NULL;
	struct strbuf view = STRBUF_INIT;
	struct err e = { 0 };
	struct conf *conf = load_text(config, &tree, &m);

	assert_non_null(conf);
	if (conf_view_encode(tree, role, &view, &e) == -1)
		fail_msg("%s", e.text);
	conf_free(&conf);
	conf_tree_free(&tree);
	conf_messages_free(&m);
	return view;
}

static void
secrets_go_to_auth_only(void **state)
{
	static const enum conf_role others[] = {
		CONF_LISTENER, CONF_QUEUE, CONF_DELIVERY
	};
	struct strbuf view;
	size_t i;

	(void)state;
	for (i = 0; i < 3; i++) {
		view = encode(text, others[i]);
		assert_false(says(&view, "geheim"));
		strbuf_free(&view);
	}
	view = encode(text, CONF_AUTH);
	assert_true(says(&view, "geheim1"));
	assert_true(says(&view, "geheim2"));
	assert_true(says(&view, "geheim3"));
	assert_false(says(&view, "10.0.0.0/8"));
	strbuf_free(&view);
}

static void
the_listener_knows_clients_and_senders(void **state)
{
	struct conf *c = load_view(text, CONF_LISTENER);

	(void)state;
	assert_string_equal(c->hostname, "relay.test");
	assert_int_equal(c->max_message_size, 1 << 20);
	assert_int_equal(c->n_listens, 1);
	assert_int_equal(c->listens[0].max_connections, 9);
	assert_int_equal(c->listens[0].allow.n, 1);
	assert_int_equal(c->n_clients, 1);
	assert_int_equal(c->clients[0].auth, AUTH_ANY);
	assert_int_equal(c->n_logins, 2);
	assert_int_equal(c->logins[0].password.kind, SECRET_NONE);
	assert_int_equal(c->logins[0].recipients.n, 1);
	assert_int_equal(c->n_accounts, 2);
	assert_int_equal(c->accounts[0].senders.n, 1);
	assert_int_equal(c->n_transports, 0);
	assert_int_equal(c->n_routes, 0);
	assert_int_equal(c->accounts[0].n_routes, 0);
	assert_string_equal(c->logins[0].where.file, "t.conf");
	assert_int_equal(c->logins[0].where.line, 5);
	conf_free(&c);
}

static void
the_queue_knows_routes_and_limits(void **state)
{
	struct conf *c = load_view(text, CONF_QUEUE);

	(void)state;
	assert_int_equal(c->n_routes, 2);
	assert_int_equal(c->routes[1].where.line, 14);
	assert_int_equal(c->routes[0].via_index[1],
	    conf_transport_find(c, "up"));
	assert_int_equal(c->n_domains, 1);
	assert_int_equal(c->accounts[0].n_routes, 1);
	assert_int_equal(c->n_transports, 2);
	assert_int_equal(c->transports[1].connections, 3);
	/* That there is a password decides about TLS everywhere. */
	assert_true(c->transports[0].has_credential);
	assert_int_equal(c->transports[0].tls, TLS_REQUIRED);
	assert_string_equal(c->transports[0].username, "u");
	assert_int_equal(c->transports[0].password.kind, SECRET_NONE);
	assert_string_equal(c->postmaster, "admin@elsewhere.test");
	assert_string_equal(c->clients[0].account, "scans");
	assert_int_equal(c->n_listens, 1);
	/* What is run is monitor's. */
	assert_true(c->alert.set && c->alert.has_command);
	assert_string_equal(c->alert.to, "boss@s.test");
	assert_string_equal(c->alert.via, "up");
	assert_int_equal(c->alert.after, 300000);
	assert_null(c->alert.command);
	conf_free(&c);
}

static void
delivery_knows_next_hops(void **state)
{
	struct conf *c = load_view(text, CONF_DELIVERY);

	(void)state;
	assert_int_equal(c->n_transports, 2);
	assert_string_equal(c->transports[0].hosts[0].name, "h.test");
	assert_int_equal(c->transports[0].hosts[0].port, 587);
	assert_true(c->transports[0].has_credential);
	assert_int_equal(c->transports[0].tls_verify, VERIFY_ON);
	assert_int_equal(c->n_logins, 0);
	assert_int_equal(c->n_clients, 0);
	assert_int_equal(c->n_routes, 0);
	conf_free(&c);
}

static void
auth_knows_logins_and_credentials(void **state)
{
	struct conf *c = load_view(text, CONF_AUTH);

	(void)state;
	assert_int_equal(c->n_logins, 2);
	assert_int_equal(c->logins[0].password.kind, SECRET_VALUE);
	assert_string_equal(c->logins[0].password.text, "geheim1");
	assert_int_equal(c->logins[1].password.kind, SECRET_HASH);
	assert_string_equal(c->logins[1].password.text, "$6$geheim2");
	assert_string_equal(c->transports[0].password.text, "geheim3");
	assert_string_equal(c->transports[0].account, "shop@s.test");
	conf_free(&c);
}

/* Which file it is, and whose cache, is monitor's to know. */
static void
kerberos_is_told_and_nothing_of_it(void **state)
{
	static const enum conf_role roles[] = {
		CONF_QUEUE, CONF_DELIVERY, CONF_AUTH
	};
	static const char config[] = "transport a { submission h.test; "
	    "username relay; kerberos keytab geheim.keytab }\n"
	    "transport b { submission h.test; kerberos cache /geheim as root "
	    "}\n";
	struct strbuf view;
	struct conf *c;
	size_t i, j;

	(void)state;
	for (i = 0; i < 3; i++) {
		view = encode(config, roles[i]);
		assert_false(says(&view, "geheim"));
		assert_false(says(&view, "root"));
		strbuf_free(&view);
		c = load_view(config, roles[i]);
		for (j = 0; j < 2; j++) {
			assert_true(c->transports[j].kerberos);
			assert_true(c->transports[j].has_credential);
			assert_int_equal(c->transports[j].tls, TLS_REQUIRED);
			assert_null(c->transports[j].keytab);
			assert_null(c->transports[j].ticket_cache);
		}
		conf_free(&c);
	}
}

static void
files_travel_as_their_contents(void **state)
{
	char *ca = temp_file("ca.pem", "CA-PEM\n", 0644);
	char *cert = temp_file("c.pem", "CERT-PEM\n", 0644);
	char *key = temp_file("k.pem", "KEY-PEM\n", 0600);
	char *pass = temp_file("k.pass", "phrase\nnot this\n", 0600);
	char *secret = temp_file("s.pw", "gehe im\r\nnot this\n", 0600);
	char *main = temp_file("t.conf", "postmaster a@b.test\n"
	    "listen 127.0.0.1:25 { certificate c.pem key k.pem }\n"
	    "transport t { submission h.test; tls-ca ca.pem; username u; "
	    "password file s.pw; certificate c.pem key k.pem passphrase "
	    "file k.pass }\naccount a { use-by uid root }\nroute via t\n",
	    0600);
	struct conf_messages m = { .n_errors = 0 };
	struct conf_tree *tree = NULL;
	struct strbuf view = STRBUF_INIT;
	struct err e = { 0 };
	struct conf *c = conf_load(main, NULL, true, &tree, &m), *d;

	(void)state;
	if (c == NULL)
		fail_msg("%s", strbuf_cstr(&m.errors));
	assert_string_equal(c->transports[0].tls_ca, ca);
	assert_int_equal(c->transports[0].password.kind, SECRET_FILE);
	assert_int_equal(conf_view_encode(tree, CONF_DELIVERY, &view, &e), 0);
	assert_false(says(&view, "gehe im"));
	d = conf_view_decode(strbuf_slice(&view), CONF_DELIVERY, &e);
	assert_non_null(d);
	assert_string_equal(d->transports[0].tls_ca, "CA-PEM\n");
	assert_string_equal(d->transports[0].certificate, "CERT-PEM\n");
	assert_string_equal(d->transports[0].key, "KEY-PEM\n");
	assert_string_equal(d->transports[0].passphrase.text, "phrase");
	conf_free(&d);
	strbuf_clear(&view);
	assert_int_equal(conf_view_encode(tree, CONF_LISTENER, &view, &e), 0);
	d = conf_view_decode(strbuf_slice(&view), CONF_LISTENER, &e);
	assert_non_null(d);
	assert_string_equal(d->listens[0].certificate, "CERT-PEM\n");
	assert_string_equal(d->listens[0].key, "KEY-PEM\n");
	assert_int_equal(d->listens[0].tls, TLS_STARTTLS);
	assert_string_equal(d->accounts[0].use_by_uid.v[0], "0");
	conf_free(&d);
	strbuf_clear(&view);
	assert_int_equal(conf_view_encode(tree, CONF_AUTH, &view, &e), 0);
	d = conf_view_decode(strbuf_slice(&view), CONF_AUTH, &e);
	assert_non_null(d);
	assert_int_equal(d->transports[0].password.kind, SECRET_VALUE);
	assert_string_equal(d->transports[0].password.text, "gehe im");
	assert_false(says(&view, "not this"));
	conf_free(&d);
	/* A file that has gone since is an error that names it. */
	temp_remove();
	strbuf_clear(&view);
	assert_int_equal(conf_view_encode(tree, CONF_AUTH, &view, &e), -1);
	assert_non_null(strstr(e.text, "t.conf:3: "));
	assert_non_null(strstr(e.text, "s.pw"));
	strbuf_free(&view);
	conf_free(&c);
	conf_tree_free(&tree);
	conf_messages_free(&m);
	free(ca);
	free(cert);
	free(key);
	free(pass);
	free(secret);
	free(main);
}

static void
a_view_is_for_its_role(void **state)
{
	struct strbuf view = encode(text, CONF_QUEUE);
	struct err e = { 0 };

	(void)state;
	assert_null(conf_view_decode(strbuf_slice(&view), CONF_AUTH, &e));
	assert_string_equal(e.text, "the view is another role's");
	view.p[4]++;
	assert_null(conf_view_decode(strbuf_slice(&view), CONF_QUEUE, &e));
	assert_non_null(strstr(e.text, "another version"));
	view.p[0]++;
	assert_null(conf_view_decode(strbuf_slice(&view), CONF_QUEUE, &e));
	assert_non_null(strstr(e.text, "no view"));
	assert_null(conf_view_decode(slice_of("", 0), CONF_QUEUE, &e));
	strbuf_free(&view);
}

static void
a_view_that_is_cut_off_is_refused(void **state)
{
	struct strbuf view = encode(text, CONF_QUEUE);
	struct conf *c;
	struct err e;
	char *part;
	size_t n;

	(void)state;
	for (n = 0; n < view.n; n++) {
		/* A block of its own: a sanitizer sees what is beyond it. */
		part = mem_dup(view.p, n);
		c = conf_view_decode(slice_of(part, n), CONF_QUEUE, &e);
		assert_null(c);
		free(part);
	}
	strbuf_putc(&view, 'x');
	assert_null(conf_view_decode(strbuf_slice(&view), CONF_QUEUE, &e));
	strbuf_free(&view);
}

static void
octets_that_changed_do_no_harm(void **state)
{
	struct strbuf view = encode(text, CONF_QUEUE);
	struct conf *c;
	struct err e;
	size_t i;
	char old;

	(void)state;
	for (i = 12; i < view.n; i++) {
		old = view.p[i];
		view.p[i] = (char)(old ^ 0xff);
		c = conf_view_decode(strbuf_slice(&view), CONF_QUEUE, &e);
		conf_free(&c);
		view.p[i] = (char)(old ^ 1);
		c = conf_view_decode(strbuf_slice(&view), CONF_QUEUE, &e);
		conf_free(&c);
		view.p[i] = old;
	}
	strbuf_free(&view);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(secrets_go_to_auth_only),
		cmocka_unit_test(the_listener_knows_clients_and_senders),
		cmocka_unit_test(the_queue_knows_routes_and_limits),
		cmocka_unit_test(delivery_knows_next_hops),
		cmocka_unit_test(auth_knows_logins_and_credentials),
		cmocka_unit_test(kerberos_is_told_and_nothing_of_it),
		cmocka_unit_test(files_travel_as_their_contents),
		cmocka_unit_test(a_view_is_for_its_role),
		cmocka_unit_test(a_view_that_is_cut_off_is_refused),
		cmocka_unit_test(octets_that_changed_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
