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
AGAIN(connect, msg_connect_clear(m))
AGAIN(connected, (void)0)
AGAIN(alert, (void)0)
AGAIN(counts, (void)0)
AGAIN(job, msg_job_clear(m))
AGAIN(job_done, msg_job_done_clear(m))
AGAIN(next_hop, msg_next_hop_clear(m))
AGAIN(site, msg_site_clear(m))
AGAIN(proxy_login, msg_proxy_login_clear(m))
AGAIN(proxy_secret, msg_proxy_secret_clear(m))
AGAIN(trial, msg_trial_clear(m))
AGAIN(trial_done, msg_trial_done_clear(m))
AGAIN(auth, msg_auth_clear(m))
AGAIN(cred, msg_cred_clear(m))
AGAIN(auth_step, msg_auth_step_clear(m))
AGAIN(secret, msg_secret_clear(m))
AGAIN(secret_done, (void)0)
AGAIN(token, msg_token_clear(m))
AGAIN(token_done, (void)0)
AGAIN(oauth_call, msg_oauth_call_clear(m))
AGAIN(credential_new, msg_credential_new_clear(m))

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
	char *more[2] = { c_from, c_to };

	(void)state;
	msg_role_encode(&b, &(struct msg_role){ .slot = 3,
	    .instance = 255, .has_group = true, .group = 27 });
	holds(&b, again_role);
	msg_log_encode(&b, &(struct msg_log){ 1, 1, 3 });
	holds(&b, again_log);
	msg_listen_encode(&b, &(struct msg_listen){
	    .kind = LISTEN_TOKEN, .index = 7, .has_group = true, .group = 5 });
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
	msg_local_encode(&b, &(struct msg_local){ .transport = c_up,
	    .sender = c_empty, .recipient = c_to, .more = more,
	    .n_more = 2 });
	holds(&b, again_local);
	msg_connect_encode(&b, &(struct msg_connect){ c_up });
	holds(&b, again_connect);
	msg_connected_encode(&b, &(struct msg_connected){ "no", true });
	holds(&b, again_connected);
	msg_local_done_encode(&b, &(struct msg_local_done){ 75, "no",
	    { 67, 0 }, 2 });
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
	j.site = c_to;
	j.avoid = 6;
	j.first = true;
	msg_job_encode(&b, &j);
	holds(&b, again_job);
}

static void
messages_about_next_hops(void **state)
{
	struct strbuf b = STRBUF_INIT;
	struct msg_site site;

	(void)state;
	msg_next_hop_encode(&b, &(struct msg_next_hop){ c_up, c_to, true,
	    NULL });
	holds(&b, again_next_hop);
	msg_next_hop_encode(&b, &(struct msg_next_hop){ c_up, c_to, false,
	    c_text });
	holds(&b, again_next_hop);
	msg_site_encode(&b, &(struct msg_site){ .result = SITE_FOUND,
	    .ttl = 300, .site = c_to });
	holds(&b, again_site);
	msg_site_encode(&b, &(struct msg_site){ .result = SITE_FOUND,
	    .ttl = 300, .site = c_to, .policy = c_text });
	holds(&b, again_site);
	msg_site_encode(&b, &(struct msg_site){ .result = SITE_REFUSED,
	    .ttl = 300, .code = 556, .status = { 5, 1, 10 },
	    .text = c_text });
	holds(&b, again_site);
	/* Found, but where?  Not found, but why? */
	msg_site_encode(&b, &(struct msg_site){ .result = SITE_FOUND });
	assert_int_equal(msg_site_decode(strbuf_slice(&b), &site), -1);
	strbuf_clear(&b);
	msg_site_encode(&b, &(struct msg_site){ .result = SITE_LATER,
	    .code = 450 });
	assert_int_equal(msg_site_decode(strbuf_slice(&b), &site), -1);
	strbuf_clear(&b);
	msg_site_encode(&b, &(struct msg_site){ .result = SITE_LATER,
	    .code = 250, .text = c_text });
	assert_int_equal(msg_site_decode(strbuf_slice(&b), &site), -1);
	strbuf_free(&b);
}

static void
messages_of_a_trial(void **state)
{
	struct strbuf b = STRBUF_INIT;
	struct msg_trial_step s[2] = { { true, c_up, c_text },
	    { false, c_from, c_empty } };

	(void)state;
	msg_trial_encode(&b, &(struct msg_trial){ .transport = c_up,
	    .from = c_from, .to = c_to, .message = c_text });
	holds(&b, again_trial);
	msg_trial_encode(&b, &(struct msg_trial){ .transport = c_up,
	    .from = c_empty });
	holds(&b, again_trial);
	msg_trial_encode(&b, &(struct msg_trial){ .transport = c_up,
	    .from = c_empty, .policy = c_text });
	holds(&b, again_trial);
	msg_trial_done_encode(&b, &(struct msg_trial_done){ .step = s,
	    .n_steps = 2, .dialogue = c_text });
	holds(&b, again_trial_done);
}

static void
messages_of_auth(void **state)
{
	struct strbuf b = STRBUF_INIT;

	(void)state;
	msg_auth_encode(&b, &(struct msg_auth){ .session = 1,
	    .mechanism = c_up, .has_data = true, .data = slice_of("\0a\0b", 4),
	    .client = c_text, .secure = true, .n_bindings = 2, .binding = {
	    { c_up, slice_of("0123", 4) }, { c_text, slice_of("", 0) } } });
	holds(&b, again_auth);
	msg_cred_encode(&b, &(struct msg_cred){ .session = 1,
	    .transport = c_up, .host = c_up, .mechanisms = c_text,
	    .secure = true, .data = slice_of("x", 1),
	    .binding = { c_up, slice_of("0123", 4) } });
	holds(&b, again_cred);
	msg_auth_step_encode(&b, &(struct msg_auth_step){
	    .state = AUTH_OK, .mechanism = c_up, .has_data = false,
	    .data = slice_of("", 0), .login = c_from });
	holds(&b, again_auth_step);
	msg_secret_encode(&b, &(struct msg_secret){ SECRET_OF_CLIENT,
	    c_up });
	holds(&b, again_secret);
	msg_secret_done_encode(&b, &(struct msg_secret_done){ true,
	    slice_of("secret", 6) });
	holds(&b, again_secret_done);
	msg_proxy_login_encode(&b, &(struct msg_proxy_login){ c_up, 3 });
	holds(&b, again_proxy_login);
	msg_proxy_secret_encode(&b, &(struct msg_proxy_secret){ c_up, c_to,
	    NULL });
	holds(&b, again_proxy_secret);
	msg_proxy_secret_encode(&b, &(struct msg_proxy_secret){ NULL, NULL,
	    c_text });
	holds(&b, again_proxy_secret);
	msg_token_encode(&b, &(struct msg_token){ c_up, true, 1,
	    slice_of("{}", 2) });
	holds(&b, again_token);
	msg_token_done_encode(&b, &(struct msg_token_done){ TOKEN_BUSY,
	    slice_of("why", 3) });
	holds(&b, again_token_done);
	msg_oauth_call_encode(&b, &(struct msg_oauth_call){ .command = c_text,
	    .name = c_up, .flow = c_from, .port = 65535 });
	holds(&b, again_oauth_call);
	msg_credential_new_encode(&b, &(struct msg_credential_new){ c_up });
	holds(&b, again_credential_new);
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
		cmocka_unit_test(messages_about_next_hops),
		cmocka_unit_test(messages_of_a_trial),
		cmocka_unit_test(messages_of_auth),
		cmocka_unit_test(absurd_values_are_garbage),
		cmocka_unit_test(text_from_a_peer_is_made_printable),
		cmocka_unit_test(the_reader_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
