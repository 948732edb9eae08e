/*
 * relayctl spf check: may this address send for that domain?
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <arpa/inet.h>

#include "base/mem.h"
#include "mail/address.h"
#include "mail/domain.h"
#include "tools/ctl_dns.h"

/* ---- the evaluator's questions ---- */

static enum spf_status
status_of(enum resolve_status s)
{
	switch (s) {
	case RESOLVE_OK:
		return SPF_FOUND;
	case RESOLVE_NODATA:
		return SPF_NODATA;
	case RESOLVE_NXDOMAIN:
		return SPF_NXDOMAIN;
	default:
		return SPF_UNKNOWN;
	}
}

static bool
record(const struct ctl_dns_answer *a, size_t i, enum spf_type type,
    struct strbuf *out)
{
	char name[256];

	if (type == SPF_A || type == SPF_AAAA) {
		strbuf_add_slice(out, a->records[i]);
		return true;
	}
	if (type == SPF_TXT)
		return ctl_dns_text(a, i, out);
	if (!ctl_dns_name(a, i, type, name))
		return false;
	strbuf_puts(out, name);
	return true;
}

static void
answer(struct ctl_dns *d, struct spf *s, const struct spf_question *q)
{
	const struct ctl_dns_answer *a = ctl_dns_ask(d, q->name, q->type);
	struct spf_reply r = { .status = status_of(a->status) };
	struct slice *records = NULL;
	struct strbuf b = STRBUF_INIT;
	size_t i;

	for (i = 0; i < a->count; i++) {
		if (!record(a, i, q->type, &b))
			continue;
		*(struct slice *)mem_push(&records, &r.count,
		    sizeof(*records)) = slice_of(mem_dup(strbuf_cstr(&b),
		    b.n), b.n);
		strbuf_clear(&b);
	}
	r.records = records;
	spf_reply(s, &r);
	for (i = 0; i < r.count; i++)
		free((void *)(uintptr_t)records[i].p);
	free(records);
	strbuf_free(&b);
}

const struct spf_verdict *
ctl_spf_judge(struct ctl_dns *d, struct spf *s)
{
	struct spf_question q;

	while (spf_next(s, &q))
		answer(d, s, &q);
	return spf_verdict(s);
}

/* ---- the command ---- */

static void
line(const char *title, const char *text)
{
	struct strbuf b = STRBUF_INIT;

	if (text == NULL)
		return;
	ctl_printable(&b, text);
	printf("%-13s%s\n", title, strbuf_cstr(&b));
	strbuf_free(&b);
}

static void
show(const struct ctl *c, const struct spf_verdict *v)
{
	struct strbuf json = STRBUF_INIT;
	struct json_writer w = json_to(&json);
	const char *why = v->explanation != NULL ? v->explanation :
	    v->problem;

	if (!c->json) {
		line("Result", spf_result_name(v->result));
		line("Mechanism", v->mechanism);
		line("Explanation", why);
		line("Domain", v->domain);
		line("Record", v->record);
		printf("%-13s%u of %d, %u of %d without an answer\n",
		    "Lookups", v->lookups, SPF_LOOKUPS_MAX, v->void_lookups,
		    SPF_VOID_MAX);
		return;
	}
	json_object(&w, NULL);
	json_text(&w, "result", spf_result_name(v->result));
	json_text(&w, "mechanism", v->mechanism);
	json_text(&w, "explanation", why);
	json_number(&w, "lookups", v->lookups);
	json_number(&w, "void_lookups", v->void_lookups);
	json_text(&w, "domain", v->domain);
	json_text(&w, "record", v->record);
	json_close_object(&w);
	puts(json.p);
	strbuf_free(&json);
}

static bool
take_ip(const char *text, struct mail_literal *ip)
{
	ip->family = strchr(text, ':') != NULL ? AF_INET6 : AF_INET;
	return inet_pton(ip->family, text, ip->addr) == 1;
}

int
ctl_spf_check(struct ctl *c)
{
	struct spf_ask ask = { .from = c->spf_from, .helo = c->spf_helo,
	    .now = (uint64_t)time(NULL) };
	struct slice local, domain;
	struct ctl_dns *d;
	struct spf *s;
	int rc;

	if (c->spf_ip == NULL || c->spf_from == NULL) {
		ctl_error(CTL_USAGE, "spf check: %s is missing",
		    c->spf_ip == NULL ? "--ip" : "--from");
		ctl_usage(c->cmd, true);
		return CTL_USAGE;
	}
	if (!take_ip(c->spf_ip, &ask.ip))
		return ctl_error(CTL_USAGE, "spf check: --ip %s: not an "
		    "address", c->spf_ip);
	if (strcmp(ask.from, "<>") == 0)
		ask.from = "";
	if (ask.from[0] == '\0' && ask.helo == NULL)
		return ctl_error(CTL_USAGE, "spf check: the null sender is "
		    "judged by its --helo");
	mail_address_split(slice_cstr(ask.from), &local, &domain);
	if (ask.helo == NULL)
		ask.helo = domain.n > 0 ? domain.p : ask.from;
	d = ctl_dns_open(c, &rc);
	if (d == NULL)
		return rc;
	ask.receiver = c->conf != NULL ? c->conf->hostname : NULL;
	s = spf_new(&ask);
	show(c, ctl_spf_judge(d, s));
	spf_free(&s);
	ctl_dns_close(&d);
	return 0;
}
