/* What follows from the statements of a transport: ports, the mode of TLS,
 * whether certificates are verified; and what does not fit together. */
#include <stdio.h>
#include <string.h>

#include "conf/directives.h"
#include "conf/provider.h"

bool
conf_transport_is_network(const struct conf_transport *t)
{
	return t->kind == TRANSPORT_DIRECT ||
	    t->kind == TRANSPORT_SMARTHOST ||
	    t->kind == TRANSPORT_SUBMISSION || t->kind == TRANSPORT_LMTP;
}

/* Default ports; port 465 speaks TLS from the first octet. */
static void
finish_ports(struct build *b, const struct conf_stmt *s,
    struct conf_transport *t)
{
	bool submission = t->kind == TRANSPORT_SUBMISSION;
	size_t i, implicit = 0;

	for (i = 0; i < t->n_hosts; i++) {
		if (t->hosts[i].port == 0)
			t->hosts[i].port = !submission ? 25 :
			    t->tls == TLS_IMPLICIT ? 465 : 587;
		if (t->hosts[i].port == 465)
			implicit++;
	}
	if (t->tls != TLS_UNSET || implicit == 0)
		return;
	t->tls = TLS_IMPLICIT;
	if (implicit < t->n_hosts && build_is_main(b))
		build_error(b, s, NULL, "%s `%s`: port 465 takes another "
		    "mode of TLS than the other ports; write `tls`, or two "
		    "transports", s->w[0].s, t->name);
}

static void
finish_tls(struct build *b, const struct conf_stmt *s,
    struct conf_transport *t)
{
	bool pinned = t->tls_fingerprint.n > 0;
	bool verified = t->tls_verify == VERIFY_ON ||
	    t->tls_verify == VERIFY_DANE;
	const char *domain;

	if (t->lmtp_path != NULL && t->tls == TLS_UNSET && !pinned)
		t->tls = TLS_OFF;	/* a socket of this machine */
	/* Who pins or verifies means it. */
	if (t->tls == TLS_UNSET)
		t->tls = t->has_credential || pinned || verified ?
		    TLS_REQUIRED : TLS_OPPORTUNISTIC;
	if ((t->tls == TLS_OPPORTUNISTIC || t->tls == TLS_OFF) &&
	    (pinned || verified) && build_is_main(b))
		build_error(b, s, NULL, "%s `%s`: `tls %s` does not go with "
		    "%s", s->w[0].s, t->name, t->tls == TLS_OFF ? "off" :
		    "opportunistic", pinned ? "tls-fingerprint" :
		    "tls-verify");
	t->dane = t->tls_verify == VERIFY_DANE || (t->tls_verify ==
	    VERIFY_UNSET && t->kind == TRANSPORT_DIRECT &&
	    t->tls == TLS_OPPORTUNISTIC);
	t->mta_sts = t->tls_verify == VERIFY_UNSET &&
	    conf_transport_by_mx(t, &domain) && t->tls == TLS_OPPORTUNISTIC;
	if (t->tls_verify == VERIFY_UNSET)
		t->tls_verify = t->tls == TLS_REQUIRED ||
		    t->tls == TLS_IMPLICIT ? VERIFY_ON : VERIFY_OFF;
}

static void
check_credential(struct build *b, const struct conf_stmt *s,
    const struct conf_transport *t)
{
	if (t->username != NULL && !t->has_credential &&
	    t->certificate == NULL)
		build_error(b, s, NULL, "%s `%s`: a username, but no "
		    "password", s->w[0].s, t->name);
	if (t->password.kind != SECRET_NONE && t->username == NULL)
		build_error(b, s, NULL, "%s `%s`: a password, but no "
		    "username", s->w[0].s, t->name);
	if (!t->has_credential || t->tls_fingerprint.n > 0 ||
	    (t->password.kind == SECRET_NONE && t->oauth2 == NULL))
		return;
	if (t->tls == TLS_OFF)
		build_warning(b, s, "%s `%s`: a password without TLS",
		    s->w[0].s, t->name);
	else if (t->tls_verify_off_written)
		build_warning(b, s, "%s `%s`: the password goes to a server "
		    "whose certificate nobody verifies (tls-verify off)",
		    s->w[0].s, t->name);
	else if (t->tls == TLS_OPPORTUNISTIC)
		build_warning(b, s, "%s `%s`: with `tls opportunistic` the "
		    "certificate is not verified, and the password is shown "
		    "to nobody; `tls required` is what is needed",
		    s->w[0].s, t->name);
}

/* Statements that mean nothing for this kind. */
static void
check_idle(struct build *b, const struct conf_stmt *s,
    const struct conf_transport *t)
{
	const struct conf_directive *d;
	size_t i;

	for (i = 0; i < s->n_kids; i++) {
		d = conf_directive_find(CTX_TRANSPORT, s->kids[i].w[0].s);
		if (d != NULL && (d->flags & NETWORK) != 0 &&
		    !conf_transport_is_network(t))
			build_warning(b, &s->kids[i], "`%s` means nothing to "
			    "a transport that does not use the network",
			    d->name);
		else if (d != NULL && t->kind != TRANSPORT_DIRECT &&
		    strcmp(d->name, "spf-check") == 0)
			build_warning(b, &s->kids[i], "`spf-check` means "
			    "nothing to a transport that is not `direct`");
	}
}

static bool
is_written(const struct conf_stmt *s, const char *name)
{
	size_t i;

	for (i = 0; i < s->n_kids; i++)
		if (word_is(&s->kids[i].w[0], name))
			return true;
	return false;
}

static void
preset_count(const struct conf_stmt *s, const char *name, unsigned preset,
    unsigned *to)
{
	if (preset > 0 && !is_written(s, name))
		*to = preset;
}

/* What is known of the provider, where nothing else was written. */
static void
finish_provider(const struct conf_stmt *s, struct conf_transport *t)
{
	const struct conf_provider *p = t->provider != NULL ?
	    conf_provider_find(t->provider) : NULL;

	if (p == NULL)
		return;
	preset_count(s, "connections", p->connections, &t->connections);
	preset_count(s, "connections-per-host", p->connections,
	    &t->connections_per_host);
	preset_count(s, "messages-per-connection", p->messages,
	    &t->messages_per_connection);
	preset_count(s, "recipients-per-message", p->recipients,
	    &t->recipients_per_message);
	if (p->size > 0 && !is_written(s, "max-message-size"))
		t->max_message_size = p->size;
	if (p->rate > 0 && !is_written(s, "rate"))
		t->rate = (struct conf_rate){ p->rate, p->per };
	if (p->daily > 0 && !is_written(s, "daily"))
		t->daily = p->daily;
	if (t->tls == TLS_UNSET)
		t->tls = strcmp(p->tls, "implicit") == 0 ? TLS_IMPLICIT :
		    TLS_REQUIRED;
}

/* Who names EXTERNAL wants the certificate to log in. */
static void
finish_external(struct build *b, const struct conf_stmt *s,
    struct conf_transport *t)
{
	size_t i;

	for (i = 0; i < t->auth_mechanisms.n; i++) {
		if (strcmp(t->auth_mechanisms.v[i], "EXTERNAL") != 0)
			continue;
		if (t->has_certificate)
			t->has_credential = true;
		else if (build_is_main(b))
			build_error(b, s, NULL, "%s `%s`: auth-mechanisms "
			    "EXTERNAL needs a `certificate`", s->w[0].s,
			    t->name);
	}
}

void
transport_finish(struct build *b, const struct conf_stmt *s,
    struct conf_transport *t)
{
	finish_external(b, s, t);
	finish_provider(s, t);
	finish_ports(b, s, t);
	finish_tls(b, s, t);
	oauth2_finish(b, s, t);
	kerberos_finish(b, s, t);
	if (!build_is_main(b) || !t->kind_set)
		return;
	if (conf_transport_is_network(t))
		check_credential(b, s, t);
	check_idle(b, s, t);
	if (t->ipv4 == SWITCH_OFF && t->ipv6 == SWITCH_OFF)
		build_error(b, s, NULL, "%s `%s`: ipv4 and ipv6 are both off",
		    s->w[0].s, t->name);
}
