/* What AUTH is offered to whom (listener; RFC 4954 4, RFC 5802 6, RFC 4422
 * appendix A).  A mechanism is shown where the configuration names it and
 * some login has a secret that is good for it. */
#include "listener/auth_offer.h"

#include <string.h>

#include <openssl/x509.h>

#include "io/tls_names.h"

struct offer {
	const char *name;
	bool plus;
	bool external;
};

/* The strongest first; clients may take the first one that they know. */
static const struct offer offers[] = {
	{ "SCRAM-SHA-256-PLUS", true, false },
	{ "SCRAM-SHA-256", false, false },
	{ "SCRAM-SHA-1-PLUS", true, false },
	{ "SCRAM-SHA-1", false, false },
	{ "CRAM-MD5", false, false },
	{ "PLAIN", false, false },
	{ "LOGIN", false, false },
	{ "EXTERNAL", false, true },
};
#define OFFERS (sizeof(offers) / sizeof(offers[0]))

bool
auth_is_any(const struct session *s)
{
	return s->block != NULL && s->block->auth == AUTH_ANY;
}

bool
auth_allowed(const struct session *s)
{
	switch (s->ep->conf->auth_without_tls) {
	case SWITCH_ON:
		return true;
	case SWITCH_OFF:
		return s->tls;
	case SWITCH_UNSET:
		break;
	}
	return s->tls || s->loopback;
}

static bool
configured(const struct session *s, const struct offer *o)
{
	const struct conf_list *list = &s->ep->conf->auth_mechanisms;
	size_t i;

	for (i = 0; i < list->n; i++)
		if (slice_eq_case_cstr(slice_cstr(list->v[i]), o->name))
			return true;
	return false;
}

/* Some login could use it on some connection. */
static bool
useful(const struct session *s, const struct offer *o)
{
	if (!configured(s, o))
		return false;
	return o->external ? s->ep->conf->client_ca != NULL :
	    (s->owner->login_uses & conf_mechanism_uses(o->name)) != 0;
}

bool
auth_possible(const struct session *s)
{
	size_t i;

	if (s->ep->conf->auth == AUTH_OFF || s->owner->conf->n_logins == 0)
		return false;
	for (i = 0; i < OFFERS; i++)
		if (useful(s, &offers[i]))
			return true;
	return false;
}

/* ---- channel bindings ---- */

static uint32_t
bindings_there(const struct session *s, struct auth_bindings *room,
    struct msg_binding out[MSG_BINDINGS_MAX])
{
	static char exporter[] = "tls-exporter", unique[] = "tls-unique";
	uint32_t n = 0;
	size_t octets;

	memset(room, 0, sizeof(*room));
	if (!s->tls)
		return 0;
	if (conn_tls_exporter(s->conn, room->room[n]) == 0) {
		out[n].type = exporter;
		out[n].data = slice_of(room->room[n],
		    CONN_BINDING_EXPORTER_LEN);
		n++;
	}
	if (conn_tls_unique(s->conn, room->room[n], &octets) == 0) {
		out[n].type = unique;
		out[n].data = slice_of(room->room[n], octets);
		n++;
	}
	return n;
}

uint32_t
auth_bindings(const struct session *s, struct auth_bindings *room,
    struct msg_binding out[MSG_BINDINGS_MAX])
{
	size_t i;

	for (i = 0; i < OFFERS; i++)
		if (offers[i].plus && useful(s, &offers[i]))
			return bindings_there(s, room, out);
	return 0;
}

/* ---- EXTERNAL ---- */

struct search {
	const struct conf *conf;
	struct slice as;
	const struct conf_login *found;
};

/* Host names and addresses do not care about case; nor can two logins be
 * told apart by it in a certificate. */
static bool
is_login(void *arg, enum tls_name_kind kind, struct slice name)
{
	struct search *s = arg;
	struct slice login;
	size_t i;

	for (i = 0; i < s->conf->n_logins; i++) {
		login = slice_cstr(s->conf->logins[i].name);
		if (kind == TLS_NAME_COMMON ? !slice_eq(login, name) :
		    !slice_eq_case(login, name))
			continue;
		if (s->as.n > 0 && !slice_eq(s->as, login))
			continue;
		s->found = &s->conf->logins[i];
		return true;
	}
	return false;
}

const struct conf_login *
auth_external(const struct session *s, struct slice as)
{
	struct search search = { s->owner->conf, as, NULL };
	X509 *cert;

	if (!s->tls || s->ep->conf->client_ca == NULL ||
	    !conn_tls_verified(s->conn))
		return NULL;
	cert = conn_tls_peer_cert(s->conn);
	if (cert == NULL)
		return NULL;
	(void)tls_names(cert, is_login, &search);
	X509_free(cert);
	return search.found;
}

/* ---- now ---- */

static bool
usable(const struct session *s, const struct offer *o)
{
	struct msg_binding out[MSG_BINDINGS_MAX];
	struct auth_bindings room;

	if (!useful(s, o))
		return false;
	if (o->external)
		return auth_external(s, slice_of("", 0)) != NULL;
	if (s->owner->auth == NULL)
		return false;
	return !o->plus || bindings_there(s, &room, out) > 0;
}

bool
smtpd_auth_offered(const struct session *s)
{
	size_t i;

	if (s->auth_done || (s->ep->tls_mode == TLS_REQUIRED && !s->tls))
		return false;
	if (auth_is_any(s))
		return true;
	if (!auth_possible(s) || !auth_allowed(s))
		return false;
	for (i = 0; i < OFFERS; i++)
		if (usable(s, &offers[i]))
			return true;
	return false;
}

void
smtpd_auth_mechanisms(const struct session *s, struct strbuf *out)
{
	size_t i;

	if (auth_is_any(s)) {
		strbuf_puts(out, " PLAIN LOGIN");
		return;
	}
	for (i = 0; i < OFFERS; i++) {
		if (!usable(s, &offers[i]))
			continue;
		strbuf_putc(out, ' ');
		strbuf_puts(out, offers[i].name);
	}
}

static const struct offer *
find(const struct session *s, struct slice name)
{
	size_t i;

	for (i = 0; i < OFFERS; i++)
		if (slice_eq_case_cstr(name, offers[i].name))
			return useful(s, &offers[i]) ? &offers[i] : NULL;
	return NULL;
}

const char *
auth_mechanism(const struct session *s, struct slice name)
{
	const struct offer *o = find(s, name);

	return o != NULL ? o->name : NULL;
}

bool
auth_unbound(const struct session *s, struct slice name)
{
	struct msg_binding out[MSG_BINDINGS_MAX];
	const struct offer *o = find(s, name);
	struct auth_bindings room;

	return o != NULL && o->plus && bindings_there(s, &room, out) == 0;
}
