/* What auth knows of servers whose channel binding is not ours.  A server that
 * offers a -PLUS does not say which types it takes (XEP-0440 is XMPP's alone):
 * ours are tls-exporter, on TLS 1.2 tls-unique, and one that knows just
 * another refuses.  GNU SASL's servers do so at the client's first message,
 * before any proof of a password was asked for; others say so by a name (RFC
 * 5802 7).  Only these two count.  (Cyrus SASL 2.1.28 says no at the end, which
 * is what it says to a wrong password, too.)
 *
 * The flag is `n` then (RFC 5802 6): we have no binding that this server
 * supports.  `y`, that the server seems to have none, would be a lie.
 *
 * Is it safe?  The binding is there against somebody who stands between in
 * spite of TLS, with a certificate that was found good: he could refuse it, and
 * hand on what we say next, for SCRAM with `n` is taken by any server.  So it is
 * given up only where he has an easier way already: where he could offer PLAIN
 * alone, and would be shown the password.  Not where the server is neither
 * verified nor pinned, nor where `auth-mechanisms` leaves PLAIN out; that is
 * asked in each session anew, whatever was found in an earlier one. */
#include "auth/unbound.h"

#include <stdlib.h>

#include "base/htab.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/strbuf.h"

#define UNBOUND_MAX 10000

struct unbound {
	struct htab *hosts;		/* "TRANSPORT HOST" */
};

struct unbound *
unbound_new(void)
{
	struct unbound *u = mem_zalloc(sizeof(*u));

	u->hosts = htab_new();
	return u;
}

void
unbound_free(struct unbound **u)
{
	if (*u == NULL)
		return;
	htab_free(&(*u)->hosts);
	free(*u);
	*u = NULL;
}

static void
put_key(struct strbuf *b, const char *transport, const char *host)
{
	strbuf_printf(b, "%s %s", transport, host);
}

bool
unbound_has(const struct unbound *u, const char *transport, const char *host)
{
	struct strbuf key = STRBUF_INIT;
	bool has;

	put_key(&key, transport, host);
	has = htab_get(u->hosts, strbuf_slice(&key)) != NULL;
	strbuf_free(&key);
	return has;
}

void
unbound_add(struct unbound *u, const char *transport, const char *host,
    const char *binding)
{
	struct strbuf key = STRBUF_INIT;

	if (unbound_has(u, transport, host) ||
	    htab_count(u->hosts) >= UNBOUND_MAX)
		return;
	put_key(&key, transport, host);
	htab_put(u->hosts, strbuf_slice(&key), u);
	strbuf_free(&key);
	log_begin(LL_WARN, "channel-binding");
	log_str("transport", transport);
	log_str("relay", host);
	log_str("type", binding);
	log_str("text", "the server offers SCRAM with a channel binding, but "
	    "does not take this one; logins go without it");
	log_end();
}

bool
unbound_allowed(const struct choose *in, const struct choice *choice)
{
	struct choose without = *in, plain = *in;
	struct choice other;

	if ((choice->mechanism->flags & BINDS) == 0)
		return false;
	plain.offered = SLICE_LIT("PLAIN");
	choose_mechanism(&plain, &other);
	if (other.mechanism == NULL)
		return false;
	without.binding = false;
	choose_mechanism(&without, &other);
	return other.mechanism != NULL && other.mechanism->way == WAY_SCRAM;
}
