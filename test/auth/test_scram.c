/* SCRAM by the RFCs' examples, both sides against each other, and what must
 * not be taken from the other side. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "auth/scram_client.h"
#include "auth/scram_server.h"
#include "base/mem.h"

/* RFC 5802 5 and RFC 7677 3: user "user", password "pencil". */
static const struct example {
	const char *hash, *client_nonce, *server_nonce, *salt;
	const char *first, *challenge, *final, *proof;
} examples[] = {
	{ "SCRAM-SHA-1", "fyko+d2lbbFgONRv9qkxdawL",
	    "3rfcNHYJY1ZVvWVs7j", "QSXCR+Q6sek8bf92",
	    "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
	    "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,"
	    "i=4096",
	    "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,"
	    "p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
	    "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=" },
	{ "SCRAM-SHA-256", "rOprNGfwEbeRWgbNEkqO",
	    "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0", "W22ZaJ0SNY7soEsUEjb6gQ==",
	    "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
	    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
	    "s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
	    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
	    "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
	    "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=" },
};

static struct scram_account account;

static void
lookup(void *arg, const char *name, const struct scram_hash *hash,
    struct scram_account *out)
{
	const char *salt = arg;

	memset(out, 0, sizeof(*out));
	assert_int_equal(scram_octets(slice_cstr(salt), out->salt,
	    sizeof(out->salt), &out->salt_n), 0);
	out->iterations = 4096;
	out->known = strcmp(name, "user") == 0;
	assert_true(scram_derive(hash, SLICE_LIT("pencil"),
	    slice_of(out->salt, out->salt_n), 4096, &out->keys));
	account = *out;
}

static struct scram_client *
new_client(const struct example *x, char gs2, struct scram_binding binding,
    const char *password)
{
	return scram_client_new(scram_hash_find(slice_cstr(x->hash)), gs2,
	    &binding, "user", slice_cstr(password), x->client_nonce);
}

static struct scram_server *
new_server(const struct example *x, bool plus,
    const struct scram_binding *bindings, size_t n)
{
	struct scram_server_options o = {
		.hash = scram_hash_find(slice_cstr(x->hash)), .plus = plus,
		.bindings = bindings, .n_bindings = n, .lookup = lookup,
		.arg = (char *)(uintptr_t)x->salt, .nonce = x->server_nonce
	};

	return scram_server_new(&o);
}

#define NONE ((struct scram_binding){ NULL, { "", 0 } })

static enum scram_client_result
client_says(struct scram_client *c, const char *in, const char *want)
{
	enum scram_client_result r;
	struct slice out;

	r = scram_client_take(c, slice_cstr(in), &out);
	if (want != NULL)
		assert_true(slice_eq_cstr(out, want));
	return r;
}

static enum scram_server_result
server_says(struct scram_server *s, const char *in, const char *want)
{
	enum scram_server_result r;
	struct slice out;

	r = scram_server_take(s, slice_cstr(in), &out);
	if (want != NULL)
		assert_true(slice_eq_cstr(out, want));
	return r;
}

static void
the_examples_of_the_rfcs(void **state)
{
	const struct example *x;
	struct scram_client *c;
	struct scram_server *s;

	(void)state;
	for (x = examples; x < examples + 2; x++) {
		c = new_client(x, 'n', NONE, "pencil");
		assert_int_equal(client_says(c, "", x->first),
		    SCRAM_CLIENT_CONTINUE);
		assert_int_equal(client_says(c, x->challenge, x->final),
		    SCRAM_CLIENT_CONTINUE);
		assert_int_equal(client_says(c, x->proof, ""),
		    SCRAM_CLIENT_DONE);
		assert_int_equal(client_says(c, x->proof, ""),
		    SCRAM_CLIENT_BROKEN);
		scram_client_free(&c);

		s = new_server(x, false, NULL, 0);
		assert_int_equal(server_says(s, x->first, x->challenge),
		    SCRAM_SERVER_CONTINUE);
		assert_int_equal(server_says(s, x->final, x->proof),
		    SCRAM_SERVER_CONTINUE);
		assert_int_equal(server_says(s, "", ""), SCRAM_SERVER_OK);
		assert_string_equal(scram_server_name(s), "user");
		assert_int_equal(server_says(s, "", ""),
		    SCRAM_SERVER_REFUSED);
		scram_server_free(&s);
	}
}

/* One with the other; what each of them says of it. */
struct verdict {
	enum scram_client_result client;
	enum scram_server_result server;
};

static struct verdict
meet(struct scram_client *c, struct scram_server *s)
{
	struct verdict v = { SCRAM_CLIENT_CONTINUE, SCRAM_SERVER_CONTINUE };
	struct slice text = slice_of("", 0);

	while (v.server == SCRAM_SERVER_CONTINUE) {
		v.client = scram_client_take(c, text, &text);
		if (v.client == SCRAM_CLIENT_WORK) {
			scram_client_work(c);
			v.client = scram_client_worked(c, &text);
		}
		if (v.client != SCRAM_CLIENT_CONTINUE &&
		    v.client != SCRAM_CLIENT_DONE)
			break;
		v.server = scram_server_take(s, text, &text);
	}
	scram_client_free(&c);
	scram_server_free(&s);
	return v;
}

static const struct example *const x256 = &examples[1];
static const struct scram_binding exporter = { "tls-exporter",
	{ "the one session of these two ends", 33 } };
static const struct scram_binding unique = { "tls-unique",
	{ "finished....", 12 } };
static const struct scram_binding other = { "tls-exporter",
	{ "a session with somebody between..", 33 } };

static void
bound_to_the_channel(void **state)
{
	const struct scram_binding both[] = { exporter, unique };
	struct verdict v;

	(void)state;
	v = meet(new_client(x256, 'p', exporter, "pencil"),
	    new_server(x256, true, both, 2));
	assert_int_equal(v.client, SCRAM_CLIENT_DONE);
	assert_int_equal(v.server, SCRAM_SERVER_OK);
	v = meet(new_client(x256, 'p', unique, "pencil"),
	    new_server(x256, true, both, 2));
	assert_int_equal(v.server, SCRAM_SERVER_OK);
	/* two sessions with somebody between */
	v = meet(new_client(x256, 'p', other, "pencil"),
	    new_server(x256, true, both, 2));
	assert_int_equal(v.server, SCRAM_SERVER_REFUSED);
	/* a type that the server has not */
	v = meet(new_client(x256, 'p', exporter, "pencil"),
	    new_server(x256, true, &unique, 1));
	assert_int_equal(v.server, SCRAM_SERVER_REFUSED);
}

static void
the_flag_goes_with_the_name_and_the_offer(void **state)
{
	struct verdict v;

	(void)state;
	/* -PLUS without a binding, and the other way round */
	v = meet(new_client(x256, 'n', NONE, "pencil"),
	    new_server(x256, true, &exporter, 1));
	assert_int_equal(v.server, SCRAM_SERVER_REFUSED);
	v = meet(new_client(x256, 'y', NONE, "pencil"),
	    new_server(x256, true, &exporter, 1));
	assert_int_equal(v.server, SCRAM_SERVER_REFUSED);
	v = meet(new_client(x256, 'p', exporter, "pencil"),
	    new_server(x256, false, &exporter, 1));
	assert_int_equal(v.server, SCRAM_SERVER_REFUSED);
	/* who could bind and was not shown that we can, was cheated */
	v = meet(new_client(x256, 'y', NONE, "pencil"),
	    new_server(x256, false, &exporter, 1));
	assert_int_equal(v.server, SCRAM_SERVER_REFUSED);
	v = meet(new_client(x256, 'y', NONE, "pencil"),
	    new_server(x256, false, NULL, 0));
	assert_int_equal(v.server, SCRAM_SERVER_OK);
	v = meet(new_client(x256, 'n', NONE, "pencil"),
	    new_server(x256, false, &exporter, 1));
	assert_int_equal(v.server, SCRAM_SERVER_OK);
}

static void
a_wrong_password_and_a_wrong_name(void **state)
{
	struct scram_server *s;
	struct verdict v;

	(void)state;
	v = meet(new_client(x256, 'n', NONE, "pencils"),
	    new_server(x256, false, NULL, 0));
	assert_int_equal(v.server, SCRAM_SERVER_REFUSED);
	/* who is not known gets a challenge like any other */
	s = new_server(x256, false, NULL, 0);
	assert_int_equal(server_says(s, "n,,n=nobody,r=rOprNGfwEbeRWgbNEkqO",
	    x256->challenge), SCRAM_SERVER_CONTINUE);
	assert_int_equal(server_says(s, x256->final, ""),
	    SCRAM_SERVER_REFUSED);
	scram_server_free(&s);
}

/* What RFC 4013 maps to others; what has no form goes as it is. */
static void
the_client_prepares_name_and_password(void **state)
{
	static const struct {
		const char *name, *password, *first;
	} rows[] = {
		{ "us\xc2\xad" "er", "pen\xc2\xad" "cil",
		    "n,,n=user,r=rOprNGfwEbeRWgbNEkqO" },
		{ "\xef\xbd\x95ser", "\xef\xbd\x90" "encil",
		    "n,,n=user,r=rOprNGfwEbeRWgbNEkqO" },
	};
	struct scram_client *c;
	struct slice out;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		c = scram_client_new(scram_hash_find(slice_cstr(x256->hash)),
		    'n', &NONE, rows[i].name, slice_cstr(rows[i].password),
		    x256->client_nonce);
		assert_int_equal(client_says(c, "", rows[i].first),
		    SCRAM_CLIENT_CONTINUE);
		assert_int_equal(client_says(c, x256->challenge,
		    x256->final), SCRAM_CLIENT_CONTINUE);
		scram_client_free(&c);
	}
	c = scram_client_new(scram_hash_find(slice_cstr(x256->hash)), 'n',
	    &NONE, "caf\xe9", SLICE_LIT("caf\xe9"), "abc");
	assert_int_equal(scram_client_take(c, slice_of("", 0), &out),
	    SCRAM_CLIENT_CONTINUE);
	assert_true(slice_eq_cstr(out, "n,,n=caf\xe9,r=abc"));
	scram_client_free(&c);
}

static void
what_no_client_may_say(void **state)
{
	static const char *const firsts[] = { "", ",", "n", "n,", "n,,",
		"n,,n=user", "n,,r=abc,n=user", "n,,n=,r=abc", "n,,n=user,r=",
		"n,,n=us=er,r=abc", "n,,n=user,r=a b", "n,,m=x,n=user,r=abc",
		"n,a=other,n=user,r=abc", "n,b=user,n=user,r=abc",
		"p,,n=user,r=abc", "p=,,n=user,r=abc", "x,,n=user,r=abc" };
	static const char *const finals[] = { "", "c=biws", "c=biws,p=AAAA",
		"c=biws,r=rOprNGfwEbeRWgbNEkqO,p=AAAA",
		"c=eSws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
		"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
		"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
		"p=AAAA",
		"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
		"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
		"p=eHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=" };
	struct scram_server *s;
	struct slice out;
	char *text;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(firsts) / sizeof(firsts[0]); i++) {
		s = new_server(x256, false, NULL, 0);
		assert_int_equal(server_says(s, firsts[i], ""),
		    SCRAM_SERVER_REFUSED);
		scram_server_free(&s);
	}
	for (i = 0; i < sizeof(finals) / sizeof(finals[0]); i++) {
		s = new_server(x256, false, NULL, 0);
		server_says(s, x256->first, NULL);
		assert_int_equal(server_says(s, finals[i], ""),
		    SCRAM_SERVER_REFUSED);
		/* and there is no second try */
		assert_int_equal(server_says(s, x256->final, ""),
		    SCRAM_SERVER_REFUSED);
		scram_server_free(&s);
	}
	s = new_server(x256, false, NULL, 0);
	text = mem_alloc(SCRAM_MESSAGE_MAX + 1);
	memset(text, 'x', SCRAM_MESSAGE_MAX + 1);
	assert_int_equal(scram_server_take(s, slice_of(text,
	    SCRAM_MESSAGE_MAX + 1), &out), SCRAM_SERVER_REFUSED);
	scram_server_free(&s);
	free(text);
	/* text behind the server's proof */
	s = new_server(x256, false, NULL, 0);
	server_says(s, x256->first, NULL);
	server_says(s, x256->final, NULL);
	assert_int_equal(server_says(s, "more", ""), SCRAM_SERVER_REFUSED);
	scram_server_free(&s);
}

#define OURS "r=rOprNGfwEbeRWgbNEkqO"
#define SALT ",s=W22ZaJ0SNY7soEsUEjb6gQ=="

static void
what_no_server_may_say(void **state)
{
	static const struct {
		const char *text;
		enum scram_client_result want;
	} firsts[] = {
		{ "", SCRAM_CLIENT_BROKEN },
		{ "hello", SCRAM_CLIENT_BROKEN },
		/* not our nonce, nothing of its own behind it, too little */
		{ "r=other" SALT ",i=4096", SCRAM_CLIENT_BROKEN },
		{ OURS SALT ",i=4096", SCRAM_CLIENT_BROKEN },
		{ OURS "1234567" SALT ",i=4096", SCRAM_CLIENT_BROKEN },
		{ OURS "12345678,s=,i=4096", SCRAM_CLIENT_BROKEN },
		{ OURS "12345678,s=AAAA,i=4096", SCRAM_CLIENT_BROKEN },
		{ OURS "12345678,s=!,i=4096", SCRAM_CLIENT_BROKEN },
		{ OURS "12345678" SALT ",i=0", SCRAM_CLIENT_REFUSED },
		{ OURS "12345678" SALT ",i=1", SCRAM_CLIENT_REFUSED },
		{ OURS "12345678" SALT ",i=4095", SCRAM_CLIENT_REFUSED },
		{ OURS "12345678" SALT ",i=-1", SCRAM_CLIENT_REFUSED },
		{ OURS "12345678" SALT ",i=1000001", SCRAM_CLIENT_REFUSED },
		{ OURS "12345678" SALT ",i=99999999999999999999",
		    SCRAM_CLIENT_REFUSED },
		{ "m=x," OURS "12345678" SALT ",i=4096", SCRAM_CLIENT_BROKEN },
		{ "e=other-error", SCRAM_CLIENT_REFUSED },
		{ OURS "12345678" SALT ",i=4096,x=later",
		    SCRAM_CLIENT_CONTINUE },
		{ OURS "12345678" SALT ",i=50000", SCRAM_CLIENT_WORK },
	};
	struct scram_client *c;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(firsts) / sizeof(firsts[0]); i++) {
		c = new_client(x256, 'n', NONE, "pencil");
		client_says(c, "", NULL);
		assert_int_equal(client_says(c, firsts[i].text, NULL),
		    firsts[i].want);
		if (firsts[i].want == SCRAM_CLIENT_BROKEN ||
		    firsts[i].want == SCRAM_CLIENT_REFUSED)
			assert_int_not_equal(scram_client_why(c)[0], 0);
		scram_client_free(&c);
	}
}

static void
a_server_must_prove_itself(void **state)
{
	static const struct {
		const char *text;
		enum scram_client_result want;
	} finals[] = {
		{ "v=!rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
		    SCRAM_CLIENT_BROKEN },
		{ "v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
		    SCRAM_CLIENT_FORGED },
		{ "v=AAAA", SCRAM_CLIENT_BROKEN },
		{ "", SCRAM_CLIENT_BROKEN },
		{ "e=invalid-proof", SCRAM_CLIENT_REFUSED },
		{ "e=channel-bindings-dont-match", SCRAM_CLIENT_REFUSED },
	};
	struct scram_client *c;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(finals) / sizeof(finals[0]); i++) {
		c = new_client(x256, 'n', NONE, "pencil");
		client_says(c, "", NULL);
		client_says(c, x256->challenge, NULL);
		assert_int_equal(client_says(c, finals[i].text, NULL),
		    finals[i].want);
		scram_client_free(&c);
	}
}

static void
names_are_escaped(void **state)
{
	struct strbuf b = STRBUF_INIT, back = STRBUF_INIT;

	(void)state;
	scram_name_put(&b, "a=b,c");
	assert_string_equal(strbuf_cstr(&b), "a=3Db=2Cc");
	assert_int_equal(scram_name_get(strbuf_slice(&b), &back), 0);
	assert_string_equal(strbuf_cstr(&back), "a=b,c");
	assert_int_equal(scram_name_get(SLICE_LIT("a=2"), &back), -1);
	assert_int_equal(scram_name_get(SLICE_LIT("a=2c"), &back), -1);
	assert_int_equal(scram_name_get(slice_of("a\0b", 3), &back), -1);
	strbuf_free(&b);
	strbuf_free(&back);
}

static void
stored_strings(void **state)
{
	static const char good[] = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6g"
	    "Q==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTA"
	    "mQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
	static const char *const bad[] = { "", "SCRAM-SHA-256",
		"SCRAM-SHA-256-PLUS$4096:AAAA$AAAA:AAAA",
		"SCRAM-SHA-256$4096:AAAA$AAAA:AAAA",
		"SCRAM-SHA-256$x:AAAA$AAAA:AAAA",
		"SCRAM-MD5$4096:AAAA$AAAA:AAAA" };
	struct scram_stored k;
	size_t i;

	(void)state;
	assert_true(scram_stored_parse(good, &k));
	assert_int_equal(k.iterations, 4096);
	assert_int_equal(k.salt_n, 16);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(scram_stored_parse(bad[i], &k));
}

#define T(f) cmocka_unit_test(f)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_examples_of_the_rfcs), T(bound_to_the_channel),
		T(the_flag_goes_with_the_name_and_the_offer),
		T(a_wrong_password_and_a_wrong_name),
		T(the_client_prepares_name_and_password),
		T(what_no_client_may_say), T(what_no_server_may_say),
		T(a_server_must_prove_itself), T(names_are_escaped),
		T(stored_strings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
