/* The cost of a hash, from what stands in it: monitor and tools, when they
 * read a login.  A hash that nobody can check (crypt(3) knows it not, or its
 * numbers are none) costs nothing and passes.  Not in the table: hashes of a
 * fixed cost ($1$, DES) and BSDi's, which takes 2 seconds at the most. */
#include "conf/hash_cost.h"

#include <stdint.h>
#include <string.h>

/* Measured: a million rounds of $6$ take 0.3 to 1 second, with a password of
 * 500 octets 3; bcrypt's 14 takes 1.4; 256 MiB take yescrypt 0.5, scrypt 1.4. */
#define ROUNDS_MAX 1000000		/* SCRAM_ITERATIONS_MAX, too */
#define BCRYPT_MAX 14
#define MEMORY_MAX ((uint64_t)256 << 20)

#define COSTLY(what) "the hash takes too long to check (" what "): whoever " \
    "tries this login would keep all others waiting; relayctl passwd makes " \
    "one that does not"

typedef const char *judge(struct slice rest);

static bool
cut(struct slice *s, struct slice prefix)
{
	if (!slice_starts_case(*s, prefix))
		return false;
	*s = slice_skip(*s, prefix.n);
	return true;
}

/* More digits than a number has octets for are too many. */
static bool
is_above(struct slice s, uint64_t max)
{
	uint64_t n = 0;
	size_t i;

	for (i = 0; i < s.n && s.p[i] >= '0' && s.p[i] <= '9'; i++) {
		n = n * 10 + (uint64_t)(s.p[i] - '0');
		if (n > max)
			return true;
	}
	return false;
}

static const char *
judge_rounds(struct slice rest)
{
	return is_above(rest, ROUNDS_MAX) ?
	    COSTLY("more than 1000000 rounds") : NULL;
}

/* $5$rounds=N$, $md5,rounds=N$; without them it is a few thousand. */
static const char *
judge_named_rounds(struct slice rest)
{
	if (rest.n > 0 && (rest.p[0] == ',' || rest.p[0] == '$'))
		rest = slice_skip(rest, 1);
	return cut(&rest, SLICE_LIT("rounds=")) ? judge_rounds(rest) : NULL;
}

/* SCRAM-SHA-256$N: */
static const char *
judge_scram(struct slice rest)
{
	long at = slice_find(rest, '$');

	return at < 0 ? NULL : judge_rounds(slice_skip(rest, (size_t)at + 1));
}

/* 2b$NN$ */
static const char *
judge_bcrypt(struct slice rest)
{
	rest = slice_skip(rest, rest.n < 2 ? rest.n : 2);
	return is_above(rest, BCRYPT_MAX) ?
	    COSTLY("a cost of more than 14") : NULL;
}

/* ---- scrypt and its kin: by memory ---- */

/* A digit of crypt(3)'s own base 64; -1: it is none. */
static int
digit(struct slice s, size_t i)
{
	static const char digits[] = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz";
	const char *at;

	if (i >= s.n || s.p[i] == '\0')
		return -1;
	at = strchr(digits, s.p[i]);
	return at == NULL ? -1 : (int)(at - digits);
}

/* 2^log_n blocks of r * 128 octets, p times. */
static const char *
judge_memory(unsigned log_n, uint64_t r, uint64_t p)
{
	uint64_t blocks = MEMORY_MAX / 128;

	if (log_n < 32 && r <= blocks && p <= blocks &&
	    (r << log_n) <= blocks && (r << log_n) * p <= blocks)
		return NULL;
	return COSTLY("more than 256 MiB of memory");
}

/* Flags, log2 N - 1, r - 1, one digit each.  More of them, or digits that
 * stand for a longer number, are made by no program that we know. */
static const char *
judge_yescrypt(struct slice rest)
{
	int log_n = digit(rest, 1), r = digit(rest, 2);

	if (slice_find(rest, '$') != 3 || log_n < 0 || r < 0 || log_n > 47 ||
	    r > 47)
		return COSTLY("parameters that mkpasswd does not make");
	return judge_memory((unsigned)log_n + 1, (uint64_t)r + 1, 1);
}

/* Five digits, the lowest first. */
static uint64_t
number(struct slice s, size_t at)
{
	uint64_t n = 0;
	size_t i;
	int d;

	for (i = 0; i < 5; i++) {
		d = digit(s, at + i);
		if (d < 0)
			return 0;
		n |= (uint64_t)d << 6 * i;
	}
	return n;
}

/* log2 N, r, p */
static const char *
judge_scrypt(struct slice rest)
{
	int log_n = digit(rest, 0);

	return log_n < 0 ? NULL : judge_memory((unsigned)log_n,
	    number(rest, 1), number(rest, 6));
}

static const struct {
	struct slice prefix;
	judge *judge;
} kinds[] = {
	{ SLICE_LIT("$5$"), judge_named_rounds },
	{ SLICE_LIT("$6$"), judge_named_rounds },
	{ SLICE_LIT("$md5"), judge_named_rounds },
	{ SLICE_LIT("$sha1$"), judge_rounds },
	{ SLICE_LIT("SCRAM-"), judge_scram },
	{ SLICE_LIT("$2"), judge_bcrypt },
	{ SLICE_LIT("$y$"), judge_yescrypt },
	{ SLICE_LIT("$gy$"), judge_yescrypt },
	{ SLICE_LIT("$7$"), judge_scrypt },
};

const char *
conf_hash_costly(struct slice hash)
{
	struct slice rest;
	size_t i;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		rest = hash;
		if (cut(&rest, kinds[i].prefix))
			return kinds[i].judge(rest);
	}
	return NULL;
}
