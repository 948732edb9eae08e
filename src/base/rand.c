/* Random numbers of the kernel, fetched 512 octets at a time by each thread.
 * On failure (a kernel without getrandom): ends the process, since ids,
 * keys and boundaries must not be guessable.  A process that forks without
 * exec must not use it in both. */
#include "base/rand.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static _Thread_local unsigned char pool[512];
static _Thread_local size_t left;

static void
fetch(unsigned char *p, size_t n)
{
	while (n > 0) {
		ssize_t got = getrandom(p, n, 0);

		if (got < 0) {
			if (errno == EINTR)
				continue;
			abort();
		}
		p += got;
		n -= (size_t)got;
	}
}

void
rand_bytes(void *p, size_t n)
{
	unsigned char *to;

	if (n > sizeof(pool)) {
		fetch(p, n);
		return;
	}
	if (n > left) {
		fetch(pool, sizeof(pool));
		left = sizeof(pool);
	}
	to = pool + (left - n);
	memcpy(p, to, n);
	explicit_bzero(to, n);
	left -= n;
}

uint64_t
rand_u64(void)
{
	uint64_t v;

	rand_bytes(&v, sizeof(v));
	return v;
}

uint64_t
rand_below(uint64_t n)
{
	uint64_t v;
	/* 2^64 mod n: values below it would make some results likelier. */
	uint64_t reject = (0 - n) % n;

	do
		v = rand_u64();
	while (v < reject);
	return v % n;
}

uint64_t
rand_jitter(uint64_t v, unsigned percent)
{
	uint64_t span = v / 100 * percent + v % 100 * percent / 100;
	uint64_t off;

	if (span == 0 || span >= UINT64_MAX / 2)
		return v;
	off = rand_below(2 * span + 1);
	if (off >= span)
		return v + (off - span) < v ? UINT64_MAX : v + (off - span);
	return v > span - off ? v - (span - off) : 0;
}
