/* Clients that guess: their answers wait, right or wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "auth/role.h"
#include "base/clock.h"
#include "io/loop_private.h"

static uint64_t
took(uint64_t number, const char *text, size_t n, uint8_t state)
{
	uint64_t start = clock_mono_us();

	expect_step(log_in(number, "PLAIN", text, n), state, NULL);
	return (clock_mono_us() - start) / 1000;
}

#define WRONG "\0joe\0wrong", 10
#define RIGHT "\0joe\0sesame", 11

/* A timer that was set twice would be found in freed memory later. */
static void
an_answer_that_waited_leaves_no_timer_behind(void **state)
{
	unsigned before = (unsigned)loop->wheel.count;
	uint64_t i;

	(void)state;
	for (i = 1; i <= 3; i++)
		assert_true(took(i, WRONG, AUTH_REFUSED) < 900);
	assert_true(took(4, WRONG, AUTH_REFUSED) >= 900);
	assert_int_equal(loop->wheel.count, before);
	assert_true(took(5, RIGHT, AUTH_OK) >= 1900);
	assert_int_equal(loop->wheel.count, before);
	assert_true(took(6, WRONG, AUTH_REFUSED) < 900);
}

/* Nor does one whose client has gone meanwhile, which forgives nothing. */
static void
an_answer_that_nobody_waits_for(void **state)
{
	struct msg_auth m = { .session = 4,
		.mechanism = (char *)(uintptr_t)"PLAIN",
		.client = (char *)(uintptr_t)"192.0.2.1", .secure = true,
		.has_data = true, .data = slice_of(RIGHT) };
	struct strbuf b = STRBUF_INIT;
	unsigned before = (unsigned)loop->wheel.count;
	uint64_t i;

	(void)state;
	for (i = 1; i <= 3; i++)
		(void)took(i, WRONG, AUTH_REFUSED);
	msg_auth_encode(&b, &m);
	port_send(listener, MSG_AUTH_START, 99, strbuf_slice(&b));
	while (TAILQ_FIRST(&auth->peers)->role != ROLE_LISTENER ||
	    auth_exchange_find(TAILQ_FIRST(&auth->peers), 4) == NULL ||
	    !auth_exchange_find(TAILQ_FIRST(&auth->peers), 4)->delayed)
		loop_turn(loop, true);
	port_send(listener, MSG_AUTH_DROP, 0, strbuf_slice(&b));
	strbuf_free(&b);
	while (auth_exchange_find(TAILQ_FIRST(&auth->peers), 4) != NULL)
		loop_turn(loop, true);
	assert_int_equal(loop->wheel.count, before);
	assert_true(took(5, WRONG, AUTH_REFUSED) >= 900);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(an_answer_that_waited_leaves_no_timer_behind),
		T(an_answer_that_nobody_waits_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
