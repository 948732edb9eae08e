/* Numbers, times, random numbers and checksums. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crc.h"
#include "base/num.h"
#include "base/rand.h"

uint32_t crc32c_portable(uint32_t crc, const void *p, size_t n);

static void
reads_whole_numbers(void **state)
{
	uint64_t v = 1;

	(void)state;
	assert_true(num_u64(SLICE_LIT("0"), 9, &v));
	assert_int_equal(v, 0);
	assert_true(num_u64(SLICE_LIT("18446744073709551615"), UINT64_MAX,
	    &v));
	assert_true(v == UINT64_MAX);
	assert_false(num_u64(SLICE_LIT("18446744073709551616"), UINT64_MAX,
	    &v));
	assert_false(num_u64(SLICE_LIT("10"), 9, &v));
	assert_false(num_u64(SLICE_LIT(""), 9, &v));
	assert_false(num_u64(SLICE_LIT("-1"), 9, &v));
	assert_false(num_u64(SLICE_LIT("1 "), 9, &v));
	assert_true(v == UINT64_MAX);
}

static void
reads_sizes(void **state)
{
	uint64_t v;

	(void)state;
	assert_true(num_size(SLICE_LIT("64K"), &v) && v == 65536);
	assert_true(num_size(SLICE_LIT("50M"), &v) && v == 52428800);
	assert_true(num_size(SLICE_LIT("1g"), &v) && v == 1073741824);
	assert_true(num_size(SLICE_LIT("17"), &v) && v == 17);
	assert_false(num_size(SLICE_LIT("17X"), &v));
	assert_false(num_size(SLICE_LIT("17KB"), &v));
	assert_false(num_size(SLICE_LIT("K"), &v));
	assert_false(num_size(SLICE_LIT("18446744073709551615K"), &v));
}

static void
reads_durations(void **state)
{
	uint64_t v;

	(void)state;
	assert_true(num_duration(SLICE_LIT("500ms"), &v) && v == 500);
	assert_true(num_duration(SLICE_LIT("30s"), &v) && v == 30000);
	assert_true(num_duration(SLICE_LIT("5m"), &v) && v == 300000);
	assert_true(num_duration(SLICE_LIT("1h30m"), &v) && v == 5400000);
	assert_true(num_duration(SLICE_LIT("5d"), &v) && v == 432000000);
	assert_true(num_duration(SLICE_LIT("0"), &v) && v == 0);
	assert_false(num_duration(SLICE_LIT("30"), &v));
	assert_false(num_duration(SLICE_LIT(""), &v));
	assert_false(num_duration(SLICE_LIT("5x"), &v));
	assert_false(num_duration(SLICE_LIT("30m1h"), &v));
	assert_false(num_duration(SLICE_LIT("5m5m"), &v));
	assert_false(num_duration(SLICE_LIT("99999999999999999999d"), &v));
	assert_false(num_duration(SLICE_LIT("9999999999999999d"), &v));
}

static void
reads_rates(void **state)
{
	uint64_t n, ms;

	(void)state;
	assert_true(num_rate(SLICE_LIT("30/1m"), &n, &ms));
	assert_int_equal(n, 30);
	assert_int_equal(ms, 60000);
	assert_false(num_rate(SLICE_LIT("30"), &n, &ms));
	assert_false(num_rate(SLICE_LIT("0/1m"), &n, &ms));
	assert_false(num_rate(SLICE_LIT("3/0"), &n, &ms));
	assert_false(num_rate(SLICE_LIT("/1m"), &n, &ms));
}

static void
writes_what_it_reads(void **state)
{
	char b[64];

	(void)state;
	assert_string_equal(num_duration_text(0, b, sizeof(b)), "0s");
	assert_string_equal(num_duration_text(345600000, b, sizeof(b)), "4d");
	assert_string_equal(num_duration_text(5400000, b, sizeof(b)), "1h30m");
	assert_string_equal(num_duration_text(250, b, sizeof(b)), "250ms");
	assert_string_equal(num_duration_text(1250, b, sizeof(b)), "1s250ms");
	num_duration_text(UINT64_MAX, b, 4);
	assert_string_equal(num_size_text(17, b, sizeof(b)), "17");
	assert_string_equal(num_size_text(1024, b, sizeof(b)), "1K");
	assert_string_equal(num_size_text(4404019, b, sizeof(b)), "4.2M");
	assert_string_equal(num_size_text(1048575, b, sizeof(b)), "1M");
	assert_string_equal(num_size_text((uint64_t)5 << 40, b, sizeof(b)),
	    "5T");
}

static void
ids_sort_as_texts_do(void **state)
{
	static const uint64_t ids[] = { 0, 1, 31, 32, 123456789,
		(uint64_t)1 << 63, UINT64_MAX };
	char a[NUM_ID_LEN + 1], before[NUM_ID_LEN + 1] = "";
	uint64_t back;

	(void)state;
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		num_id_text(ids[i], a);
		assert_true(strcmp(before, a) < 0);
		assert_true(num_id_parse(slice_cstr(a), &back));
		assert_true(back == ids[i]);
		strcpy(before, a);
	}
	assert_true(num_id_parse(SLICE_LIT("fzzzzzzzzzzzz"), &back));
	assert_true(back == UINT64_MAX);
	assert_false(num_id_parse(SLICE_LIT("GZZZZZZZZZZZZ"), &back));
	assert_false(num_id_parse(SLICE_LIT("0000000000000U"), &back));
	assert_false(num_id_parse(SLICE_LIT("000000000000U"), &back));
	assert_false(num_id_parse(SLICE_LIT("000000000000\0"), &back));
	assert_false(num_id_parse(SLICE_LIT("12"), &back));
}

static void
times_as_text(void **state)
{
	char b[64];

	(void)state;
	setenv("TZ", "UTC-02:30", 1);
	tzset();
	assert_string_equal(clock_rfc3339(1795147506789, b),
	    "2026-11-20T04:05:06.789Z");
	assert_string_equal(clock_rfc3339(1795147506001, b),
	    "2026-11-20T04:05:06.001Z");
	assert_string_equal(clock_rfc3339(0, b), "1970-01-01T00:00:00.000Z");
	assert_int_equal(strlen(clock_rfc3339(UINT64_MAX, b)),
	    CLOCK_RFC3339_LEN);
	assert_string_equal(clock_rfc5322(1795147506789, b, sizeof(b)),
	    "Fri, 20 Nov 2026 06:35:06 +0230");
	setenv("TZ", "UTC+05", 1);
	tzset();
	assert_string_equal(clock_rfc5322(1795147506789, b, sizeof(b)),
	    "Thu, 19 Nov 2026 23:05:06 -0500");
	clock_rfc5322(UINT64_MAX, b, sizeof(b));
}

static void
set_offset(const char *file, const char *text)
{
	FILE *f = fopen(file, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void
the_clock_goes_on_and_can_be_shifted(void **state)
{
	char file[] = "/tmp/test_clock.XXXXXX";
	int fd = mkstemp(file);
	uint64_t t, m;

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	setenv("SMARTHOSTD_CLOCK_OFFSET_FILE", file, 1);
	m = clock_mono_ms();
	assert_true(m > 0);
	assert_true(clock_mono_us() / 1000 >= m);
	t = clock_real_ms();
	assert_true(t > (uint64_t)1700000000 * 1000);
	assert_true(clock_real_ms() == t);
	set_offset(file, "86400000\n");
	clock_update();
	assert_true(clock_real_ms() >= t + 86400000);
	set_offset(file, "-86400000\n");
	clock_update();
	assert_true(clock_real_ms() < t);
	unlink(file);
	clock_update();
	assert_true(clock_real_ms() > (uint64_t)1700000000 * 1000);
}

static void
random_numbers_stay_in_their_bounds(void **state)
{
	unsigned seen = 0;
	char big[2000] = { 0 };
	size_t zeros = 0;

	(void)state;
	for (int i = 0; i < 2000; i++) {
		uint64_t v = rand_below(3), j = rand_jitter(1000, 10);

		assert_true(v < 3);
		seen |= 1u << v;
		assert_in_range(j, 900, 1100);
	}
	assert_int_equal(seen, 7);
	assert_int_equal(rand_below(1), 0);
	assert_int_equal(rand_jitter(0, 10), 0);
	assert_int_equal(rand_jitter(5, 0), 5);
	assert_true(rand_u64() != rand_u64());
	rand_bytes(big, sizeof(big));
	for (size_t i = 0; i < sizeof(big); i++)
		zeros += big[i] == 0;
	assert_true(zeros < 100);
}

static void
crc_has_the_known_values(void **state)
{
	unsigned char data[4000];

	(void)state;
	assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283u);
	memset(data, 0, 32);
	assert_int_equal(crc32c(0, data, 32), 0x8a9136aau);
	assert_int_equal(crc32c(0, data, 0), 0);
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (unsigned char)(i * 7 + i / 256);
	for (size_t n = 0; n < 3990; n += n < 100 ? 1 : 67) {
		assert_int_equal(crc32c(0, data + n % 8, n),
		    crc32c_portable(0, data + n % 8, n));
		assert_int_equal(crc32c(crc32c(0, data, n), data + n,
		    sizeof(data) - n), crc32c(0, data, sizeof(data)));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_whole_numbers),
		cmocka_unit_test(reads_sizes),
		cmocka_unit_test(reads_durations),
		cmocka_unit_test(reads_rates),
		cmocka_unit_test(writes_what_it_reads),
		cmocka_unit_test(ids_sort_as_texts_do),
		cmocka_unit_test(the_clock_goes_on_and_can_be_shifted),
		cmocka_unit_test(times_as_text),
		cmocka_unit_test(random_numbers_stay_in_their_bounds),
		cmocka_unit_test(crc_has_the_known_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
