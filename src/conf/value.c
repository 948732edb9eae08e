/* Words into values: numbers, durations, networks, patterns, hosts.  What is
 * wrong is told with the word; secrets never come here. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "conf/directives.h"
#include "mail/domain.h"
#include "mail/pattern.h"

bool
value_duration(struct build *b, const struct conf_stmt *s,
    const struct conf_word *w, uint64_t *ms)
{
	uint64_t v;

	if (!num_duration(slice_cstr(w->s), &v)) {
		build_error(b, s, w, "`%s` is not a duration (30s 5m 4h 5d)",
		    w->s);
		return false;
	}
	if (v == 0) {
		build_error(b, s, w, "the duration `%s` is nothing", w->s);
		return false;
	}
	*ms = v;
	return true;
}

bool
value_size(struct build *b, const struct conf_stmt *s,
    const struct conf_word *w, uint64_t *octets)
{
	if (num_size(slice_cstr(w->s), octets))
		return true;
	build_error(b, s, w, "`%s` is not a size (64K 50M 1G)", w->s);
	return false;
}

bool
value_number(struct build *b, const struct conf_stmt *s,
    const struct conf_word *w, uint64_t max, uint64_t *out)
{
	uint64_t v;

	if (num_u64(slice_cstr(w->s), max, &v) && v > 0) {
		*out = v;
		return true;
	}
	build_error(b, s, w, "`%s` is not a number from 1 to %llu", w->s,
	    (unsigned long long)max);
	return false;
}

bool
conf_parse_ip(const char *text, bool *v6, unsigned char addr[16])
{
	unsigned char a[16];

	memset(addr, 0, 16);
	if (inet_pton(AF_INET, text, a) == 1) {
		*v6 = false;
		memcpy(addr, a, 4);
		return true;
	}
	if (inet_pton(AF_INET6, text, a) != 1)
		return false;
	*v6 = true;
	memcpy(addr, a, 16);
	return true;
}

/* Clears what is behind the prefix; says whether there was anything. */
static bool
mask_host_bits(struct conf_net *net)
{
	unsigned i, octets = net->v6 ? 16 : 4;
	unsigned char mask;
	bool any = false;

	for (i = 0; i < octets; i++) {
		if (net->bits >= 8 * (i + 1))
			continue;
		mask = (unsigned char)(net->bits <= 8 * i ? 0 :
		    0xff00u >> (net->bits - 8 * i));
		if ((net->addr[i] & ~mask & 0xff) != 0)
			any = true;
		net->addr[i] &= mask;
	}
	return any;
}

static const unsigned char v4_mapped[12] = {
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff
};

bool
conf_net_parse(const char *text, struct conf_net *net, bool *host_bits)
{
	const char *slash = strchr(text, '/');
	char addr[64];
	size_t n = slash != NULL ? (size_t)(slash - text) : strlen(text);
	uint64_t bits;

	memset(net, 0, sizeof(*net));
	if (n > 2 && text[0] == '[' && text[n - 1] == ']') {
		text++;
		n -= 2;
	}
	if (n >= sizeof(addr))
		return false;
	memcpy(addr, text, n);
	addr[n] = '\0';
	if (!conf_parse_ip(addr, &net->v6, net->addr))
		return false;
	bits = net->v6 ? 128 : 32;
	if (slash != NULL && !num_u64(slice_cstr(slash + 1), bits, &bits))
		return false;
	if (net->v6 && bits >= 96 &&
	    memcmp(net->addr, v4_mapped, sizeof(v4_mapped)) == 0) {
		memmove(net->addr, net->addr + 12, 4);
		memset(net->addr + 4, 0, 12);
		net->v6 = false;
		bits -= 96;
	}
	net->bits = (unsigned)bits;
	*host_bits = mask_host_bits(net);
	return true;
}

bool
value_net(struct build *b, const struct conf_stmt *s,
    const struct conf_word *w, struct conf_net *net)
{
	bool host_bits;

	if (!conf_net_parse(w->s, net, &host_bits)) {
		build_error(b, s, w, "`%s` is not a network (192.0.2.0/24, "
		    "2001:db8::/32, 192.0.2.1)", w->s);
		return false;
	}
	if (host_bits && build_is_main(b))
		build_warning(b, s, "`%s` names a host inside of a network; "
		    "the whole network is meant", w->s);
	return true;
}

bool
value_pattern(struct build *b, const struct conf_stmt *s,
    const struct conf_word *w, struct mail_pattern *p)
{
	struct mail_pattern heap;
	struct err e = { 0 };

	memset(&heap, 0, sizeof(heap));
	if (mail_pattern_parse(slice_cstr(w->s), &heap, &e) == -1) {
		build_error(b, s, w, "`%s` is not a pattern: %s", w->s,
		    e.text);
		return false;
	}
	p->kind = heap.kind;
	p->local = conf_arena_strdup(b->arena, heap.local);
	p->domain = conf_arena_strdup(b->arena, heap.domain);
	mail_pattern_free(&heap);
	return true;
}

#define CHOICES_MAX 32

bool
value_choice(struct build *b, const struct conf_stmt *s,
    const struct conf_word *w, const struct conf_choice *choices, int *out)
{
	const char *names[CHOICES_MAX];
	struct strbuf list = STRBUF_INIT;
	char buf[64];
	size_t n = 0;

	for (; n < CHOICES_MAX && choices[n].name != NULL; n++) {
		names[n] = choices[n].name;
		if (!word_is(w, names[n])) {
			strbuf_printf(&list, "%s%s", n > 0 ? ", " : "",
			    names[n]);
			continue;
		}
		strbuf_free(&list);
		if (choices[n].when == LATER) {
			build_error(b, s, w, "%s %s: not supported yet",
			    s->w[0].s, names[n]);
			return false;
		}
		*out = choices[n].value;
		return true;
	}
	build_error(b, s, w, "`%s` is not one of %s%s", w->s,
	    strbuf_cstr(&list), conf_suggestion(w->s, names, n, buf,
	    sizeof(buf)));
	strbuf_free(&list);
	return false;
}

char *
value_host(struct build *b, const struct conf_stmt *s,
    const struct conf_word *w)
{
	char out[MAIL_DOMAIN_MAX + 1];
	struct slice name = slice_cstr(w->s);

	if (!mail_domain_is_literal(name) &&
	    mail_domain_normal(name, out) == 0)
		return conf_arena_strdup(b->arena, out);
	build_error(b, s, w, "`%s` is not a host or domain name", w->s);
	return NULL;
}

int
conf_split_port(const char *text, char *host, size_t size, unsigned *port)
{
	const char *colon = strrchr(text, ':');
	const char *close = strrchr(text, ']');
	size_t n = strlen(text);
	uint64_t v;

	*port = 0;
	if (close != NULL && close[1] != '\0' && close[1] != ':')
		return -1;
	if (close != NULL && colon != NULL && colon < close)
		colon = NULL;
	/* A bare IPv6 address has no port. */
	if (close == NULL && colon != NULL && strchr(text, ':') != colon)
		colon = NULL;
	if (colon != NULL) {
		if (!num_u64(slice_cstr(colon + 1), 65535, &v) || v == 0)
			return -1;
		*port = (unsigned)v;
		n = (size_t)(colon - text);
	}
	if (n > 0 && text[0] == '[') {
		if (text[n - 1] != ']')
			return -1;
		text++;
		n -= 2;
	}
	if (n == 0 || n >= size)
		return -1;
	memcpy(host, text, n);
	host[n] = '\0';
	return 0;
}

bool
value_host_port(struct build *b, const struct conf_stmt *s,
    const struct conf_word *w, struct conf_host *host)
{
	char name[MAIL_DOMAIN_MAX * 4], normal[MAIL_DOMAIN_MAX + 1];
	unsigned char addr[16];
	bool v6;

	memset(host, 0, sizeof(*host));
	if (conf_split_port(w->s, name, sizeof(name), &host->port) == -1) {
		build_error(b, s, w, "`%s` is not HOST:PORT with a port from "
		    "1 to 65535", w->s);
		return false;
	}
	if (conf_parse_ip(name, &v6, addr)) {
		host->name = conf_arena_strdup(b->arena, name);
		return true;
	}
	/* Digits and dots alone are an address with a mistake. */
	if (w->s[0] == '[' || name[strspn(name, "0123456789.")] == '\0' ||
	    mail_domain_normal(slice_cstr(name), normal) == -1) {
		build_error(b, s, w, "`%s` is not a host name or address",
		    w->s);
		return false;
	}
	host->name = conf_arena_strdup(b->arena, normal);
	return true;
}

void
value_add_net(struct build *b, struct conf_nets *nets,
    const struct conf_net *net)
{
	*(struct conf_net *)conf_arena_push(b->arena, &nets->v, &nets->n,
	    sizeof(*net)) = *net;
}

void
value_add_pattern(struct build *b, struct conf_patterns *patterns,
    const struct mail_pattern *p)
{
	*(struct mail_pattern *)conf_arena_push(b->arena, &patterns->v,
	    &patterns->n, sizeof(*p)) = *p;
}

void
value_add_word(struct build *b, struct conf_list *list, const char *s)
{
	*(char **)conf_arena_push(b->arena, &list->v, &list->n,
	    sizeof(char *)) = conf_arena_strdup(b->arena, s);
}
