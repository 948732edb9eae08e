/* Numbers as text, both ways.  What is not a number gives false. */
#include "base/num.h"

#include <stdio.h>
#include <string.h>

/* Cuts the digits off the front; false when there are none or too many. */
static bool
take_digits(struct slice *s, uint64_t *out)
{
	uint64_t v = 0;
	size_t i = 0;

	for (; i < s->n && s->p[i] >= '0' && s->p[i] <= '9'; i++) {
		uint64_t digit = (uint64_t)(s->p[i] - '0');

		if (__builtin_mul_overflow(v, (uint64_t)10, &v) ||
		    __builtin_add_overflow(v, digit, &v))
			return false;
	}
	if (i == 0)
		return false;
	*s = slice_skip(*s, i);
	*out = v;
	return true;
}

bool
num_u64(struct slice s, uint64_t max, uint64_t *out)
{
	uint64_t v;

	if (!take_digits(&s, &v) || s.n > 0 || v > max)
		return false;
	*out = v;
	return true;
}

bool
num_size(struct slice s, uint64_t *octets)
{
	uint64_t v, unit;

	if (!take_digits(&s, &v) || s.n > 1)
		return false;
	unit = 1;
	if (s.n == 1) {
		switch (s.p[0]) {
		case 'k': case 'K':
			unit = 1u << 10;
			break;
		case 'm': case 'M':
			unit = 1u << 20;
			break;
		case 'g': case 'G':
			unit = 1u << 30;
			break;
		case 't': case 'T':
			unit = (uint64_t)1 << 40;
			break;
		default:
			return false;
		}
	}
	return !__builtin_mul_overflow(v, unit, octets);
}

static const struct {
	const char *name;
	uint64_t ms;
} units[] = {			/* "ms" must be looked at before "m" */
	{ "ms", 1 },
	{ "d", 86400000 }, { "h", 3600000 }, { "m", 60000 }, { "s", 1000 },
};

static bool
take_unit(struct slice *s, uint64_t *ms)
{
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		struct slice name = slice_cstr(units[i].name);

		if (slice_starts_case(*s, name)) {
			*s = slice_skip(*s, name.n);
			*ms = units[i].ms;
			return true;
		}
	}
	return false;
}

bool
num_duration(struct slice s, uint64_t *ms)
{
	uint64_t total = 0, last = UINT64_MAX;

	if (s.n == 1 && s.p[0] == '0') {
		*ms = 0;
		return true;
	}
	if (s.n == 0)
		return false;
	while (s.n > 0) {
		uint64_t v, unit;

		if (!take_digits(&s, &v) || !take_unit(&s, &unit))
			return false;
		if (unit >= last)	/* 1m1h, 5m5m: a slip, surely */
			return false;
		last = unit;
		if (__builtin_mul_overflow(v, unit, &v) ||
		    __builtin_add_overflow(total, v, &total))
			return false;
	}
	*ms = total;
	return true;
}

bool
num_rate(struct slice s, uint64_t *count, uint64_t *ms)
{
	uint64_t n, d;
	long slash = slice_find(s, '/');

	if (slash < 0 ||
	    !num_u64(slice_of(s.p, (size_t)slash), UINT32_MAX, &n) ||
	    !num_duration(slice_skip(s, (size_t)slash + 1), &d) ||
	    n == 0 || d == 0)
		return false;
	*count = n;
	*ms = d;
	return true;
}

char *
num_duration_text(uint64_t ms, char *buf, size_t n)
{
	static const size_t order[] = { 1, 2, 3, 4, 0 };
	size_t at = 0;

	if (n == 0)
		return buf;
	if (ms == 0) {
		snprintf(buf, n, "0s");
		return buf;
	}
	buf[0] = '\0';
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		uint64_t unit = units[order[i]].ms;

		if (ms < unit || at >= n)
			continue;
		at += (size_t)snprintf(buf + at, n - at, "%llu%s",
		    (unsigned long long)(ms / unit), units[order[i]].name);
		ms %= unit;
	}
	return buf;
}

char *
num_size_text(uint64_t octets, char *buf, size_t n)
{
	static const char letters[] = "KMGT";
	double v = (double)octets;
	size_t i = 0;
	uint64_t tenths;

	if (octets < 1024) {
		snprintf(buf, n, "%llu", (unsigned long long)octets);
		return buf;
	}
	for (v /= 1024; v >= 1023.95 && i < 3; i++)
		v /= 1024;
	tenths = (uint64_t)(v * 10 + 0.5);
	snprintf(buf, n, "%.*f%c", tenths % 10 == 0 || tenths >= 1000 ? 0 : 1,
	    v, letters[i]);
	return buf;
}

static const char id_digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

void
num_id_text(uint64_t id, char out[NUM_ID_LEN + 1])
{
	for (int i = NUM_ID_LEN - 1; i >= 0; i--) {
		out[i] = id_digits[id & 31];
		id >>= 5;
	}
	out[NUM_ID_LEN] = '\0';
}

bool
num_id_parse(struct slice s, uint64_t *id)
{
	uint64_t v = 0;

	/* 13 times 5 bits are 65: the first digit is 0..F. */
	if (s.n != NUM_ID_LEN)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		const char *at;

		if (c >= 'a' && c <= 'z')
			c = (char)(c - 32);
		if (c == '\0' || (at = strchr(id_digits, c)) == NULL)
			return false;
		if (i == 0 && at - id_digits > 15)
			return false;
		v = v << 5 | (uint64_t)(at - id_digits);
	}
	*id = v;
	return true;
}
