/* SCRAM as client (auth; RFC 5802 5 and 6, RFC 7677 4).  Bounded whatever the
 * server says; it counts as known only when its signature is right.  Name and
 * password are prepared by SASLprep (RFC 5802 2.2, 5.1); where that cannot be
 * they are taken as they are, and the server decides. */
#include "auth/scram_client.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "base/mem.h"
#include "base/num.h"
#include "io/base64.h"
#include "mail/saslprep.h"

#define SALT_LEAST 8
#define NONCE_LEAST 8			/* characters of the server's own */

struct scram_client {
	const struct scram_hash *hash;
	struct strbuf header;		/* gs2 header and the binding */
	struct strbuf first;		/* client-first-message-bare */
	struct strbuf message;		/* AuthMessage */
	struct strbuf out;
	struct strbuf password;
	size_t nonce_at, nonce_n;	/* ours, in first */
	unsigned char salt[SCRAM_SALT_MAX];
	size_t salt_n;
	unsigned iterations;
	struct scram_keys keys;
	bool derived;			/* OpenSSL could */
	int step;
	const char *why;
	bool unbound;			/* it says that */
};

struct scram_client *
scram_client_new(const struct scram_hash *hash, char gs2,
    const struct scram_binding *binding, const char *username,
    struct slice password, const char *nonce)
{
	struct scram_client *c = mem_zalloc(sizeof(*c));
	struct strbuf name = STRBUF_INIT;

	c->hash = hash;
	c->why = "";
	(void)mail_saslprep_lenient(slice_cstr(username), &name);
	(void)mail_saslprep_lenient(password, &c->password);
	if (gs2 == 'p')
		strbuf_printf(&c->header, "p=%s,,", binding->type);
	else
		strbuf_printf(&c->header, "%c,,", gs2);
	strbuf_puts(&c->first, "n=");
	scram_name_put(&c->first, strbuf_cstr(&name));
	strbuf_free(&name);
	strbuf_puts(&c->first, ",r=");
	c->nonce_at = c->first.n;
	if (nonce != NULL)
		strbuf_puts(&c->first, nonce);
	else
		scram_nonce_put(&c->first);
	c->nonce_n = c->first.n - c->nonce_at;
	strbuf_add_slice(&c->out, strbuf_slice(&c->header));
	strbuf_add_slice(&c->out, strbuf_slice(&c->first));
	if (gs2 == 'p')
		strbuf_add_slice(&c->header, binding->data);
	return c;
}

void
scram_client_free(struct scram_client **cp)
{
	struct scram_client *c = *cp;

	if (c == NULL)
		return;
	strbuf_wipe(&c->header);
	strbuf_wipe(&c->first);
	strbuf_wipe(&c->message);
	strbuf_wipe(&c->out);
	strbuf_wipe(&c->password);
	mem_wipe(c, sizeof(*c));
	free(c);
	*cp = NULL;
}

#define OVER 3

static enum scram_client_result
broken(struct scram_client *c, const char *why)
{
	c->why = why;
	c->step = OVER;
	return SCRAM_CLIENT_BROKEN;
}

static enum scram_client_result
refused(struct scram_client *c, const char *why)
{
	(void)broken(c, why);
	return SCRAM_CLIENT_REFUSED;
}

/* Error names of RFC 5802 7 that mean something to people. */
static enum scram_client_result
server_error(struct scram_client *c, struct slice name)
{
	static const struct {
		const char *name, *text;
		bool unbound;
	} known[] = {
		{ "invalid-proof", "the server says: wrong password",
		    false },
		{ "unknown-user", "the server says: unknown user",
		    false },
		{ "channel-bindings-dont-match", "the server sees another "
		    "TLS session than we do: something stands between", false },
		{ "server-does-support-channel-binding", "the server can "
		    "bind the login to TLS, but did not offer it: something "
		    "stands between", false },
		{ "channel-binding-not-supported", "the server cannot bind "
		    "the login to TLS; `auth-mechanisms` can name one "
		    "without -PLUS", true },
		{ "unsupported-channel-binding-type", "the server wants "
		    "another channel binding; `auth-mechanisms` can name a "
		    "mechanism without -PLUS", true },
	};
	size_t i;

	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (!slice_eq_cstr(name, known[i].name))
			continue;
		c->unbound = known[i].unbound;
		return refused(c, known[i].text);
	}
	return refused(c, "the server reports an error");
}

/* r=, s=, i=, in this order; extensions behind them mean nothing to us. */
static enum scram_client_result
server_first(struct scram_client *c, struct slice in)
{
	struct slice s = in, nonce, salt, count, value, ours;
	uint64_t n;

	ours = slice_of(c->first.p + c->nonce_at, c->nonce_n);
	if (scram_attribute(&s, 'e', &value))
		return server_error(c, value);
	if (!scram_attribute(&s, 'r', &nonce) ||
	    !scram_attribute(&s, 's', &salt) ||
	    !scram_attribute(&s, 'i', &count))
		return broken(c, "the server's message is no SCRAM");
	if (!scram_nonce_good(nonce) || nonce.n < ours.n + NONCE_LEAST ||
	    !slice_eq(slice_of(nonce.p, ours.n), ours))
		return broken(c, "the server's nonce is not right");
	if (scram_octets(salt, c->salt, sizeof(c->salt), &c->salt_n) < 0 ||
	    c->salt_n < SALT_LEAST)
		return broken(c, "the server's salt is not right");
	if (!num_u64(count, UINT32_MAX, &n) || n < SCRAM_ITERATIONS)
		return refused(c, "the server asks for less than 4096 "
		    "iterations, which is not safe");
	if (n > SCRAM_ITERATIONS_MAX)
		return refused(c, "the server asks for more than 1000000 "
		    "iterations");
	c->iterations = (unsigned)n;
	strbuf_add_slice(&c->message, strbuf_slice(&c->first));
	strbuf_putc(&c->message, ',');
	strbuf_add_slice(&c->message, in);
	/* client-final-message-without-proof */
	strbuf_clear(&c->out);
	strbuf_puts(&c->out, "c=");
	base64_encode(strbuf_slice(&c->header), &c->out);
	strbuf_puts(&c->out, ",r=");
	strbuf_add_slice(&c->out, nonce);
	strbuf_putc(&c->message, ',');
	strbuf_add_slice(&c->message, strbuf_slice(&c->out));
	c->step = 2;
	return SCRAM_CLIENT_WORK;
}

void
scram_client_work(struct scram_client *c)
{
	c->derived = scram_derive(c->hash, strbuf_slice(&c->password),
	    slice_of(c->salt, c->salt_n), c->iterations, &c->keys);
}

enum scram_client_result
scram_client_worked(struct scram_client *c, struct slice *out)
{
	unsigned char proof[SCRAM_KEY_MAX];

	if (!c->derived)
		return broken(c, "OpenSSL cannot do the hash");
	scram_proof(c->hash, c->keys.stored, c->keys.client,
	    strbuf_slice(&c->message), proof);
	strbuf_puts(&c->out, ",p=");
	base64_encode(slice_of(proof, c->hash->size), &c->out);
	*out = strbuf_slice(&c->out);
	return SCRAM_CLIENT_CONTINUE;
}

static enum scram_client_result
server_final(struct scram_client *c, struct slice in)
{
	unsigned char want[SCRAM_KEY_MAX], got[SCRAM_KEY_MAX];
	struct slice s = in, value;
	size_t n;

	if (scram_attribute(&s, 'e', &value))
		return server_error(c, value);
	if (!scram_attribute(&s, 'v', &value) ||
	    scram_octets(value, got, sizeof(got), &n) < 0 ||
	    n != c->hash->size)
		return broken(c, "the server's last message is no SCRAM");
	scram_hmac(c->hash, c->keys.server, strbuf_slice(&c->message), want);
	c->step = OVER;
	if (CRYPTO_memcmp(want, got, n) == 0)
		return SCRAM_CLIENT_DONE;
	c->why = "the server does not know the password: it is not the one "
	    "that it says it is";
	return SCRAM_CLIENT_FORGED;
}

enum scram_client_result
scram_client_take(struct scram_client *c, struct slice in, struct slice *out)
{
	enum scram_client_result r;

	*out = slice_of("", 0);
	if (in.n > SCRAM_MESSAGE_MAX)
		return broken(c, "the server's message is too long");
	switch (c->step) {
	case 0:
		c->step = 1;
		*out = strbuf_slice(&c->out);
		return SCRAM_CLIENT_CONTINUE;
	case 1:
		r = server_first(c, in);
		if (r != SCRAM_CLIENT_WORK ||
		    c->iterations > SCRAM_ITERATIONS_INLINE)
			return r;
		scram_client_work(c);
		return scram_client_worked(c, out);
	case 2:
		return server_final(c, in);
	default:
		return broken(c, "the server goes on after the end");
	}
}

const char *
scram_client_why(const struct scram_client *c)
{
	return c->why;
}

bool
scram_client_unbound(const struct scram_client *c)
{
	return c->unbound;
}
