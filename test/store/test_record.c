/* The stored form of a message's state. */
#include "fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc.h"
#include "base/mem.h"
#include "store/value.h"

static struct record *
full_record(void)
{
	struct envelope *env = envelope_new();
	struct record_rcpt *rc;
	struct record *r;

	env->id = ID(5);
	envelope_set(&env->from, slice_cstr("a@b.example"));
	envelope_set(&env->account, slice_cstr("office"));
	envelope_add_recipient(env, slice_cstr("x@example.org"), 0,
	    slice_of(NULL, 0));
	envelope_add_recipient(env, slice_cstr("y@example.org"), 0,
	    slice_cstr("rfc822;y@example.org"));
	r = record_new(env);
	r->pinned = mem_strdup("backup");
	r->transport = mem_strdup("");
	r->held = true;
	r->warned = true;
	r->not_counted = UINT64_MAX;
	r->uncounted_until = 1795000000002;
	r->body_kind = BODY_PARTS;
	r->body_size = 70000;
	r->body_crc = 0xdeadbeef;
	rc = &r->rcpt[1];
	rc->state = RCPT_FAILED;
	rc->attempts = 3;
	rc->lane = STORE_LANE_MAX;
	rc->due = 1795000000001;
	rc->last_attempt = 1795000000000;
	rc->last_code = 550;
	memcpy(rc->last_status, "\5\1\1", 3);
	rc->last_reply = mem_strdup("550 5.1.1 unknown");
	rc->remote = mem_strdup("mx.example.org[192.0.2.1]:25");
	return r;
}

static void
test_what_was_encoded_comes_back(void **state)
{
	struct record *r = full_record(), *got;
	struct strbuf b = STRBUF_INIT;
	struct err e;
	size_t used, n;

	(void)state;
	strbuf_puts(&b, "before");
	record_encode(r, &b);
	n = b.n - 6;
	strbuf_puts(&b, "the body behind");
	got = record_decode(slice_of(b.p + 6, b.n - 6), &used, &e);
	assert_non_null(got);
	assert_int_equal(used, n);
	assert_int_equal(got->env->id, ID(5));
	assert_string_equal(got->account, "office");
	assert_string_equal(got->pinned, "backup");
	assert_string_equal(got->transport, "");
	assert_null(got->route);
	assert_true(got->held);
	assert_true(got->warned);
	assert_true(got->not_counted == UINT64_MAX);
	assert_true(got->uncounted_until == 1795000000002);
	assert_int_equal(got->body_kind, BODY_PARTS);
	assert_int_equal(got->body_size, 70000);
	assert_int_equal(got->body_crc, 0xdeadbeef);
	assert_int_equal(got->env->recipient_count, 2);
	assert_int_equal(got->rcpt[0].state, RCPT_PENDING);
	assert_null(got->rcpt[0].last_reply);
	assert_int_equal(got->rcpt[1].state, RCPT_FAILED);
	assert_int_equal(got->rcpt[1].attempts, 3);
	assert_int_equal(got->rcpt[1].lane, STORE_LANE_MAX);
	assert_int_equal(got->rcpt[1].due, 1795000000001);
	assert_int_equal(got->rcpt[1].last_attempt, 1795000000000);
	assert_int_equal(got->rcpt[1].last_code, 550);
	assert_memory_equal(got->rcpt[1].last_status, "\5\1\1", 3);
	assert_string_equal(got->rcpt[1].last_reply, "550 5.1.1 unknown");
	assert_string_equal(got->rcpt[1].remote,
	    "mx.example.org[192.0.2.1]:25");
	record_free(&got);
	record_free(&r);
	assert_null(r);
	strbuf_free(&b);
}

static void
test_every_damaged_octet_is_noticed(void **state)
{
	struct record *r = full_record(), *got;
	struct strbuf b = STRBUF_INIT;
	struct err e;
	size_t used, i;
	unsigned bit;

	(void)state;
	record_encode(r, &b);
	for (i = 0; i < b.n; i++) {
		for (bit = 0; bit < 8; bit++) {
			b.p[i] = (char)(b.p[i] ^ (1 << bit));
			got = record_decode(strbuf_slice(&b), &used, &e);
			assert_null(got);
			assert_int_equal(e.code, EILSEQ);
			b.p[i] = (char)(b.p[i] ^ (1 << bit));
		}
	}
	record_free(&r);
	strbuf_free(&b);
}

static void
test_a_record_that_was_cut_off_is_damaged(void **state)
{
	struct record *r = full_record(), *got;
	struct strbuf b = STRBUF_INIT;
	struct err e;
	size_t used, n;
	char *copy;

	(void)state;
	record_encode(r, &b);
	for (n = 0; n < b.n; n++) {
		copy = mem_dup(b.p, n);
		got = record_decode(slice_of(copy, n), &used, &e);
		assert_null(got);
		assert_int_equal(e.code, EILSEQ);
		free(copy);
	}
	record_free(&r);
	strbuf_free(&b);
}

/* Makes the CRC right again after a change. */
static void
seal(struct strbuf *b)
{
	unsigned char *h = (unsigned char *)b->p;

	put_le32(h + 4, (uint32_t)b->n);
	put_le32(h + 8, crc32c(crc32c(0, h, 8), h + RECORD_HEADER,
	    b->n - RECORD_HEADER));
}

static void
test_a_newer_record_is_told_from_a_damaged_one(void **state)
{
	struct record *r = full_record();
	struct strbuf b = STRBUF_INIT;
	struct err e;
	size_t used;

	(void)state;
	record_encode(r, &b);
	b.p[2] = 3;
	seal(&b);
	assert_null(record_decode(strbuf_slice(&b), &used, &e));
	assert_int_equal(e.code, ENOTSUP);
	record_free(&r);
	strbuf_free(&b);
}

/* What an older program can read it shall. */
static void
test_a_domain_that_is_gone_makes_it_version_2(void **state)
{
	struct record *r = full_record(), *got;
	struct strbuf b = STRBUF_INIT;
	struct err e;
	size_t used;

	(void)state;
	record_encode(r, &b);
	assert_int_equal(b.p[2], 1);
	got = record_decode(strbuf_slice(&b), &used, &e);
	assert_true(got->rcpt[1].no_domain_since == 0);
	record_free(&got);
	strbuf_clear(&b);
	r->rcpt[1].no_domain_since = 1795000000002;
	record_encode(r, &b);
	assert_int_equal(b.p[2], 2);
	got = record_decode(strbuf_slice(&b), &used, &e);
	assert_true(got->rcpt[0].no_domain_since == 0);
	assert_true(got->rcpt[1].no_domain_since == 1795000000002);
	record_free(&got);
	/* Its fields are not those of version 1. */
	b.p[2] = 1;
	seal(&b);
	assert_null(record_decode(strbuf_slice(&b), &used, &e));
	assert_int_equal(e.code, EILSEQ);
	record_free(&r);
	strbuf_free(&b);
}

/* A CRC proves nothing about what a program with a bug has written. */
static void
test_sealed_nonsense_is_refused(void **state)
{
	struct record *r = full_record(), *got;
	struct strbuf b = STRBUF_INIT;
	size_t used, i, n;
	unsigned v;

	(void)state;
	record_encode(r, &b);
	n = b.n;
	for (i = RECORD_HEADER; i < n; i++) {
		for (v = 0; v < 256; v += 15) {
			char old = b.p[i];

			b.p[i] = (char)v;
			seal(&b);
			got = record_decode(strbuf_slice(&b), &used, NULL);
			if (got != NULL)
				assert_int_equal(got->env->recipient_count,
				    2);
			record_free(&got);
			b.p[i] = old;
		}
	}
	strbuf_putc(&b, 0);
	seal(&b);
	assert_null(record_decode(strbuf_slice(&b), &used, NULL));
	record_free(&r);
	strbuf_free(&b);
}

static void
test_what_is_due_attempted_and_pending(void **state)
{
	struct record *r = full_record();

	(void)state;
	assert_int_equal(record_pending(r), 1);
	assert_int_equal(record_attempts(r), 3);
	assert_int_equal(record_next_due(r), 0);
	r->rcpt[0].due = 900;
	assert_int_equal(record_next_due(r), 900);
	r->rcpt[1].state = RCPT_PENDING;
	r->rcpt[1].due = 800;
	assert_int_equal(record_pending(r), 2);
	assert_int_equal(record_next_due(r), 800);
	record_free(&r);
	record_free(&r);
}

static void
test_an_envelope_over_its_limits_cannot_be_written(void **state)
{
	struct record *r = full_record();
	struct strbuf b = STRBUF_INIT;
	char *text = mem_zalloc(ENVELOPE_STRING_MAX + 2);
	struct err e = { 0 };
	size_t used;

	(void)state;
	memset(text, 'x', ENVELOPE_STRING_MAX + 1);
	envelope_set(&r->env->helo, slice_cstr(text));
	assert_int_equal(record_write(r, &b, &e), -1);
	assert_int_not_equal(e.text[0], 0);
	strbuf_clear(&b);
	record_encode(r, &b);
	assert_null(record_decode(strbuf_slice(&b), &used, &e));
	free(text);
	record_free(&r);
	strbuf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_was_encoded_comes_back),
		cmocka_unit_test(test_every_damaged_octet_is_noticed),
		cmocka_unit_test(test_a_record_that_was_cut_off_is_damaged),
		cmocka_unit_test(
		    test_a_newer_record_is_told_from_a_damaged_one),
		cmocka_unit_test(
		    test_a_domain_that_is_gone_makes_it_version_2),
		cmocka_unit_test(test_sealed_nonsense_is_refused),
		cmocka_unit_test(test_what_is_due_attempted_and_pending),
		cmocka_unit_test(
		    test_an_envelope_over_its_limits_cannot_be_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
