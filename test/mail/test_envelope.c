/* The envelope and its stored form. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rand.h"
#include "mail/envelope.h"

static struct envelope *
example(void)
{
	struct envelope *env = envelope_new();

	env->id = 0x0123456789abcdef;
	env->received_ms = 1795147506789;
	env->size = 4711;
	env->crc = 0xdeadbeef;
	env->flags = ENVELOPE_8BITMIME | ENVELOPE_CHUNKED;
	env->protocol = MAIL_PROTO_ESMTP;
	env->hops = 3;
	env->ret = MAIL_RET_HDRS;
	env->uid = 1000;
	env->client_port = 54321;
	envelope_set(&env->from, SLICE_LIT("a@b.example"));
	envelope_set(&env->envid, SLICE_LIT("id"));
	envelope_set(&env->helo, SLICE_LIT(""));
	envelope_set(&env->client, SLICE_LIT("192.0.2.1"));
	envelope_set(&env->listener, SLICE_LIT("*:25"));
	envelope_set(&env->tls, SLICE_LIT("TLSv1.3 X"));
	envelope_add_recipient(env, SLICE_LIT("c@d"), MAIL_NOTIFY_NEVER,
	    SLICE_LIT("rfc822;c@d"));
	envelope_add_recipient(env, SLICE_LIT("e@f"), 0, slice_of(NULL, 0));
	return env;
}

static void
same_string(const char *a, const char *b)
{
	assert_int_equal(a == NULL, b == NULL);
	if (a != NULL)
		assert_string_equal(a, b);
}

static void
assert_same(const struct envelope *a, const struct envelope *b)
{
	assert_true(a->id == b->id && a->received_ms == b->received_ms);
	assert_true(a->size == b->size && a->crc == b->crc);
	assert_int_equal(a->flags, b->flags);
	assert_int_equal(a->protocol, b->protocol);
	assert_int_equal(a->hops, b->hops);
	assert_int_equal(a->ret, b->ret);
	assert_true(a->uid == b->uid);
	assert_int_equal(a->client_port, b->client_port);
	same_string(a->from, b->from);
	same_string(a->envid, b->envid);
	same_string(a->helo, b->helo);
	same_string(a->client, b->client);
	same_string(a->client_name, b->client_name);
	same_string(a->listener, b->listener);
	same_string(a->login, b->login);
	same_string(a->account, b->account);
	same_string(a->tls, b->tls);
	assert_int_equal(a->recipient_count, b->recipient_count);
	for (size_t i = 0; i < a->recipient_count; i++) {
		same_string(a->recipients[i].address,
		    b->recipients[i].address);
		assert_int_equal(a->recipients[i].notify,
		    b->recipients[i].notify);
		same_string(a->recipients[i].orcpt, b->recipients[i].orcpt);
	}
}

static void
what_was_stored_comes_back(void **state)
{
	struct envelope *env = example(), back, *copy = envelope_dup(env);
	struct strbuf b = STRBUF_INIT;
	struct err e;

	(void)state;
	assert_same(env, copy);
	assert_int_equal(envelope_encode(env, true, &b, &e), 0);
	envelope_init(&back);
	assert_int_equal(envelope_decode(strbuf_slice(&b), &back, &e), 0);
	assert_same(env, &back);
	envelope_clear(&back);
	/* Without recipients. */
	strbuf_clear(&b);
	assert_int_equal(envelope_encode(env, false, &b, &e), 0);
	envelope_init(&back);
	assert_int_equal(envelope_decode(strbuf_slice(&b), &back, &e), 0);
	assert_int_equal(back.recipient_count, 0);
	envelope_clear(&back);
	strbuf_free(&b);
	envelope_free(&copy);
	envelope_free(&env);
	assert_null(env);
	envelope_free(&env);
}

static void
a_new_envelope_is_the_null_senders(void **state)
{
	struct envelope *env = envelope_new(), back;
	struct strbuf b = STRBUF_INIT;

	(void)state;
	assert_string_equal(env->from, "");
	assert_int_equal(env->uid, -1);
	envelope_set(&env->from, slice_of(NULL, 0));
	assert_null(env->from);
	assert_int_equal(envelope_encode(env, true, &b, NULL), 0);
	envelope_init(&back);
	assert_int_equal(envelope_decode(strbuf_slice(&b), &back, NULL), 0);
	assert_string_equal(back.from, "");
	assert_int_equal(back.uid, -1);
	envelope_clear(&back);
	envelope_free(&env);
	strbuf_free(&b);
}

static void
damage_is_noticed_and_leaves_nothing_behind(void **state)
{
	struct envelope *env = example(), back;
	struct strbuf b = STRBUF_INIT;
	struct err e;

	(void)state;
	assert_int_equal(envelope_encode(env, true, &b, NULL), 0);
	envelope_init(&back);
	for (size_t n = 0; n < b.n; n++) {
		/* A copy of the exact size, so that reading on is seen. */
		char *cut = mem_dup(b.p, n);

		assert_int_equal(envelope_decode(slice_of(cut, n), &back, &e),
		    -1);
		assert_string_equal(back.from, "");
		assert_int_equal(back.recipient_count, 0);
		free(cut);
	}
	strbuf_putc(&b, 'x');
	assert_int_equal(envelope_decode(strbuf_slice(&b), &back, &e), -1);
	b.n--;
	b.p[0] = 2;
	assert_int_equal(envelope_decode(strbuf_slice(&b), &back, &e), -1);
	assert_non_null(strstr(e.text, "version 2"));
	b.p[0] = 1;
	b.p[1] = 77;
	assert_int_equal(envelope_decode(strbuf_slice(&b), &back, &e), -1);
	b.p[1] = 0;
	for (int i = 0; i < 20000; i++) {
		size_t at = (size_t)rand_below(b.n);
		char old = b.p[at];

		b.p[at] = (char)rand_below(256);
		if (envelope_decode(strbuf_slice(&b), &back, &e) == 0) {
			envelope_clear(&back);
			envelope_init(&back);
		}
		b.p[at] = old;
	}
	envelope_clear(&back);
	envelope_free(&env);
	strbuf_free(&b);
}

static void
what_is_too_long_is_not_stored(void **state)
{
	struct envelope *env = example();
	struct strbuf b = STRBUF_INIT;
	char *big = mem_zalloc(ENVELOPE_STRING_MAX + 2);
	struct err e;

	(void)state;
	strbuf_puts(&b, "x");
	memset(big, 'a', ENVELOPE_STRING_MAX + 1);
	envelope_set(&env->helo, slice_cstr(big));
	assert_int_equal(envelope_encode(env, true, &b, &e), -1);
	assert_string_equal(b.p, "x");
	envelope_set(&env->helo, slice_cstr(big + 1));
	assert_int_equal(envelope_encode(env, true, &b, &e), 0);
	strbuf_clear(&b);
	envelope_add_recipient(env, slice_cstr(big), 0, SLICE_LIT(""));
	assert_int_equal(envelope_encode(env, true, &b, &e), -1);
	assert_int_equal(envelope_encode(env, false, &b, &e), 0);
	for (int i = 0; i < ENVELOPE_RECIPIENTS_MAX; i++)
		envelope_add_recipient(env, SLICE_LIT("a@b"), 0,
		    SLICE_LIT(""));
	assert_int_equal(envelope_encode(env, true, &b, &e), -1);
	free(big);
	envelope_free(&env);
	strbuf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_stored_comes_back),
		cmocka_unit_test(a_new_envelope_is_the_null_senders),
		cmocka_unit_test(damage_is_noticed_and_leaves_nothing_behind),
		cmocka_unit_test(what_is_too_long_is_not_stored),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
