/*
 * DNS for relayctl: a loop and a resolver of its own that live as long as one
 * command.  What fails is told in the answer; the command decides.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "tools/ctl_dns.h"

#define PATIENCE_MS 12000
#define FILE_MAX (1u << 20)

struct known {
	struct known *next;
	char *name;
	unsigned type;
	struct ctl_dns_answer answer;
	struct slice *records;
	char *why;
};

struct ctl_dns {
	struct loop *loop;
	struct resolver *resolver;
	struct known *known;
};

static int
read_file(const char *path, struct strbuf *out)
{
	struct err e = { 0, "" };

	if (path == NULL || fs_read_file(path, FILE_MAX, out, &e) == 0)
		return 0;
	return ctl_error(CTL_CONFIG, "%s", e.text);
}

static int
make_resolver(struct ctl *c, struct ctl_dns *d)
{
	struct strbuf anchors = STRBUF_INIT, system = STRBUF_INIT;
	struct resolver_options o = { 0 };
	struct err e = { 0, "" };
	int rc = 0;

	if (c->conf != NULL) {
		o.servers = (const char *const *)c->conf->resolver.v;
		o.server_count = c->conf->resolver.n;
		o.dnssec = c->conf->dnssec;
		rc = read_file(o.dnssec ? c->conf->trust_anchor : NULL,
		    &anchors);
		o.anchors = strbuf_slice(&anchors);
	} else {
		rc = read_file("/etc/resolv.conf", &system);
		o.resolv_conf = strbuf_slice(&system);
	}
	if (rc == 0) {
		d->resolver = resolver_new(d->loop, &o, &e);
		if (d->resolver == NULL)
			rc = ctl_error(CTL_CONFIG, "%s", e.text);
	}
	strbuf_free(&anchors);
	strbuf_free(&system);
	return rc;
}

struct ctl_dns *
ctl_dns_open(struct ctl *c, int *status)
{
	struct ctl_dns *d;
	struct err e = { 0, "" };

	*status = 0;
	if (c->conf == NULL &&
	    (c->file != NULL || access(ctl_file(c), F_OK) == 0))
		*status = ctl_load(c, ctl_file(c));
	if (*status != 0)
		return NULL;
	d = mem_zalloc(sizeof(*d));
	d->loop = loop_new(&e);
	if (d->loop == NULL)
		*status = ctl_error(CTL_UNAVAILABLE, "%s", e.text);
	else
		*status = make_resolver(c, d);
	if (*status != 0)
		ctl_dns_close(&d);
	return d;
}

void
ctl_dns_close(struct ctl_dns **dp)
{
	struct ctl_dns *d = *dp;
	struct known *k;
	size_t i;

	if (d == NULL)
		return;
	*dp = NULL;
	while ((k = d->known) != NULL) {
		d->known = k->next;
		for (i = 0; i < k->answer.count; i++)
			free((void *)(uintptr_t)k->records[i].p);
		free(k->records);
		free(k->why);
		free(k->name);
		free(k);
	}
	resolver_free(&d->resolver);
	loop_free(&d->loop);
	free(d);
}

static void
on_answer(void *arg, const struct resolve_answer *a)
{
	struct known *k = arg;
	struct slice *s;
	size_t i;

	k->answer.status = a->status;
	k->answer.secure = a->secure;
	for (i = 0; i < a->count; i++) {
		s = mem_push(&k->records, &k->answer.count, sizeof(*s));
		*s = slice_of(slice_dup(a->records[i]), a->records[i].n);
	}
	k->answer.records = k->records;
	k->why = mem_strdup(a->status == RESOLVE_OK ? "" : a->why.text);
	k->answer.why = k->why;
}

const struct ctl_dns_answer *
ctl_dns_ask(struct ctl_dns *d, const char *name, unsigned type)
{
	struct known *k;

	for (k = d->known; k != NULL; k = k->next)
		if (k->type == type && strcasecmp(k->name, name) == 0)
			return &k->answer;
	k = mem_zalloc(sizeof(*k));
	k->name = mem_strdup(name);
	k->type = type;
	k->next = d->known;
	d->known = k;
	resolve_records(d->resolver, name, type, PATIENCE_MS, on_answer, k);
	while (k->why == NULL)
		loop_turn(d->loop, true);
	return &k->answer;
}

bool
ctl_dns_text(const struct ctl_dns_answer *a, size_t i, struct strbuf *out)
{
	return resolve_txt(a->records[i], out) == 0;
}

bool
ctl_dns_name(const struct ctl_dns_answer *a, size_t i, unsigned type,
    char out[256])
{
	size_t preference = type == RESOLVE_TYPE_MX ? 2 : 0;

	return resolve_name(slice_skip(a->records[i], preference), out) == 0;
}

struct loop *
ctl_dns_loop(const struct ctl_dns *d)
{
	return d->loop;
}

struct resolver *
ctl_dns_resolver(const struct ctl_dns *d)
{
	return d->resolver;
}
