/*
 * From which address a server sees us: many tell it in their reply to EHLO.
 * Run by delivery.  Such a reply proves nothing; it is shown to a human.
 */
#include "delivery/egress.h"

#include <string.h>

#include "base/mem.h"
#include "io/sockaddr.h"

/* The first address in brackets. */
static bool
seen_as(struct slice said, char ip[SOCKADDR_TEXT_MAX])
{
	struct sockaddr_storage sa;
	struct slice word;
	long from, n;

	while ((from = slice_find(said, '[')) >= 0) {
		said = slice_skip(said, (size_t)from + 1);
		n = slice_find(said, ']');
		if (n < 0)
			break;
		word = slice_of(said.p, (size_t)n);
		if (word.n > 5 && strncasecmp(word.p, "IPv6:", 5) == 0)
			word = slice_skip(word, 5);
		if (sockaddr_from_ip(word, 0, &sa)) {
			sockaddr_ip_text(&sa, ip);
			return true;
		}
	}
	return false;
}

char *
egress_text(const struct conf_proxy *p, struct slice reply, bool *known)
{
	char ip[SOCKADDR_TEXT_MAX], other[SOCKADDR_TEXT_MAX];
	struct sockaddr_storage sa;
	size_t i;

	*known = false;
	if (p == NULL || !seen_as(reply, ip))
		return NULL;
	for (i = 0; i < p->remote_address.n; i++)
		if (sockaddr_from_ip(slice_cstr(p->remote_address.v[i]), 0,
		    &sa) && strcmp(sockaddr_ip_text(&sa, other), ip) == 0)
			*known = true;
	return mem_printf("the server sees us as %s%s", ip, *known ? "" :
	    ", which is not among the proxy's `remote-address`");
}
