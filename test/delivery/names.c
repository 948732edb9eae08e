/* Just enough of DNS (RFC 1035 section 4) to answer a resolver of ours. */
#include "delivery/names.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ROOM 4096

struct answer {
	uint8_t *p;
	size_t end;
	int count, rcode;
	bool known, silent;
};

static int
type_of(const char *type)
{
	return strcmp(type, "A") == 0 ? 1 : strcmp(type, "AAAA") == 0 ? 28 :
	    strcmp(type, "MX") == 0 ? 15 :
	    strcmp(type, "TXT") == 0 ? 16 : 5;
}

static size_t
put_name(uint8_t *p, const char *name)
{
	size_t n = 0, label;

	while (*name != '\0') {
		label = strcspn(name, ".");
		p[n++] = (uint8_t)label;
		memcpy(p + n, name, label);
		n += label;
		name += label + (name[label] == '.');
	}
	p[n++] = 0;
	return n;
}

static size_t
put_data(uint8_t *p, int type, const char *text)
{
	char *end;
	unsigned long preference;

	switch (type) {
	case 1:
		inet_pton(AF_INET, text, p);
		return 4;
	case 28:
		inet_pton(AF_INET6, text, p);
		return 16;
	case 15:
		preference = strtoul(text, &end, 10);
		p[0] = (uint8_t)(preference >> 8);
		p[1] = (uint8_t)preference;
		return 2 + put_name(p + 2, end + strspn(end, " ."));
	default:
		return put_name(p, text);
	}
}

static void
put_record(struct answer *a, const char *owner, int type, const char *text)
{
	uint8_t *p = a->p + a->end;
	size_t n;

	p += put_name(p, owner);
	memcpy(p, "\0\0\0\1\0\0\1\54", 8);
	p[1] = (uint8_t)type;
	n = put_data(p + 10, type, text);
	p[8] = (uint8_t)(n >> 8);
	p[9] = (uint8_t)n;
	a->end = (size_t)(p + 10 + n - a->p);
	a->count++;
}

static void
find(struct answer *a, const struct names_record *r, const char *name,
    int type)
{
	const struct names_record *all = r;

	for (; r->name != NULL; r++) {
		if (strcasecmp(r->name, name) != 0)
			continue;
		a->known = true;
		if (r->type == NULL) {
			a->silent = strcmp(r->text, "silent") == 0;
			a->rcode = 2;
		} else if (type_of(r->type) == type) {
			put_record(a, name, type, r->text);
		} else if (type_of(r->type) == 5) {
			put_record(a, name, 5, r->text);
			find(a, all, r->text, type);
		}
	}
}

static size_t
question(const uint8_t *p, char *name, int *type)
{
	size_t at = 12, used = 0, i;

	while (p[at] != 0) {
		for (i = 1; i <= p[at]; i++)
			name[used++] = (char)tolower(p[at + i]);
		name[used++] = '.';
		at += p[at] + 1u;
	}
	name[used > 0 ? used - 1 : 0] = '\0';
	*type = p[at + 1] << 8 | p[at + 2];
	return at + 5;
}

static size_t
reply(const struct names *n, uint8_t *p)
{
	struct answer a = { .p = p };
	char name[512];
	int type;

	a.end = question(p, name, &type);
	find(&a, n->records, name, type);
	if (a.silent)
		return 0;
	p[2] = 0x85;
	p[3] = (uint8_t)(0x80 | (a.known ? a.rcode : 3));
	memset(p + 6, 0, 6);
	p[7] = (uint8_t)a.count;
	return a.end;
}

static void *
serve(void *arg)
{
	struct names *n = arg;
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	uint8_t buf[ROOM] = { 0 };
	ssize_t got;
	size_t end;

	while ((got = recvfrom(n->fd, buf, 512, 0, (struct sockaddr *)&from,
	    &len)) > 1) {
		end = reply(n, buf);
		if (end > 0)
			sendto(n->fd, buf, end, 0, (struct sockaddr *)&from,
			    len);
		len = sizeof(from);
	}
	return NULL;
}

void
names_start(struct names *n, const struct names_record *records)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	socklen_t len = sizeof(sin);

	n->records = records;
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	n->fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (n->fd < 0 || bind(n->fd, (struct sockaddr *)&sin, len) < 0 ||
	    getsockname(n->fd, (struct sockaddr *)&sin, &len) < 0 ||
	    pthread_create(&n->thread, NULL, serve, n) != 0)
		abort();
	snprintf(n->address, sizeof(n->address), "127.0.0.1:%u",
	    (unsigned)ntohs(sin.sin_port));
}

void
names_stop(struct names *n)
{
	struct sockaddr_in sin;
	socklen_t len = sizeof(sin);

	/* One octet ends it. */
	getsockname(n->fd, (struct sockaddr *)&sin, &len);
	sendto(n->fd, "", 1, 0, (struct sockaddr *)&sin, len);
	pthread_join(n->thread, NULL);
	close(n->fd);
}
