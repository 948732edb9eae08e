/* SCRAM as server (auth; RFC 5802 5 to 7, RFC 7677 4).  Anything wrong is
 * refused in the same way, a wrong proof and an unknown name included; the
 * reply of SMTP is all that a client is told. */
#include "auth/scram_server.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "io/base64.h"

#define BINDINGS_MAX 4
#define OVER 3

struct scram_server {
	struct scram_server_options o;
	struct {
		char *type;
		struct strbuf data;
	} bindings[BINDINGS_MAX];
	size_t n_bindings;
	struct strbuf name;
	struct strbuf expected;		/* gs2 header and binding: c= */
	struct strbuf nonce;		/* theirs and ours */
	struct strbuf message;		/* AuthMessage */
	struct strbuf out;
	struct scram_account account;
	const struct scram_keys *proved;	/* the client's */
	int step;
};

struct scram_server *
scram_server_new(const struct scram_server_options *o)
{
	struct scram_server *s = mem_zalloc(sizeof(*s));
	size_t i;

	s->o = *o;
	for (i = 0; i < o->n_bindings && i < BINDINGS_MAX; i++) {
		s->bindings[i].type = mem_strdup(o->bindings[i].type);
		strbuf_add_slice(&s->bindings[i].data, o->bindings[i].data);
		s->n_bindings++;
	}
	return s;
}

void
scram_server_free(struct scram_server **sp)
{
	struct scram_server *s = *sp;
	size_t i;

	if (s == NULL)
		return;
	for (i = 0; i < s->n_bindings; i++) {
		free(s->bindings[i].type);
		strbuf_wipe(&s->bindings[i].data);
	}
	strbuf_wipe(&s->name);
	strbuf_wipe(&s->expected);
	strbuf_wipe(&s->nonce);
	strbuf_wipe(&s->message);
	strbuf_wipe(&s->out);
	mem_wipe(s, sizeof(*s));
	free(s);
	*sp = NULL;
}

/* The header's flag against the mechanism's name and the session.  "y" is a
 * client that was not shown our -PLUS: somebody took it away. */
static bool
take_flag(struct scram_server *s, struct slice flag)
{
	size_t i;

	if (slice_eq_cstr(flag, "n"))
		return !s->o.plus;
	if (slice_eq_cstr(flag, "y"))
		return !s->o.plus && s->n_bindings == 0;
	if (!s->o.plus || flag.n < 3 || flag.p[0] != 'p' || flag.p[1] != '=')
		return false;
	flag = slice_skip(flag, 2);
	for (i = 0; i < s->n_bindings; i++) {
		if (!slice_eq_cstr(flag, s->bindings[i].type))
			continue;
		strbuf_add_slice(&s->expected,
		    strbuf_slice(&s->bindings[i].data));
		return true;
	}
	return false;
}

/* Up to and with the next comma. */
static bool
field(struct slice *s, struct slice *part)
{
	long at = slice_find(*s, ',');

	if (at < 0)
		return false;
	*part = slice_of(s->p, (size_t)at);
	*s = slice_skip(*s, (size_t)at + 1);
	return true;
}

/* flag,[a=name],n=name,r=nonce[,...] */
static bool
client_first(struct scram_server *s, struct slice in)
{
	struct slice rest = in, flag, authzid, name, nonce;
	struct strbuf as = STRBUF_INIT;
	bool good = false;

	if (!field(&rest, &flag) || !field(&rest, &authzid))
		return false;
	strbuf_add(&s->expected, in.p, in.n - rest.n);
	strbuf_add_slice(&s->message, rest);
	if (!take_flag(s, flag) || !scram_attribute(&rest, 'n', &name) ||
	    !scram_attribute(&rest, 'r', &nonce) ||
	    !scram_nonce_good(nonce) || scram_name_get(name, &s->name) < 0)
		return false;
	strbuf_add_slice(&s->nonce, nonce);
	/* As oneself only. */
	if (authzid.n == 0)
		good = true;
	else if (scram_attribute(&authzid, 'a', &name) &&
	    scram_name_get(name, &as) == 0)
		good = slice_eq(strbuf_slice(&as), strbuf_slice(&s->name));
	strbuf_wipe(&as);
	return good;
}

static void
server_first(struct scram_server *s)
{
	s->o.lookup(s->o.arg, strbuf_cstr(&s->name), s->o.hash,
	    &s->account);
	if (s->o.nonce != NULL)
		strbuf_puts(&s->nonce, s->o.nonce);
	else
		scram_nonce_put(&s->nonce);
	strbuf_puts(&s->out, "r=");
	strbuf_add_slice(&s->out, strbuf_slice(&s->nonce));
	strbuf_puts(&s->out, ",s=");
	base64_encode(slice_of(s->account.salt, s->account.salt_n), &s->out);
	strbuf_printf(&s->out, ",i=%u", s->account.iterations);
	strbuf_putc(&s->message, ',');
	strbuf_add_slice(&s->message, strbuf_slice(&s->out));
}

/* Is it what was agreed on, on the channel that this is? */
static bool
bound(const struct scram_server *s, struct slice c)
{
	struct strbuf raw = STRBUF_INIT;
	bool good;

	good = base64_decode(c, &raw) == 0 &&
	    slice_eq(strbuf_slice(&raw), strbuf_slice(&s->expected));
	strbuf_wipe(&raw);
	return good;
}

static bool
proves(struct scram_server *s, const struct scram_keys *keys,
    const unsigned char *proof)
{
	unsigned char key[SCRAM_KEY_MAX];
	bool good;

	scram_proof(s->o.hash, keys->stored, proof, strbuf_slice(&s->message),
	    key);
	good = scram_is_stored(s->o.hash, key, keys->stored);
	mem_wipe(key, sizeof(key));
	if (good)
		s->proved = keys;
	return good;
}

/* c=binding,r=nonce[,...],p=proof */
static bool
client_final(struct scram_server *s, struct slice in)
{
	unsigned char raw[SCRAM_KEY_MAX];
	struct slice rest = in, c, nonce, proof;
	long at = slice_rfind(in, ',');
	size_t n;
	bool good;

	if (at < 0)
		return false;
	proof = slice_skip(in, (size_t)at + 1);
	rest.n = (size_t)at;
	strbuf_putc(&s->message, ',');
	strbuf_add_slice(&s->message, rest);
	if (!scram_attribute(&rest, 'c', &c) || !bound(s, c) ||
	    !scram_attribute(&rest, 'r', &nonce) ||
	    !slice_eq(nonce, strbuf_slice(&s->nonce)) ||
	    !scram_attribute(&proof, 'p', &c) ||
	    scram_octets(c, raw, sizeof(raw), &n) < 0 ||
	    n != s->o.hash->size)
		return false;
	good = proves(s, &s->account.keys, raw);
	if (!good && s->account.has_raw)
		good = proves(s, &s->account.raw, raw);
	return good && s->account.known;
}

static void
server_final(struct scram_server *s)
{
	unsigned char signature[SCRAM_KEY_MAX];

	scram_hmac(s->o.hash, s->proved->server,
	    strbuf_slice(&s->message), signature);
	strbuf_clear(&s->out);
	strbuf_puts(&s->out, "v=");
	base64_encode(slice_of(signature, s->o.hash->size), &s->out);
}

enum scram_server_result
scram_server_take(struct scram_server *s, struct slice in, struct slice *out)
{
	int step = s->step++;

	*out = slice_of("", 0);
	if (in.n > SCRAM_MESSAGE_MAX)
		step = OVER;
	switch (step) {
	case 0:
		if (!client_first(s, in))
			break;
		server_first(s);
		*out = strbuf_slice(&s->out);
		return SCRAM_SERVER_CONTINUE;
	case 1:
		if (!client_final(s, in))
			break;
		server_final(s);
		*out = strbuf_slice(&s->out);
		return SCRAM_SERVER_CONTINUE;
	case 2:
		/* The client has seen our signature. */
		if (in.n == 0) {
			s->step = OVER;
			return SCRAM_SERVER_OK;
		}
		break;
	default:
		break;
	}
	s->step = OVER;
	return SCRAM_SERVER_REFUSED;
}

const char *
scram_server_name(const struct scram_server *s)
{
	return strbuf_cstr(&s->name);
}
