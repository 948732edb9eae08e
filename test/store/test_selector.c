/* Which messages a command means, and how a message looks as JSON. */
#include "fixture.h"

#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "store/record_json.h"
#include "store/selector.h"

static struct record *
message(void)
{
	struct record *r = make_record(ID(7), slice_of("x", 1));

	r->body_size = 2000;
	r->account = mem_strdup("scans");
	r->transport = mem_strdup("up");
	return r;
}

static bool
selects(const char *name, const char *value)
{
	struct selector s;
	struct record *r = message();
	struct err e = { 0, "" };
	bool yes;

	memset(&s, 0, sizeof(s));
	if (selector_set(&s, name, value, &e) < 0)
		fail_msg("%s %s: %s", name, value, e.text);
	assert_false(selector_empty(&s));
	yes = selector_match(&s, r, "deferred", r->env->received_ms + 60000);
	selector_clear(&s);
	record_free(&r);
	return yes;
}

static void
each_selector_narrows(void **state)
{
	(void)state;
	assert_true(selects("from", "sender@device.example"));
	assert_true(selects("from", ".example"));
	assert_false(selects("from", "<>"));
	assert_true(selects("to", "somebody@example.org"));
	assert_false(selects("to", "example.net"));
	assert_true(selects("account", "scans"));
	assert_false(selects("account", "Scans"));
	assert_true(selects("transport", "up"));
	assert_false(selects("transport", "direct"));
	assert_true(selects("status", "deferred"));
	assert_false(selects("status", "held"));
	assert_true(selects("older", "1m"));
	assert_false(selects("older", "61s"));
	assert_true(selects("larger", "1999"));
	assert_false(selects("larger", "2000"));
}

static void
a_pin_is_what_counts(void **state)
{
	struct selector s;
	struct record *r = message();
	struct err e;

	(void)state;
	memset(&s, 0, sizeof(s));
	assert_int_equal(selector_set(&s, "transport", "up", &e), 0);
	r->pinned = mem_strdup("backup");
	assert_false(selector_match(&s, r, "queued", 0));
	selector_clear(&s);
	record_free(&r);
}

static void
what_is_wrong_is_told(void **state)
{
	static const char *const t[][2] = {
		{ "from", "a@b@c" }, { "to", "" }, { "status", "gone" },
		{ "older", "soon" }, { "larger", "5Q" }, { "limit", "0" },
		{ "limit", "x" }, { "colour", "red" },
	};
	struct selector s;
	struct err e;
	size_t i;

	(void)state;
	memset(&s, 0, sizeof(s));
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		e.text[0] = '\0';
		if (selector_set(&s, t[i][0], t[i][1], &e) != -1)
			fail_msg("%s %s", t[i][0], t[i][1]);
		assert_int_not_equal(e.text[0], '\0');
	}
	assert_true(selector_empty(&s));
	selector_clear(&s);
}

static void
ids_that_are_none_name_no_message(void **state)
{
	struct selector s;
	char id[NUM_ID_LEN + 1];
	struct err e;

	(void)state;
	memset(&s, 0, sizeof(s));
	num_id_text(ID(7), id);
	assert_int_equal(selector_set(&s, "id", "nosuch", &e), 0);
	assert_int_equal(selector_set(&s, "id", id, &e), 0);
	assert_int_equal(s.n_ids, 2);
	assert_int_equal(s.ids[0].id, 0);
	assert_string_equal(s.ids[0].text, "nosuch");
	assert_true(s.ids[1].id == ID(7));
	selector_clear(&s);
}

static void
a_message_is_an_object(void **state)
{
	struct record *r = message();
	struct strbuf b = STRBUF_INIT;
	struct json_writer w = json_to(&b);
	struct record_outcome outcome = { 1, "TLSv1.3", "mta-sts",
	    "pass" };

	(void)state;
	assert_string_equal(record_status(r), "queued");
	record_json(&w, NULL, r, record_status(r), 0, NULL);
	assert_non_null(strstr(b.p, "\"status\":\"queued\","
	    "\"from\":\"sender@device.example\",\"account\":\"scans\","
	    "\"login\":null,\"client\":null,\"size\":2000,\"arrived\":\""));
	assert_non_null(strstr(b.p, "\"expires\":null,\"attempts\":0,"));
	assert_non_null(strstr(b.p, "\"transport\":\"up\","
	    "\"pinned\":false,\"route\":null,\"recipients\":[{\"address\":"
	    "\"somebody@example.org\",\"status\":\"queued\","
	    "\"attempts\":0,\"last_reply\":null,\"remote\":null}]}"));
	r->held = true;
	assert_string_equal(record_status(r), "held");
	r->held = false;
	r->rcpt[0].last_code = 451;
	assert_string_equal(record_status(r), "deferred");
	r->rcpt[0].state = RCPT_DELIVERED;
	strbuf_clear(&b);
	w = json_to(&b);
	record_json(&w, NULL, r, "delivered", 0, &outcome);
	assert_non_null(strstr(b.p, "\"delivered_at\":"
	    "\"1970-01-01T00:00:00.001Z\",\"tls\":\"TLSv1.3\","
	    "\"verify\":\"mta-sts\",\"spf\":\"pass\"}]}"));
	strbuf_free(&b);
	record_free(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_selector_narrows),
		cmocka_unit_test(a_pin_is_what_counts),
		cmocka_unit_test(what_is_wrong_is_told),
		cmocka_unit_test(ids_that_are_none_name_no_message),
		cmocka_unit_test(a_message_is_an_object),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
