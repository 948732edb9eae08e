/*
 * The next hops of a trial: looked up where that has to be, then one after the
 * other until one can be talked to, as mail's own sessions do it.  Run by
 * delivery.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "delivery/tls_policy.h"
#include "delivery/trial_private.h"
#include "mail/address.h"
#include "mail/domain.h"

/* ---- one host after the other ---- */

/* records: what the certificate must fit, or NULL. */
static void
talk(struct trial *t, enum conf_tls_mode tls, const struct tls_dane *records)
{
	struct smtp_client_target to = {
		.transport = t->t,
		.host = t->name,
		.remote = t->remote,
		.helo = t->t->helo != NULL ? t->t->helo : t->env->hostname,
		.tls = tls,
		.context = records == NULL && t->policy != NULL ? t->policy :
		    t->tls,
		.dane = records,
		.mark = t->mark,
		.lmtp = t->t->kind == TRANSPORT_LMTP,
		.trace = trial_trace,
		.dry = t->m.message == NULL
	};
	int fd = t->fd;

	if (t->proxy != NULL && t->proxy->remote_hostname != NULL)
		to.helo = t->proxy->remote_hostname;
	t->fd = -1;
	t->client = smtp_client_new(&t->env->client, fd, &to, &trial_events,
	    t);
}

static void
on_dane(void *arg, const struct dane_answer *a)
{
	struct trial *t = arg;
	enum conf_tls_mode mode = t->t->tls;
	const char *why = dane_judge(t->t, a, t->mark, &mode);

	t->dane = NULL;
	if (why != NULL) {
		trial_step(t, t->mark == SITE_MARK_DANE ? "mta-sts" : "dane", false,
		    why);
		close(t->fd);
		t->fd = -1;
		trial_next_host(t);
		return;
	}
	if (a->result == DANE_RECORDS)
		trial_step(t, "dane", true, "its certificate must fit the TLSA "
		    "records of the server");
	talk(t, mode, a->result == DANE_RECORDS ? &a->dane : NULL);
}

static void
on_reached(void *arg, const struct reach_result *r)
{
	struct trial *t = arg;
	static const struct dane_answer none = { .result = DANE_NONE };
	const char *names[2] = { NULL, t->name };

	t->reach = NULL;
	if (r->fd < 0) {
		trial_step(t, r->fault == REACH_PROXY ? "proxy" :
		    strncmp(r->e.text, "resolve ", 8) == 0 ? "resolve" :
		    "connect", false, r->e.text);
		trial_next_host(t);
		return;
	}
	t->proxy = r->proxy;
	t->fd = r->fd;
	free(t->remote);
	t->remote = mem_strdup(r->remote);
	trial_dialogue(t, "-- connected to ", slice_cstr(r->remote));
	trial_step(t, "connect", true, r->remote);
	if (!dane_wanted(t->t, r->secure)) {
		on_dane(t, &none);
		return;
	}
	if (r->secure && r->canonical != NULL &&
	    strcasecmp(r->canonical, t->name) != 0)
		names[0] = r->canonical;
	t->dane = dane_start(t->env->resolver, names, t->port, on_dane, t);
}

/* Takes the next one, false: there is none. */
static bool
take_host(struct trial *t)
{
	const struct conf_transport *c = t->t;
	unsigned group;

	free(t->name);
	t->name = NULL;
	if (t->site != NULL) {
		t->name = site_name_host(t->site, t->host, &group,
		    &t->mark);
	} else if (c->lmtp_path != NULL) {
		if (t->host == 0)
			t->name = mem_strdup(c->lmtp_path);
	} else if (t->host < c->n_hosts) {
		t->name = mem_strdup(c->hosts[t->host].name);
		t->port = c->hosts[t->host].port;
	}
	t->host++;
	return t->name != NULL;
}

void
trial_next_host(struct trial *t)
{
	const struct conf_transport *c = t->t;
	struct reach_options o = {
		.loop = t->env->client.loop,
		.resolver = t->env->resolver,
		.monitor = c->lmtp_path != NULL ? t->env->monitor : NULL,
		.transport = c->name,
		.families = (c->ipv4 != SWITCH_OFF ? RESOLVE_V4 : 0) |
		    (c->ipv6 != SWITCH_OFF ? RESOLVE_V6 : 0) |
		    (t->site != NULL ? RESOLVE_NO_HOSTS : 0),
		.connect_ms = c->connect_timeout,
		.t = c,
		.states = t->proxies,
		.env = &t->env->client
	};

	if (!take_host(t)) {
		trial_finish(t);
		return;
	}
	o.host = t->name;
	o.port = t->port;
	reach_sources(c, &o.source4, &o.source6);
	t->reach = reach_start(&o, on_reached, t);
}

/* ---- next hops that have to be looked up ---- */

/* The marks of one site are all of one kind. */
static bool
make_policy(struct trial *t)
{
	struct err e = { 0, "" };
	enum site_mark mark;
	unsigned group;

	free(site_name_host(t->site, 0, &group, &mark));
	if (mark == SITE_MARK_NONE)
		return true;
	t->policy = tls_policy_new(t->t, site_mark_enforced(mark) ?
	    TLS_POLICY_ENFORCED : TLS_POLICY_TESTED, t->env->ca, &e);
	if (t->policy != NULL || !site_mark_enforced(mark))
		return true;
	trial_step(t, "tls", false, e.text);
	return false;
}

static void
on_site(void *arg, const struct msg_site *answer)
{
	struct trial *t = arg;

	t->mx = NULL;
	if (answer->result != SITE_FOUND) {
		trial_step(t, "mx", false, answer->text != NULL ? answer->text :
		    "no next hop");
		trial_finish(t);
		return;
	}
	trial_step(t, "mx", true, answer->site);
	t->site = mem_strdup(answer->site);
	if (make_policy(t))
		trial_next_host(t);
	else
		trial_finish(t);
}

void
trial_look_up(struct trial *t, const struct conf *conf, const char *domain)
{
	struct next_hop_options o = {
		.mx = {
			.loop = t->env->client.loop,
			.resolver = t->env->resolver,
			.conf = conf,
			.signed_only = t->t->tls_verify == VERIFY_DANE
		},
		.transport = t->t,
		.http = t->env->http,
		.note = t->m.policy
	};
	char normal[MAIL_DOMAIN_MAX + 1];
	struct slice local, part = slice_of("", 0);

	t->port = t->t->kind == TRANSPORT_DIRECT ? t->t->direct_port :
	    t->t->hosts[0].port;
	o.mx.port = t->port;
	if (t->m.to != NULL)
		mail_address_split(slice_cstr(t->m.to), &local, &part);
	if (domain == NULL && mail_domain_normal(part, normal) == 0)
		domain = normal;
	if (domain == NULL) {
		trial_step(t, "mx", false, "direct delivery is tested with --to "
		    "ADDRESS: its domain says where");
		trial_finish(t);
	} else {
		o.mx.domain = domain;
		t->mx = next_hop_start(&o, on_site, t);
	}
}
