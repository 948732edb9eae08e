/*
 * Mail exchangers of a domain.  Run by delivery, when queue asks.
 *
 * What DNS does not know for certain (no answer, SERVFAIL, bogus) is said to
 * be temporary, always.  Hosts that are no better than ourselves are left out,
 * so that mail never goes in circles; where nothing remains it is refused.
 * RFC 5321 section 5.1; RFC 7505 (null MX).
 */
#include "delivery/mx.h"

#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "delivery/network.h"
#include "delivery/site_name.h"
#include "io/sockaddr.h"
#include "mail/domain.h"

#define HOSTS_MAX 64			/* as JOB_HOSTS_MAX */
#define MX_MS 15000u
#define ADDRESS_MS 10000u
#define OWN_MS 5000u			/* is one of them ourselves? */
#define TTL_MIN 30u			/* seconds */
#define TTL_MAX 3600u
#define TEXT_MAX 480

struct mx_host {
	struct mx_lookup *lookup;
	struct resolve_query *query;
	char *name;
	uint16_t preference;
	bool ours;
};

struct mx_lookup {
	struct mx_options o;		/* o.domain is owned */
	mx_cb *cb;
	void *arg;
	struct resolve_query *query;
	struct mx_host hosts[HOSTS_MAX];
	size_t n_hosts;
	size_t asked;			/* queries for addresses */
	bool implicit;			/* no MX: the domain itself */
	bool secure;			/* what DNS said of MX was signed */
	struct loop_task finish;
	struct msg_site answer;		/* with texts of its own */
	char text[TEXT_MAX];
	struct strbuf site;
};

static void
lookup_free(struct mx_lookup *m)
{
	size_t i;

	resolve_cancel(&m->query);
	for (i = 0; i < m->n_hosts; i++) {
		resolve_cancel(&m->hosts[i].query);
		free(m->hosts[i].name);
	}
	loop_task_cancel(m->o.loop, &m->finish);
	strbuf_free(&m->site);
	free((void *)(uintptr_t)m->o.domain);
	free(m);
}

void
mx_cancel(struct mx_lookup **mp)
{
	if (*mp == NULL)
		return;
	lookup_free(*mp);
	*mp = NULL;
}

static void
on_finish(void *arg)
{
	struct mx_lookup *m = arg;

	if (m->answer.result == SITE_FOUND)
		m->answer.site = m->site.p;
	else
		m->answer.text = m->text;
	if (m->answer.ttl < TTL_MIN)
		m->answer.ttl = TTL_MIN;
	if (m->answer.ttl > TTL_MAX)
		m->answer.ttl = TTL_MAX;
	m->cb(m->arg, &m->answer, m->secure);
	lookup_free(m);
}

static void
finish(struct mx_lookup *m)
{
	loop_defer(m->o.loop, &m->finish);
}

static void
refuse(struct mx_lookup *m, enum site_result result, uint16_t code,
    uint8_t subject, uint8_t detail, const char *text)
{
	m->answer.result = (uint8_t)result;
	m->answer.code = code;
	m->answer.status[0] = (uint8_t)(code / 100);
	m->answer.status[1] = subject;
	m->answer.status[2] = detail;
	snprintf(m->text, sizeof(m->text), "%s", text);
	finish(m);
}

static void
refuse_loop(struct mx_lookup *m)
{
	char text[TEXT_MAX];

	snprintf(text, sizeof(text), "mail for %s loops back to this host",
	    m->o.domain);
	refuse(m, SITE_REFUSED, 554, 4, 6, text);
}

/* A name server on this machine may know what it says where there is no
 * network. */
static bool
name_server_is_near(const struct conf *conf)
{
	size_t i;

	for (i = 0; i < conf->resolver.n; i++)
		if (strncmp(conf->resolver.v[i], "127.", 4) == 0 ||
		    strncmp(conf->resolver.v[i], "[::1]", 5) == 0 ||
		    strncmp(conf->resolver.v[i], "::1", 3) == 0)
			return true;
	return false;
}

/* Nothing that may be concluded from. */
static void
later(struct mx_lookup *m, const char *what, const struct err *why)
{
	char text[TEXT_MAX];

	snprintf(text, sizeof(text), "%s: %.*s", what, TEXT_MAX / 2,
	    why->text);
	refuse(m, name_server_is_near(m->o.conf) || network_is_there() ?
	    SITE_LATER : SITE_OFFLINE, 450, 4, 3, text);
}

static void
no_domain(struct mx_lookup *m, const char *text)
{
	char buf[TEXT_MAX];

	snprintf(buf, sizeof(buf), "%s %s", m->o.domain, text);
	refuse(m, SITE_NO_DOMAIN, 550, 1, 2, buf);
}

/* ---- ourselves ---- */

/* An address that a socket of this machine may have. */
static bool
address_is_local(const struct sockaddr_storage *sa)
{
	struct sockaddr_storage own = *sa;
	int fd, rc;

	if (sockaddr_is_loopback(sa))
		return true;
	sockaddr_set_port(&own, 0);
	fd = socket(own.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	rc = bind(fd, (const struct sockaddr *)&own, sockaddr_len(&own));
	close(fd);
	return rc == 0;
}

static bool
listens_there(const struct mx_lookup *m, const struct conf_listen *l)
{
	return !l->is_unix && l->port == m->o.port && l->address != NULL;
}

static bool
address_is_ours(const struct mx_lookup *m, const struct sockaddr_storage *sa)
{
	const struct conf *conf = m->o.conf;
	struct sockaddr_storage own, to = *sa;
	size_t i;

	sockaddr_set_port(&to, 0);
	for (i = 0; i < conf->n_listens; i++) {
		const struct conf_listen *l = &conf->listens[i];

		if (!listens_there(m, l))
			continue;
		if (strcmp(l->address, "*") == 0 ||
		    strcmp(l->address, "0.0.0.0") == 0 ||
		    strcmp(l->address, "::") == 0) {
			if (address_is_local(sa))
				return true;
		} else if (sockaddr_from_ip(slice_cstr(l->address), 0, &own) &&
		    sockaddr_eq(&own, &to))
			return true;
	}
	return false;
}

/* Can an address of a next hop be ours at all? */
static bool
may_be_ours(const struct mx_lookup *m)
{
	size_t i;

	for (i = 0; i < m->o.conf->n_listens; i++) {
		if (listens_there(m, &m->o.conf->listens[i]))
			return true;
	}
	return false;
}

/* Leaves only what is better than ourselves; -1: nothing is. */
static int
cut_at_ourselves(struct mx_lookup *m)
{
	unsigned limit = 65536;
	size_t i, n = 0;

	for (i = 0; i < m->n_hosts; i++) {
		if (m->hosts[i].ours && m->hosts[i].preference < limit)
			limit = m->hosts[i].preference;
	}
	for (i = 0; i < m->n_hosts; i++) {
		if (m->hosts[i].preference < limit)
			m->hosts[n++] = m->hosts[i];
		else
			free(m->hosts[i].name);
	}
	m->n_hosts = n;
	return n > 0 ? 0 : -1;
}

/* ---- the site's name ---- */

static int
by_preference(const void *a, const void *b)
{
	const struct mx_host *x = a, *y = b;

	if (x->preference != y->preference)
		return x->preference < y->preference ? -1 : 1;
	return strcmp(x->name, y->name);
}

/* The worst hosts of a set that is too long are left out. */
static void
make_site(struct mx_lookup *m)
{
	size_t i;

	if (cut_at_ourselves(m) < 0) {
		refuse_loop(m);
		return;
	}
	qsort(m->hosts, m->n_hosts, sizeof(m->hosts[0]), by_preference);
	for (i = 0; i < m->n_hosts; i++) {
		if (m->site.n + strlen(m->hosts[i].name) + 1 > MSG_SITE_MAX)
			break;
		if (i > 0)
			strbuf_putc(&m->site, m->hosts[i].preference ==
			    m->hosts[i - 1].preference ? ',' : ';');
		strbuf_puts(&m->site, m->hosts[i].name);
	}
	(void)strbuf_cstr(&m->site);
	m->answer.result = SITE_FOUND;
	finish(m);
}

/* ---- addresses ---- */

static void
addresses_known(struct mx_lookup *m)
{
	if (m->asked == 0)
		make_site(m);
}

static void
on_implicit(struct mx_lookup *m, const struct resolve_answer *a)
{
	switch (a->status) {
	case RESOLVE_OK:
		if (a->ttl < m->answer.ttl)
			m->answer.ttl = a->ttl;
		addresses_known(m);
		break;
	case RESOLVE_NODATA:
	case RESOLVE_NXDOMAIN:
		no_domain(m, "has neither MX nor address records");
		break;
	default:
		later(m, "address lookup failed", &a->why);
		break;
	}
}

/* A host without an address, or of which none is known by now, is not us. */
static void
on_address(void *arg, const struct resolve_answer *a)
{
	struct mx_host *h = arg;
	struct mx_lookup *m = h->lookup;
	size_t i;

	h->query = NULL;
	m->asked--;
	for (i = 0; a->status == RESOLVE_OK && i < a->count; i++) {
		if (address_is_ours(m, &a->addrs[i]))
			h->ours = true;
	}
	if (m->implicit)
		on_implicit(m, a);
	else
		addresses_known(m);
}

static void
ask_addresses(struct mx_lookup *m)
{
	size_t i;

	if (!m->implicit && !may_be_ours(m)) {
		make_site(m);
		return;
	}
	for (i = 0; i < m->n_hosts; i++) {
		struct mx_host *h = &m->hosts[i];

		h->lookup = m;
		m->asked++;
		h->query = resolve_host(m->o.resolver, h->name, RESOLVE_V4 |
		    RESOLVE_V6 | RESOLVE_NO_HOSTS, m->implicit ? ADDRESS_MS :
		    OWN_MS, on_address, h);
	}
}

/* ---- MX ---- */

static void
add_host(struct mx_lookup *m, const char *name, uint16_t preference)
{
	struct mx_host *h;
	size_t i;
	char *p;

	for (i = 0; i < m->n_hosts; i++) {
		if (strcasecmp(m->hosts[i].name, name) == 0)
			return;		/* the better one was there first */
	}
	/* No host has such a name, and it would be read as several. */
	if (m->n_hosts == HOSTS_MAX || !site_name_takes(name))
		return;
	h = &m->hosts[m->n_hosts++];
	memset(h, 0, sizeof(*h));
	h->name = mem_strdup(name);
	for (p = h->name; *p != '\0'; p++)
		*p = (char)tolower((unsigned char)*p);
	h->preference = preference;
	h->ours = strcasecmp(name, m->o.conf->hostname) == 0;
}

static void
take_mx(struct mx_lookup *m, const struct resolve_answer *a)
{
	bool null = false;
	char text[TEXT_MAX];
	size_t i;

	m->answer.ttl = a->ttl;
	for (i = 0; i < a->count; i++) {
		if (a->mx[i].name[0] == '\0')
			null = true;
		else
			add_host(m, a->mx[i].name, a->mx[i].preference);
	}
	if (m->n_hosts > 0) {
		ask_addresses(m);
	} else if (null) {
		snprintf(text, sizeof(text), "%s accepts no mail (null MX)",
		    m->o.domain);
		refuse(m, SITE_REFUSED, 556, 1, 10, text);
	} else {
		snprintf(text, sizeof(text), "%s has only MX records that "
		    "name no host", m->o.domain);
		refuse(m, SITE_LATER, 450, 4, 4, text);
	}
}

static void
not_signed(struct mx_lookup *m)
{
	char text[TEXT_MAX];

	snprintf(text, sizeof(text), "nobody vouches for the mail exchangers "
	    "of %s: it is not signed (DNSSEC), and `tls-verify dane` wants "
	    "that", m->o.domain);
	refuse(m, SITE_LATER, 450, 7, 5, text);
}

static void
on_mx(void *arg, const struct resolve_answer *a)
{
	struct mx_lookup *m = arg;

	m->query = NULL;
	m->secure = a->secure;
	if (m->o.signed_only && !a->secure && (a->status == RESOLVE_OK ||
	    a->status == RESOLVE_NODATA)) {
		not_signed(m);
		return;
	}
	switch (a->status) {
	case RESOLVE_OK:
		take_mx(m, a);
		break;
	case RESOLVE_NODATA:
		m->implicit = true;
		m->answer.ttl = TTL_MAX;
		add_host(m, m->o.domain, 0);
		ask_addresses(m);
		break;
	case RESOLVE_NXDOMAIN:
		no_domain(m, "does not exist");
		break;
	default:
		later(m, "MX lookup failed", &a->why);
		break;
	}
}

static void
take_literal(struct mx_lookup *m)
{
	struct slice domain = slice_cstr(m->o.domain);
	struct mail_literal literal;
	struct sockaddr_storage sa;
	char text[TEXT_MAX], ip[SOCKADDR_TEXT_MAX];

	if (!mail_literal_parse(domain, &literal)) {
		snprintf(text, sizeof(text), "%s is no address that mail can "
		    "be sent to", m->o.domain);
		refuse(m, SITE_REFUSED, 550, 1, 3, text);
		return;
	}
	memset(&sa, 0, sizeof(sa));
	sa.ss_family = (sa_family_t)literal.family;
	if (literal.family == AF_INET)
		memcpy(&((struct sockaddr_in *)(void *)&sa)->sin_addr,
		    literal.addr, 4);
	else
		memcpy(&((struct sockaddr_in6 *)(void *)&sa)->sin6_addr,
		    literal.addr, 16);
	if (address_is_ours(m, &sa)) {
		refuse_loop(m);
		return;
	}
	strbuf_puts(&m->site, sockaddr_ip_text(&sa, ip));
	m->answer.result = SITE_FOUND;
	m->answer.ttl = TTL_MAX;
	finish(m);
}

struct mx_lookup *
mx_start(const struct mx_options *o, mx_cb *cb, void *arg)
{
	struct mx_lookup *m = mem_zalloc(sizeof(*m));

	m->o = *o;
	m->o.domain = mem_strdup(o->domain);
	m->cb = cb;
	m->arg = arg;
	loop_task_init(&m->finish, on_finish, m);
	if (o->domain[0] == '[' && o->signed_only)
		not_signed(m);
	else if (o->domain[0] == '[')
		take_literal(m);
	else
		m->query = resolve_mx(o->resolver, m->o.domain, MX_MS, on_mx,
		    m);
	return m;
}
