/* A proxy that may say anything: the first octet chooses what we want of it,
 * the rest is what it says, in pieces of any length. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "io/sockaddr.h"
#include "io/socks5.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(int fine)
{
	if (!fine)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct socks5_options o = { .host = "mx.example", .port = 25 };
	enum socks5_result r = SOCKS5_MORE;
	struct socks5 s;
	struct err e;
	size_t n, want;

	if (size == 0)
		return 0;
	if (data[0] & 1) {
		o.username = "user";
		o.password = "p\xc3\xa4ssword";
	}
	if (data[0] & 2)
		(void)sockaddr_from_ip(data[0] & 4 ?
		    SLICE_LIT("2001:db8::1") : SLICE_LIT("192.0.2.1"), 25,
		    &o.to);
	check(socks5_begin(&s, &o, &e) == 0);
	for (data++, size--; size > 0 && r == SOCKS5_MORE; data += n,
	    size -= n) {
		check(s.out_n <= sizeof(s.out));
		s.out_n = 0;
		want = socks5_want(&s);
		check(want > 0 && want <= sizeof(s.in));
		n = (data[0] & 7) + 1u;
		if (n > want)
			n = want;
		if (n > size)
			n = size;
		r = socks5_feed(&s, slice_of(data, n));
	}
	if (r == SOCKS5_FAILED)
		check(s.why.text[0] != '\0');
	if (r == SOCKS5_DONE)
		check(s.request_sent);
	check(r == SOCKS5_MORE || socks5_want(&s) == 0);
	socks5_end(&s);
	return 0;
}
