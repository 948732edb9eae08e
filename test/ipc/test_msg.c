/* Each internal message: what is put in comes out; every prefix of it, and
 * anything behind it, is garbage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "ipc/msg.h"
#include "ipc/wire.h"

static char c_up[] = "up", c_from[] = "a@b.test", c_to[] = "c@d.test";
static char c_text[] = "250 2.0.0 taken", c_empty[] = "";

/* Decodes and encodes again; -1 when the decoder says garbage. */
typedef int again(struct slice s, struct strbuf *out);

#define AGAIN(name, clear)						\
static int								\
again_##name(struct slice s, struct strbuf *out)			\
{									\
	struct msg_##name *m = mem_zalloc(sizeof(*m));			\
	int rc = msg_##name##_decode(s, m);				\
									\
	if (rc == 0) {							\
		msg_##name##_encode(out, m);				\
		clear;							\
	}								\
	free(m);							\
	return rc;							\
}
AGAIN(role, (void)0)
AGAIN(log, (void)0)
AGAIN(listen, (void)0)
AGAIN(peer, (void)0)
AGAIN(status, (void)0)
AGAIN(done, (void)0)
AGAIN(stats, (void)0)
AGAIN(local, msg_local_clear(m))
AGAIN(local_done, (void)0)
AGAIN(alert, (void)0)
AGAIN(counts, (void)0)
AGAIN(job, msg_job_clear(m))
AGAIN(job_done, msg_job_done_clear(m))
AGAIN(auth, msg_auth_clear(m))
AGAIN(cred, msg_cred_clear(m))
AGAIN(auth_step, msg_auth_step_clear(m))
AGAIN(secret, msg_secret_clear(m))
AGAIN(secret_done, (void)0)

static void
holds(struct strbuf *in, again *f)
{
	struct strbuf out = STRBUF_INIT;
	size_t n;

	assert_int_equal(f(strbuf_slice(in), &out), 0);
	assert_true(slice_eq(strbuf_slice(in), strbuf_slice(&out)));
	for (n = 0; n < in->n; n++) {
		strbuf_clear(&out);
		assert_int_equal(f(slice_of(in->p, n), &out), -1);
	}
	strbuf_putc(in, 0);
	assert_int_equal(f(strbuf_slice(in), &out), -1);
	strbuf_free(&out);
	strbuf_free(in);
}

static void
messages_of_monitor(void **state)
{
	struct strbuf b = STRBUF_INIT;
	struct msg_status *s = mem_zalloc(sizeof(*s));

	(void)state;
	msg_role_encode(&b, &(struct msg_role){ .slot = 3,
	    .instance = 255, .has_group = true, .group = 27 });
	holds(&b, again_role);
	msg_log_encode(&b, &(struct msg_log){ 1, 1, 3 });
	holds(&b, again_log);
	msg_listen_encode(&b, &(struct msg_listen){ LISTEN_CONTROL, 7 });
	holds(&b, again_listen);
	msg_peer_encode(&b, &(struct msg_peer){ ROLE_AUTH, 9 });
	holds(&b, again_peer);
	s->started = 1;
	s->pid = 2;
	s->n_roles = 64;
	s->role[63] = (struct msg_status_role){ ROLE_QUEUE, 1, 2, 3, 4 };
	msg_status_encode(&b, s);
	holds(&b, again_status);
	free(s);
	msg_local_encode(&b, &(struct msg_local){ c_up, c_empty, c_to });
	holds(&b, again_local);
	msg_local_done_encode(&b, &(struct msg_local_done){ 75, "no" });
	holds(&b, again_local_done);
	msg_alert_encode(&b, &(struct msg_alert){ "parked", "up", true,
	    "no login" });
	holds(&b, again_alert);
}

static void
messages_of_listener(void **state)
{
	struct strbuf b = STRBUF_INIT;
	struct msg_stats s = { 65, { 0 } };

	(void)state;
	msg_done_encode(&b, &(struct msg_done){ 452, { 4, 3, 1 },
	    "try later" });
	holds(&b, again_done);
	s.open[64] = 7;
	msg_stats_encode(&b, &s);
	holds(&b, again_stats);
	msg_counts_encode(&b, &(struct msg_counts){ 2, { { "relay", 3 },
	    { "tls TLSv1.3", 1ull << 40 } } });
	holds(&b, again_counts);
}

static void
messages_of_delivery(void **state)
{
	struct strbuf b = STRBUF_INIT;
	struct msg_job_rcpt r[2] = { { 0, c_to, 1, NULL },
	    { 5, c_from, 2, c_to } };
	struct msg_job j = { .id = 1, .transport = c_up, .from = c_empty,
	    .eight_bit = true, .trace = c_text, .body_size = 9,
	    .body_crc = 8, .rcpt = r, .n_rcpt = 2 };
	struct msg_job_result t[2] = { { 0, 250, { 2, 0, 0 }, c_text },
	    { 5, 550, { 5, 1, 1 }, c_empty } };
	struct msg_job_done d = { .class = JOB_SETTLED, .remote = c_up,
	    .connect_ms = 1, .transfer_ms = 2, .rcpt = t, .n_rcpt = 2 };

	(void)state;
	msg_job_encode(&b, &j);
	holds(&b, again_job);
	msg_job_done_encode(&b, &d);
	holds(&b, again_job_done);
}

static void
messages_of_auth(void **state)
{
	struct strbuf b = STRBUF_INIT;

	(void)state;
	msg_auth_encode(&b, &(struct msg_auth){ .session = 1,
	    .mechanism = c_up, .has_data = true, .data = slice_of("\0a\0b", 4),
	    .client = c_text, .secure = true });
	holds(&b, again_auth);
	msg_cred_encode(&b, &(struct msg_cred){ .session = 1,
	    .transport = c_up, .host = c_up, .mechanisms = c_text,
	    .secure = true, .data = slice_of("x", 1) });
	holds(&b, again_cred);
	msg_auth_step_encode(&b, &(struct msg_auth_step){
	    .state = AUTH_OK, .mechanism = c_up, .has_data = false,
	    .data = slice_of("", 0), .login = c_from });
	holds(&b, again_auth_step);
	msg_secret_encode(&b, &(struct msg_secret){ true, c_up });
	holds(&b, again_secret);
	msg_secret_done_encode(&b, &(struct msg_secret_done){ true,
	    slice_of("secret", 6) });
	holds(&b, again_secret_done);
}

/* Values that no sane peer sends. */
static void
absurd_values_are_garbage(void **state)
{
	struct strbuf b = STRBUF_INIT;
	struct msg_done done;
	struct msg_job job;
	struct msg_role role;

	(void)state;
	msg_role_encode(&b, &(struct msg_role){ .instance = 256 });
	assert_int_equal(msg_role_decode(strbuf_slice(&b), &role), -1);
	strbuf_clear(&b);
	msg_done_encode(&b, &(struct msg_done){ 99, { 0 }, "" });
	assert_int_equal(msg_done_decode(strbuf_slice(&b), &done), -1);
	strbuf_clear(&b);
	msg_job_encode(&b, &(struct msg_job){ .transport = c_up,
	    .from = c_empty, .trace = c_empty });
	assert_int_equal(msg_job_decode(strbuf_slice(&b), &job), -1);
	strbuf_free(&b);
}

static void
text_from_a_peer_is_made_printable(void **state)
{
	struct strbuf b = STRBUF_INIT;
	struct msg_done d = { 250, { 2, 0, 0 }, "a\r\nb\x7f" }, got;

	(void)state;
	msg_done_encode(&b, &d);
	assert_int_equal(msg_done_decode(strbuf_slice(&b), &got), 0);
	assert_string_equal(got.text, "a??b?");
	strbuf_free(&b);
}

static void
the_reader_is_bounded(void **state)
{
	struct strbuf b = STRBUF_INIT;
	struct wire_reader r;
	char *s;

	(void)state;
	wire_put_str(&b, "long enough");
	r = wire_reader(strbuf_slice(&b));
	assert_null(wire_str(&r, 5));
	assert_true(r.bad);
	assert_int_equal(wire_u64(&r), 0);
	assert_false(wire_end(&r));
	strbuf_clear(&b);
	wire_put_str(&b, NULL);
	wire_put_str(&b, "");
	r = wire_reader(strbuf_slice(&b));
	assert_null(wire_str(&r, 5));
	s = wire_str(&r, 5);
	assert_string_equal(s, "");
	free(s);
	assert_true(wire_end(&r));
	strbuf_clear(&b);
	wire_put_u32(&b, 1000000);
	r = wire_reader(strbuf_slice(&b));
	assert_int_equal(wire_count(&r, 2000000, 4), 0);
	assert_true(r.bad);
	/* a NUL inside a string, and a flag that is neither 0 nor 1 */
	strbuf_clear(&b);
	wire_put_u8(&b, 1);
	wire_put_slice(&b, slice_of("a\0b", 3));
	r = wire_reader(strbuf_slice(&b));
	assert_null(wire_str(&r, 100));
	assert_true(r.bad);
	strbuf_clear(&b);
	wire_put_u8(&b, 2);
	r = wire_reader(strbuf_slice(&b));
	assert_null(wire_str(&r, 100));
	assert_true(r.bad);
	strbuf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_of_monitor),
		cmocka_unit_test(messages_of_listener),
		cmocka_unit_test(messages_of_delivery),
		cmocka_unit_test(messages_of_auth),
		cmocka_unit_test(absurd_values_are_garbage),
		cmocka_unit_test(text_from_a_peer_is_made_printable),
		cmocka_unit_test(the_reader_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
