/* Who may relay, and with which addresses (listener).  Pure: decides by the
 * configuration and what it is told, keeps nothing, cannot fail. */
#include "listener/relay_policy.h"

#include "mail/pattern.h"

bool
relay_denied(const struct conf_listen *listen, const struct relay_origin *o)
{
	return o->kind == RELAY_FROM_NET &&
	    conf_nets_match(&listen->deny, o->v6, o->addr);
}

bool
relay_trusted(const struct conf_listen *listen,
    const struct conf_client *client, const struct relay_origin *o)
{
	switch (o->kind) {
	case RELAY_FROM_SUBMIT:
		return true;
	case RELAY_FROM_UNIX:
		/* As near as loopback, which `allow` holds unless it was
		 * written. */
		return !listen->allow_set;
	case RELAY_FROM_NET:
		break;
	}
	return client != NULL ||
	    conf_nets_match(&listen->allow, o->v6, o->addr);
}

bool
relay_must_auth(const struct conf_listen *listen,
    const struct conf_client *client, const struct relay_origin *o)
{
	if (listen->auth != AUTH_REQUIRED || o->kind == RELAY_FROM_SUBMIT)
		return false;
	return client == NULL ||
	    (client->auth != AUTH_OFF && client->auth != AUTH_ANY);
}

enum relay_answer
relay_may(const struct relay_standing *s)
{
	if (s->authenticated || (s->trusted && !s->must_auth))
		return RELAY_YES;
	return s->auth_offered ? RELAY_NEEDS_AUTH : RELAY_NO;
}

static bool
listed(const struct conf_patterns *list, const struct mail_subject *subject)
{
	return list->n == 0 ||
	    mail_pattern_best(list->v, list->n, subject) != NULL;
}

static const struct conf_account *
account_named(const struct conf *conf, const char *name)
{
	size_t i;

	if (name == NULL)
		return NULL;
	i = conf_account_find(conf, name);
	return i < conf->n_accounts ? &conf->accounts[i] : NULL;
}

bool
relay_sender_ok(const struct conf *conf, const struct conf_login *login,
    const struct conf_client *client, struct slice from)
{
	const struct conf_account *account = NULL;
	struct mail_subject subject;

	if (from.n == 0)
		return true;
	mail_subject_set(&subject, from);
	if (login != NULL) {
		if (login->senders.n > 0)
			return listed(&login->senders, &subject);
		account = account_named(conf, login->account);
	}
	if (account == NULL && client != NULL)
		account = account_named(conf, client->account);
	return account == NULL || account->rewrite_envelope != NULL ||
	    listed(&account->senders, &subject);
}

bool
relay_recipient_ok(const struct conf_login *login,
    const struct conf_client *client, struct slice to)
{
	struct mail_subject subject;
	bool by_login = login != NULL && login->recipients.n > 0;
	bool by_client = client != NULL && client->recipients.n > 0;

	if (!by_login && !by_client)
		return true;
	mail_subject_set(&subject, to);
	/* Both must agree: a device does not widen what a login may, nor the
	 * other way round. */
	return (!by_login || listed(&login->recipients, &subject)) &&
	    (!by_client || listed(&client->recipients, &subject));
}
