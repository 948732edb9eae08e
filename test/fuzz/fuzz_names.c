/* The small parsers of names and addresses: the first octet says which.
 * What a parser gives back as text it must take again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "io/resolve_private.h"
#include "io/sockaddr.h"
#include "io/tls_context.h"

static void
try_sockaddr(struct slice s)
{
	struct sockaddr_storage sa[2];
	char text[SOCKADDR_TEXT_MAX];
	size_t n, i, again;
	struct err e;

	if (sockaddr_parse(s, 25, sa, &n, &e) < 0)
		return;
	for (i = 0; i < n; i++) {
		struct sockaddr_storage back[2];

		sockaddr_text(&sa[i], text);
		if (sa[i].ss_family == AF_UNIX)
			continue;
		if (sockaddr_parse(slice_cstr(text), 25, back, &again, &e) <
		    0 || again != 1 || !sockaddr_eq(&sa[i], &back[0]))
			abort();
	}
}

static void
try_net(struct slice s)
{
	char text[SOCKADDR_TEXT_MAX];
	struct net net, back;
	struct err e;

	if (net_parse(s, &net, &e) < 0)
		return;
	if (net_parse(slice_cstr(net_text(&net, text)), &back, &e) < 0 ||
	    memcmp(&net, &back, sizeof(net)) != 0)
		abort();
}

static void
try_hosts(struct slice s)
{
	struct hosts *h = hosts_new(s);

	(void)hosts_find(h, "localhost");
	(void)hosts_find(h, "a");
	hosts_free(&h);
}

static void
try_numbers(struct slice s)
{
	char text[64], id_text[NUM_ID_LEN + 1];
	uint64_t v, w;

	(void)num_u64(s, UINT64_MAX, &v);
	(void)num_rate(s, &v, &w);
	if (num_size(s, &v))
		num_size_text(v, text, sizeof(text));
	if (num_duration(s, &v) && v > 0) {
		num_duration_text(v, text, sizeof(text));
		if (!num_duration(slice_cstr(text), &w) || w != v)
			abort();
	}
	if (num_id_parse(s, &v)) {
		num_id_text(v, id_text);
		if (!num_id_parse(slice_cstr(id_text), &w) || v != w)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tls_pin pin;
	struct err e;
	char name[256];
	struct slice s;

	if (size == 0)
		return 0;
	s = slice_of(data + 1, size - 1);
	switch (data[0] % 6) {
	case 0:
		try_sockaddr(s);
		break;
	case 1:
		try_net(s);
		break;
	case 2:
		try_hosts(s);
		break;
	case 3:
		(void)dns_name_text(data + 1, size - 1, name);
		break;
	case 4:
		(void)tls_pin_parse(s, &pin, &e);
		break;
	default:
		try_numbers(s);
		break;
	}
	return 0;
}
