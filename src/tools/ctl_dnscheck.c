/*
 * relayctl dnscheck: is DNS as the mail of a domain needs it?  Every finding
 * is ok, a warning or an error, with the record to publish where one is
 * missing.  What DNS does not say now is a finding too.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "mail/tag_list.h"
#include "tools/ctl_dns_record.h"
#include "tools/ctl_dnscheck.h"

static const char *const status_names[] = { "ok", "warning", "error" };

void
dnscheck_say(struct dnscheck *d, const char *name, enum finding_status status,
    const char *publish, const char *fmt, ...)
{
	struct finding *f = mem_push(&d->findings, &d->n_findings,
	    sizeof(*f));
	struct strbuf text = STRBUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	strbuf_vprintf(&text, fmt, ap);
	va_end(ap);
	f->name = name;
	f->status = status;
	f->text = strbuf_take(&text);
	f->publish = publish != NULL ? mem_strdup(publish) : NULL;
}

int
dnscheck_texts(struct dnscheck *d, const char *name, const char *version,
    struct strbuf *first, const char **why)
{
	const struct ctl_dns_answer *a = ctl_dns_ask(d->dns, name,
	    RESOLVE_TYPE_TXT);
	struct strbuf text = STRBUF_INIT;
	int n = 0;
	size_t i;

	*why = a->why;
	if (a->status != RESOLVE_OK && a->status != RESOLVE_NODATA &&
	    a->status != RESOLVE_NXDOMAIN)
		return -1;
	for (i = 0; i < a->count; i++) {
		strbuf_clear(&text);
		if (!ctl_dns_text(a, i, &text) || (version != NULL &&
		    !tag_list_claims(strbuf_slice(&text), version)))
			continue;
		if (n++ == 0)
			strbuf_add_slice(first, strbuf_slice(&text));
	}
	strbuf_free(&text);
	return n;
}

/* ---- showing ---- */

static void
show_json(const struct dnscheck *d, struct json_writer *w)
{
	const struct finding *f;

	json_object(w, NULL);
	json_text(w, "domain", d->domain);
	json_array(w, "checks");
	for (f = d->findings; f < d->findings + d->n_findings; f++) {
		json_object(w, NULL);
		json_text(w, "name", f->name);
		json_text(w, "status", status_names[f->status]);
		json_text(w, "text", f->text);
		json_text(w, "publish", f->publish);
		json_close_object(w);
	}
	json_close_array(w);
	json_close_object(w);
}

static void
print(const char *head, const char *text)
{
	struct strbuf b = STRBUF_INIT;

	ctl_printable(&b, text);
	printf("%s%s\n", head, strbuf_cstr(&b));
	strbuf_free(&b);
}

static void
show_text(const struct dnscheck *d)
{
	const struct finding *f;
	char head[64];

	printf("%s\n", d->domain);
	for (f = d->findings; f < d->findings + d->n_findings; f++) {
		snprintf(head, sizeof(head), "  %-9s%-8s ", f->name,
		    status_names[f->status]);
		print(head, f->text);
		if (f->publish != NULL)
			print("    publish  ", f->publish);
	}
}

/* ---- the command ---- */

/* True: there is no error. */
static bool
check_domain(struct ctl *c, struct ctl_dns *dns, const char *domain,
    struct json_writer *w)
{
	struct dnscheck d = { .ctl = c, .dns = dns, .domain = domain };
	struct dnscheck_policy *policy;
	bool good = true;
	size_t i;

	policy = dnscheck_policy_start(&d);
	dnscheck_routes(&d);
	dnscheck_mx(&d);
	dnscheck_spf(&d);
	dnscheck_helo(&d);
	dnscheck_ptr(&d);
	dnscheck_dkim(&d);
	dnscheck_dmarc(&d);
	dnscheck_mta_sts(&d, &policy);
	dnscheck_tlsrpt(&d);
	if (c->json)
		show_json(&d, w);
	else
		show_text(&d);
	for (i = 0; i < d.n_findings; i++) {
		good = good && d.findings[i].status != FINDING_ERROR;
		free(d.findings[i].text);
		free(d.findings[i].publish);
	}
	free(d.findings);
	free(d.leaving);
	return good;
}

static int
check_all(struct ctl *c, struct ctl_dns *dns)
{
	struct strbuf json = STRBUF_INIT;
	struct json_writer w = json_to(&json);
	char domain[MAIL_DOMAIN_MAX + 1];
	int i, rc = 0;

	if (c->n_rest > 1)
		json_array(&w, NULL);
	for (i = 0; i < c->n_rest; i++) {
		(void)mail_domain_normal(slice_cstr(c->rest[i]), domain);
		if (i > 0 && !c->json)
			putchar('\n');
		if (!check_domain(c, dns, domain, &w))
			rc = CTL_NONE;
	}
	if (c->n_rest > 1)
		json_close_array(&w);
	if (c->json)
		puts(json.p);
	strbuf_free(&json);
	return rc;
}

int
ctl_dnscheck(struct ctl *c)
{
	char domain[MAIL_DOMAIN_MAX + 1];
	struct ctl_dns *dns;
	int i, rc;

	for (i = 0; i < c->n_rest; i++)
		if (mail_domain_normal(slice_cstr(c->rest[i]), domain) < 0 ||
		    domain[0] == '[' || strchr(c->rest[i], '@') != NULL)
			return ctl_error(CTL_USAGE, "dnscheck: `%s` is not a "
			    "domain", c->rest[i]);
	rc = ctl_load(c, ctl_file(c));
	if (rc != 0)
		return rc;
	dns = ctl_dns_open(c, &rc);
	if (dns == NULL)
		return rc;
	rc = check_all(c, dns);
	ctl_dns_close(&dns);
	return rc;
}
