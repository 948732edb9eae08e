/*
 * relayctl dnscheck: the addresses that mail of a domain leaves from.  Those
 * of a smarthost or a provider are theirs to publish, and are only told of.
 */
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "conf/route_reach.h"
#include "io/sockaddr.h"
#include "mail/scope.h"
#include "tools/ctl_dnscheck.h"

/* ---- addresses ---- */

/* Of this machine or this wire alone. */
static bool
is_near(const struct mail_literal *ip)
{
	enum mail_scope s = mail_scope_of(ip);

	return s == MAIL_SCOPE_MACHINE || s == MAIL_SCOPE_LINK ||
	    s == MAIL_SCOPE_NONE;
}

static bool
is_private(const struct mail_literal *ip)
{
	return mail_scope_is_hidden(mail_scope_of(ip));
}

static void
add(struct dnscheck *d, const struct mail_literal *ip, const char *helo,
    const char *transport, const char *kind)
{
	struct leaving *l;
	size_t i;

	for (i = 0; i < d->n_leaving; i++) {
		l = &d->leaving[i];
		if (l->ip.family == ip->family && memcmp(l->ip.addr, ip->addr,
		    16) == 0 && strcasecmp(l->helo, helo) == 0)
			return;
	}
	l = mem_push(&d->leaving, &d->n_leaving, sizeof(*l));
	l->ip = *ip;
	inet_ntop(ip->family, ip->addr, l->text, sizeof(l->text));
	l->helo = helo;
	l->transport = transport;
	l->kind = kind;
}

/* ---- the machine's own ---- */

struct own {
	struct mail_literal *v;
	size_t n;
};

static void
own_add(struct own *o, const struct mail_literal *ip)
{
	*(struct mail_literal *)mem_push(&o->v, &o->n, sizeof(*ip)) = *ip;
}

/* What the kernel would send from, to the world; nothing is sent. */
static bool
by_route(struct own *o, const char *world)
{
	struct sockaddr_storage sa;
	struct mail_literal ip;
	socklen_t len;
	bool good;
	int fd;

	sockaddr_from_ip(slice_cstr(world), 25, &sa);
	fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	len = sizeof(sa);
	good = connect(fd, (struct sockaddr *)&sa, sockaddr_len(&sa)) == 0 &&
	    getsockname(fd, (struct sockaddr *)&sa, &len) == 0 &&
	    mail_literal_from((struct sockaddr *)&sa, &ip) && !is_near(&ip);
	close(fd);
	if (good)
		own_add(o, &ip);
	return good;
}

static void
by_interfaces(struct own *o)
{
	struct ifaddrs *all, *i;
	struct mail_literal ip;

	if (getifaddrs(&all) < 0)
		return;
	for (i = all; i != NULL; i = i->ifa_next)
		if (i->ifa_addr != NULL &&
		    mail_literal_from(i->ifa_addr, &ip) && !is_near(&ip))
			own_add(o, &ip);
	freeifaddrs(all);
}

/* Behind a translating router our name may know what the world sees. */
static void
by_name(struct dnscheck *d, const char *name, struct own *o)
{
	static const unsigned types[] = { RESOLVE_TYPE_A, RESOLVE_TYPE_AAAA };
	const struct ctl_dns_answer *a;
	struct mail_literal ip;
	size_t i, t;

	for (t = 0; t < 2; t++) {
		a = ctl_dns_ask(d->dns, name, types[t]);
		for (i = 0; i < a->count; i++) {
			memset(&ip, 0, sizeof(ip));
			ip.family = t == 0 ? AF_INET : AF_INET6;
			if (a->records[i].n != (t == 0 ? 4u : 16u))
				continue;
			memcpy(ip.addr, a->records[i].p, a->records[i].n);
			if (!is_near(&ip) && !is_private(&ip))
				own_add(o, &ip);
		}
	}
}

static bool
all_private(const struct own *o)
{
	size_t i;

	for (i = 0; i < o->n; i++)
		if (!is_private(&o->v[i]))
			return false;
	return o->n > 0;
}

static bool
family_off(const struct conf_transport *t, int family)
{
	return (family == AF_INET ? t->ipv4 : t->ipv6) == SWITCH_OFF;
}

static void
add_machine(struct dnscheck *d, const struct conf_transport *t,
    const char *helo)
{
	const char *kind = "this machine";
	struct own o = { NULL, 0 }, seen = { NULL, 0 };
	size_t i;
	bool found;

	found = by_route(&o, "198.41.0.4");		/* a.root-servers.net */
	found |= by_route(&o, "2001:503:ba3e::2:30");
	if (!found)
		by_interfaces(&o);
	if (all_private(&o)) {
		by_name(d, d->ctl->conf->hostname, &seen);
		kind = seen.n > 0 ? "this machine's name, behind NAT" :
		    "this machine; the world sees another address";
	}
	if (seen.n > 0) {
		free(o.v);
		o = seen;
	}
	for (i = 0; i < o.n; i++)
		if (!family_off(t, o.v[i].family))
			add(d, &o.v[i], helo, t->name, kind);
	if (o.n == 0)
		dnscheck_say(d, "routes", FINDING_WARNING, NULL, "transport "
		    "`%s`: this machine has no address in the world: "
		    "`source-address` tells one", t->name);
	free(o.v);
}

/* ---- transports ---- */

static void
add_list(struct dnscheck *d, const struct conf_transport *t,
    const struct conf_list *list, const char *helo, const char *kind)
{
	struct sockaddr_storage sa;
	struct mail_literal ip;
	size_t i;

	for (i = 0; i < list->n; i++)
		if (sockaddr_from_ip(slice_cstr(list->v[i]), 0, &sa) &&
		    mail_literal_from((struct sockaddr *)&sa, &ip) &&
		    !family_off(t, ip.family))
			add(d, &ip, helo, t->name, kind);
}

static void
take_proxy(struct dnscheck *d, const struct conf_transport *t,
    const struct conf_proxy *p, const char *helo)
{
	if (p->remote_address.n == 0)
		dnscheck_say(d, "routes", FINDING_WARNING, NULL, "transport "
		    "`%s`: the proxy %s:%u has no `remote-address`, so that "
		    "nobody knows where its mail leaves from", t->name,
		    p->host.name, p->host.port);
	add_list(d, t, &p->remote_address, p->remote_hostname != NULL ?
	    p->remote_hostname : helo, "by the proxy");
}

static void
take_direct(struct dnscheck *d, const struct conf_transport *t)
{
	const char *helo = t->helo != NULL ? t->helo :
	    d->ctl->conf->hostname;
	size_t i;

	for (i = 0; i < t->n_proxies; i++)
		take_proxy(d, t, &t->proxies[i], helo);
	if (t->n_proxies > 0)
		return;
	if (t->source_address.n > 0)
		add_list(d, t, &t->source_address, helo, "source-address");
	else
		add_machine(d, t, helo);
}

static void
take_relay(struct dnscheck *d, const struct conf_transport *t)
{
	struct strbuf hosts = STRBUF_INIT;
	size_t i;

	for (i = 0; i < t->n_hosts; i++)
		strbuf_printf(&hosts, "%s%s", i > 0 ? ", " : "",
		    t->hosts[i].name);
	dnscheck_say(d, "routes", FINDING_OK, NULL, "mail by transport `%s` "
	    "leaves from the servers of %s: whoever runs them tells what SPF "
	    "must include", t->name, strbuf_cstr(&hosts));
	strbuf_free(&hosts);
}

static void
take_transport(struct dnscheck *d, const struct conf_transport *t)
{
	switch (t->kind) {
	case TRANSPORT_DIRECT:
		take_direct(d, t);
		break;
	case TRANSPORT_SMARTHOST:
	case TRANSPORT_SUBMISSION:
		take_relay(d, t);
		break;
	default:		/* stays here */
		break;
	}
}

void
dnscheck_routes(struct dnscheck *d)
{
	const struct conf *conf = d->ctl->conf;
	bool *reached = mem_zarray(conf->n_transports + 1, sizeof(bool));
	size_t i;

	route_reach(conf, d->domain, reached);
	for (i = 0; i < conf->n_transports; i++)
		if (reached[i])
			take_transport(d, &conf->transports[i]);
	if (reached[conf->n_transports])
		take_transport(d, conf->direct);
	free(reached);
	for (i = 0; i < d->n_leaving; i++)
		dnscheck_say(d, "routes", FINDING_OK, NULL, "mail by "
		    "transport `%s` leaves from %s (%s) as %s",
		    d->leaving[i].transport, d->leaving[i].text,
		    d->leaving[i].kind, d->leaving[i].helo);
}
