/*
 * SPF before mail leaves (`spf-check` of a direct transport): the sender's
 * domain is judged for the address that this session leaves from.  Run by
 * delivery.
 *
 * `warn` holds nothing up: what is not known yet is told in the log once it
 * is.  `skip` waits, and where an address fails the job goes back: its
 * transport is of no use to this sender.  A DNS that says nothing lets mail
 * pass.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/num.h"
#include "delivery/pool_private.h"
#include "io/sockaddr.h"
#include "mail/address.h"
#include "mail/domain.h"
#include "mail/scope.h"

#define NOTES_MAX 500u

/* A message that did not wait for it. */
struct spf_note {
	TAILQ_ENTRY(spf_note) link;
	struct pool_env *env;
	struct forecast_wait wait;
	uint64_t id;
	char *domain, *transport;
	char address[INET6_ADDRSTRLEN];
};

/* ---- addresses ---- */

/* Of a local network, or of a provider's own: the world sees another one, or
 * the server is on this wire and no record is about it. */
static bool
is_unknown(const struct mail_literal *ip)
{
	enum mail_scope s = mail_scope_of(ip);

	return mail_scope_is_hidden(s) || s == MAIL_SCOPE_LINK;
}

static void
add(struct session *s, const struct mail_literal *ip)
{
	if (s->n_from < SESSION_FROM_MAX)
		s->from[s->n_from++] = *ip;
}

/* Of the family of the server's address, where that is known. */
static void
add_remote_addresses(struct session *s)
{
	const struct conf_list *list = &s->proxy->remote_address;
	const char *open = strchr(s->remote, '[');
	int family = 0;
	struct sockaddr_storage sa;
	struct mail_literal ip;
	size_t i;

	if (open != NULL)
		family = memchr(open, ':', strcspn(open, "]")) != NULL ?
		    AF_INET6 : AF_INET;
	for (i = 0; i < list->n; i++)
		if (sockaddr_from_ip(slice_cstr(list->v[i]), 0, &sa) &&
		    mail_literal_from((struct sockaddr *)&sa, &ip) &&
		    (family == 0 || ip.family == family))
			add(s, &ip);
}

void
session_spf_addresses(struct session *s)
{
	const struct conf_transport *t = s->pool->t;
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	struct mail_literal ip;

	if (t->kind != TRANSPORT_DIRECT || t->spf_check == SPF_CHECK_OFF)
		return;
	if (s->proxy != NULL) {
		add_remote_addresses(s);
		return;
	}
	if (getsockname(s->fd, (struct sockaddr *)&sa, &len) == 0 &&
	    mail_literal_from((struct sockaddr *)&sa, &ip) &&
	    (t->source_address.n > 0 || !is_unknown(&ip)))
		add(s, &ip);
}

/* ---- telling ---- */

static void
tell(uint64_t id, const char *domain, const char *address,
    const char *transport, const struct forecast_answer *a)
{
	static const enum log_level levels[] = {
		[SPF_NONE] = LL_INFO, [SPF_NEUTRAL] = LL_INFO,
		[SPF_PASS] = LL_DEBUG, [SPF_FAIL] = LL_WARN,
		[SPF_SOFTFAIL] = LL_WARN, [SPF_TEMPERROR] = LL_INFO,
		[SPF_PERMERROR] = LL_WARN
	};
	char text[NUM_ID_LEN + 1];

	if (!log_enabled(levels[a->result]))
		return;
	num_id_text(id, text);
	log_begin(levels[a->result], "spf");
	log_str("id", text);
	log_str("domain", domain);
	log_str("address", address);
	log_str("transport", transport);
	log_str("result", spf_result_name(a->result));
	log_str("text", a->text);
	log_end();
}

static void
note_free(struct spf_note *n)
{
	TAILQ_REMOVE(&n->env->spf_notes, n, link);
	n->env->n_spf_notes--;
	forecast_cancel(&n->wait);
	free(n->domain);
	free(n->transport);
	free(n);
}

static void
note_known(void *arg, const struct forecast_answer *a)
{
	struct spf_note *n = arg;

	tell(n->id, n->domain, n->address, n->transport, a);
	note_free(n);
}

void
session_spf_forget(struct pool_env *env)
{
	struct spf_note *n;

	while ((n = TAILQ_FIRST(&env->spf_notes)) != NULL)
		note_free(n);
}

/* ---- judging ---- */

/* Keeps the worst of them for the result. */
static void
take(struct session *s, const struct forecast_answer *a, const char *address)
{
	struct job *j = s->job;

	tell(j->m.id, s->spf_domain, address, s->pool->t->name, a);
	if (j->spf != NULL && (a->result == SPF_PASS || s->spf_failed))
		return;
	free(j->spf);
	j->spf = mem_printf("%s for %s", a->text, address);
	s->spf_failed = a->result == SPF_FAIL;
}

/* One that is not waited for.  True: it is known. */
static bool
note_down(struct session *s, const struct mail_literal *ip,
    const char *address)
{
	struct pool_env *env = s->pool->env;
	struct spf_note *n = mem_zalloc(sizeof(*n));
	const struct forecast_answer *a;

	n->env = env;
	n->id = s->job->m.id;
	n->domain = mem_strdup(s->spf_domain);
	n->transport = mem_strdup(s->pool->t->name);
	strcpy(n->address, address);
	TAILQ_INSERT_TAIL(&env->spf_notes, n, link);
	env->n_spf_notes++;
	a = forecast_get(env->forecast, s->spf_domain, ip, s->helo, &n->wait,
	    note_known, n);
	if (a != NULL)
		take(s, a, address);
	if (a != NULL || env->n_spf_notes > NOTES_MAX)
		note_free(n);
	return a != NULL;
}

static void on_known(void *arg, const struct forecast_answer *a);

/* The next of its addresses; true: all are judged. */
static bool
judge(struct session *s)
{
	bool wait = s->pool->t->spf_check == SPF_CHECK_SKIP;
	const struct forecast_answer *a;
	const struct mail_literal *ip;
	char address[INET6_ADDRSTRLEN];

	for (; s->spf_at < s->n_from && !s->spf_failed; s->spf_at++) {
		ip = &s->from[s->spf_at];
		inet_ntop(ip->family, ip->addr, address, sizeof(address));
		if (!wait) {
			(void)note_down(s, ip, address);
			continue;
		}
		a = forecast_get(s->pool->env->forecast, s->spf_domain, ip,
		    s->helo, &s->spf_wait, on_known, s);
		if (a == NULL)
			return false;
		take(s, a, address);
	}
	return true;
}

/* All are judged, or one has failed. */
static void
go_on(struct session *s)
{
	struct job *j = s->job;
	char *text;

	if (!s->spf_failed || s->pool->t->spf_check != SPF_CHECK_SKIP) {
		session_begin(s);
		return;
	}
	text = mem_printf("SPF of %s: %s (spf-check skip)", s->spf_domain,
	    j->spf);
	job_fail(j, JOB_UNUSABLE, text);
	free(text);
	session_refuse(s);
}

static void
on_known(void *arg, const struct forecast_answer *a)
{
	struct session *s = arg;

	(void)a;		/* known now, and asked for again */
	if (judge(s))
		go_on(s);
}

static void
on_judged(void *arg)
{
	go_on(arg);
}

bool
session_spf_begin(struct session *s)
{
	struct slice local, domain;

	if (s->n_from == 0 || s->pool->env->forecast == NULL)
		return true;
	mail_address_split(slice_cstr(s->job->m.from), &local, &domain);
	if (domain.n == 0 || mail_domain_is_literal(domain) ||
	    mail_domain_normal(domain, s->spf_domain) < 0)
		return true;
	/* What another session's address was worth is not asked. */
	free(s->job->spf);
	s->job->spf = NULL;
	s->spf_at = 0;
	s->spf_failed = false;
	loop_task_init(&s->spf_task, on_judged, s);
	if (judge(s)) {
		if (!s->spf_failed ||
		    s->pool->t->spf_check != SPF_CHECK_SKIP)
			return true;
		/* Not from inside of the pool's own work. */
		loop_defer(s->pool->env->client.loop, &s->spf_task);
	}
	return false;
}

void
session_spf_cancel(struct session *s)
{
	forecast_cancel(&s->spf_wait);
	loop_task_cancel(s->pool->env->client.loop, &s->spf_task);
}
