/*
 * Looking up TLSA records: at the name at the end of the aliases first, then
 * at the host's own (RFC 7672, 2.2.3).  Run by delivery.
 *
 * What is not signed counts for nothing.  What cannot be looked up keeps us
 * from the server, or anybody who can suppress an answer could switch DANE
 * off (2.1.2).
 */
#include "delivery/dane.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define LOOKUP_MS 15000u

struct dane {
	struct resolver *resolver;
	struct resolve_query *query;
	char *names[2];
	size_t at;
	unsigned port;
	dane_cb *cb;
	void *arg;
};

static void ask(struct dane *d);

static void
dane_free(struct dane *d)
{
	resolve_cancel(&d->query);
	free(d->names[0]);
	free(d->names[1]);
	free(d);
}

void
dane_cancel(struct dane **dp)
{
	if (*dp == NULL)
		return;
	dane_free(*dp);
	*dp = NULL;
}

static void
done(struct dane *d, const struct dane_answer *a)
{
	dane_cb *cb = d->cb;
	void *arg = d->arg;

	/* The answer's name is the lookup's. */
	cb(arg, a);
	dane_free(d);
}

static void
on_records(void *arg, const struct resolve_answer *r)
{
	struct dane *d = arg;
	struct dane_answer a = { .result = DANE_NONE };

	d->query = NULL;
	switch (r->status) {
	case RESOLVE_OK:
		if (!r->secure)
			break;
		a.result = tls_dane_usable(r->records, r->count) > 0 ?
		    DANE_RECORDS : DANE_UNUSABLE;
		a.dane = (struct tls_dane){ d->names[d->at], r->records,
			r->count };
		break;
	case RESOLVE_NODATA:
	case RESOLVE_NXDOMAIN:
		break;
	default:
		a.result = DANE_FAILED;
		a.why = r->why;
		err_prefix(&a.why, "TLSA lookup");
		break;
	}
	if (a.result == DANE_NONE && d->at == 0 && d->names[1] != NULL) {
		d->at = 1;
		ask(d);
		return;
	}
	done(d, &a);
}

static void
ask(struct dane *d)
{
	char *name = mem_printf("_%u._tcp.%s", d->port, d->names[d->at]);

	d->query = resolve_records(d->resolver, name, RESOLVE_TYPE_TLSA,
	    LOOKUP_MS, on_records, d);
	free(name);
}

struct dane *
dane_start(struct resolver *r, const char *const names[2], unsigned port,
    dane_cb *cb, void *arg)
{
	struct dane *d = mem_zalloc(sizeof(*d));
	size_t i;

	d->resolver = r;
	d->port = port;
	d->cb = cb;
	d->arg = arg;
	for (i = 0; i < 2; i++)
		d->names[i] = names[i] != NULL ? mem_strdup(names[i]) : NULL;
	d->at = names[0] == NULL;
	ask(d);
	return d;
}

/* ---- what follows ---- */

bool
dane_wanted(const struct conf_transport *t, bool secure)
{
	return t->dane && t->tls != TLS_OFF &&
	    (secure || t->tls_verify == VERIFY_DANE);
}

const char *
dane_judge(const struct conf_transport *t, const struct dane_answer *a,
    enum site_mark mark, enum conf_tls_mode *mode)
{
	enum conf_tls_mode must = t->tls == TLS_IMPLICIT ? TLS_IMPLICIT :
	    TLS_REQUIRED;

	*mode = a->result == DANE_NONE && !site_mark_enforced(mark) ?
	    t->tls : must;
	if (a->result == DANE_FAILED)
		return a->why.text;
	if (a->result != DANE_RECORDS && mark == SITE_MARK_DANE)
		return "MTA-STS: the policy of the domain does not list this "
		    "host, and no TLSA record vouches for it";
	if (a->result == DANE_RECORDS || t->tls_verify != VERIFY_DANE)
		return NULL;
	return a->result == DANE_NONE ? "the server has no TLSA record that "
	    "is signed, and `tls-verify dane` wants one" :
	    "none of the server's TLSA records can be used";
}
