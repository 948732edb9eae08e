/*
 * Names of sites.  No I/O.  Run by delivery.
 *
 * A mark is part of the name, so that it decides which lane, pool and sessions
 * there are: domains with the same mail exchangers share them only where they
 * demand the same, and mail that has to be safe is never in a lane that is
 * not, whoever forgets what.
 */
#include "delivery/site_name.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ipc/msg.h"

static const char *const marks[] = {
	[SITE_MARK_NONE] = "",
	[SITE_MARK_VERIFY] = "=mta-sts",
	[SITE_MARK_DANE] = "=mta-sts-dane",
	[SITE_MARK_TEST] = "=mta-sts-testing",
	[SITE_MARK_UNLISTED] = "=mta-sts-testing-unlisted",
};
#define MARKS (sizeof(marks) / sizeof(marks[0]))

/* A mark that is not known, from a queue of another version, asks for the most
 * that any does. */
static enum site_mark
mark_of(const char *s, size_t n)
{
	size_t i;

	for (i = 0; i < MARKS; i++)
		if (strlen(marks[i]) == n && memcmp(marks[i], s, n) == 0)
			return (enum site_mark)i;
	return SITE_MARK_VERIFY;
}

char *
site_name_host(const char *site, size_t i, unsigned *group,
    enum site_mark *mark)
{
	size_t n, name;

	*group = 0;
	for (;;) {
		n = strcspn(site, ",;");
		name = strcspn(site, "=,;");
		if (name == 0)
			return NULL;
		if (i-- == 0) {
			if (mark != NULL)
				*mark = mark_of(site + name, n - name);
			return mem_strndup(site, name);
		}
		if (site[n] == '\0')
			return NULL;
		if (site[n] == ';')
			++*group;
		site += n + 1;
	}
}

bool
site_name_takes(const char *host)
{
	return host[0] != '\0' && strpbrk(host, ",;=[]") == NULL;
}

static enum site_mark
mark_for(const struct mta_sts_policy *p, const char *host)
{
	bool covered = mta_sts_covers(p, host);

	if (p->mode == MTA_STS_ENFORCE)
		return covered ? SITE_MARK_VERIFY : SITE_MARK_DANE;
	return covered ? SITE_MARK_TEST : SITE_MARK_UNLISTED;
}

bool
site_name_mark(const char *site, const struct mta_sts_policy *p,
    bool by_dane, struct strbuf *out)
{
	unsigned group, last = 0;
	enum site_mark mark;
	bool any = false;
	char *host;
	size_t i;

	for (i = 0; (host = site_name_host(site, i, &group, NULL)) != NULL;
	    i++) {
		mark = mark_for(p, host);
		/* Of a set that is too long the worst are left out. */
		if (out->n + strlen(host) + strlen(marks[mark]) + 1 <=
		    MSG_SITE_MAX && (mark != SITE_MARK_DANE || by_dane)) {
			if (any)
				strbuf_putc(out, group == last ? ',' : ';');
			strbuf_puts(out, host);
			strbuf_puts(out, marks[mark]);
			last = group;
			any = true;
		}
		free(host);
	}
	return any;
}
