/* The stored form of an envelope, for listener, queue, store and delivery.
 * On failure: -1 with a text; a record that cannot be read is its holder's to
 * quarantine.  Everything is little endian:
 *
 *	u8 version, u8 protocol, u8 ret, u8 0
 *	u64 id, received_ms, size; u32 crc, flags, hops; u64 uid; u16 port
 *	from envid helo client client_name listener login account tls
 *	u32 recipients, and for each: address, u8 notify, orcpt
 *
 * A string is a u16 of its octets and those; 0xffff stands for NULL. */
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "mail/envelope.h"

#define VERSION 1
#define NO_STRING 0xffffu
#define NOTIFY_ALL ((unsigned)(MAIL_NOTIFY_NEVER | MAIL_NOTIFY_SUCCESS | \
    MAIL_NOTIFY_FAILURE | MAIL_NOTIFY_DELAY))
/* address (2 octets of length at least), notify, orcpt */
#define RECIPIENT_MIN 5

static void
put_u8(struct strbuf *b, unsigned v)
{
	strbuf_putc(b, (char)(unsigned char)v);
}

static void
put_u16(struct strbuf *b, unsigned v)
{
	uint16_t le = htole16((uint16_t)v);

	strbuf_add(b, &le, sizeof(le));
}

static void
put_u32(struct strbuf *b, uint32_t v)
{
	uint32_t le = htole32(v);

	strbuf_add(b, &le, sizeof(le));
}

static void
put_u64(struct strbuf *b, uint64_t v)
{
	uint64_t le = htole64(v);

	strbuf_add(b, &le, sizeof(le));
}

static int
put_string(struct strbuf *b, const char *s, struct err *e)
{
	size_t n;

	if (s == NULL) {
		put_u16(b, NO_STRING);
		return 0;
	}
	n = strlen(s);
	if (n > ENVELOPE_STRING_MAX)
		return err_set(e, -1, "a string of the envelope is too long");
	put_u16(b, (unsigned)n);
	strbuf_add(b, s, n);
	return 0;
}

/* The strings in their order; out of a structure, or into one. */
enum { STRINGS = 9 };

static void
list_strings(struct envelope *env, char **out[STRINGS])
{
	size_t i = 0;

	out[i++] = &env->from;
	out[i++] = &env->envid;
	out[i++] = &env->helo;
	out[i++] = &env->client;
	out[i++] = &env->client_name;
	out[i++] = &env->listener;
	out[i++] = &env->login;
	out[i++] = &env->account;
	out[i++] = &env->tls;
}

static int
put_recipients(const struct envelope *env, struct strbuf *out, struct err *e)
{
	for (size_t i = 0; i < env->recipient_count; i++) {
		const struct recipient *r = &env->recipients[i];

		if (put_string(out, r->address != NULL ? r->address : "",
		    e) < 0)
			return -1;
		put_u8(out, r->notify & NOTIFY_ALL);
		if (put_string(out, r->orcpt, e) < 0)
			return -1;
	}
	return 0;
}

int
envelope_encode(const struct envelope *env, bool recipients,
    struct strbuf *out, struct err *e)
{
	struct envelope view = *env;	/* of which nothing is changed */
	char **strings[STRINGS];
	char null_sender[1] = "";
	size_t before = out->n;
	size_t count = recipients ? env->recipient_count : 0;

	if (count > ENVELOPE_RECIPIENTS_MAX)
		return err_set(e, -1, "too many recipients");
	if (view.from == NULL)
		view.from = null_sender;
	put_u8(out, VERSION);
	put_u8(out, (unsigned)env->protocol);
	put_u8(out, (unsigned)env->ret);
	put_u8(out, 0);
	put_u64(out, env->id);
	put_u64(out, env->received_ms);
	put_u64(out, env->size);
	put_u32(out, env->crc);
	put_u32(out, (uint32_t)env->flags);
	put_u32(out, (uint32_t)env->hops);
	put_u64(out, (uint64_t)env->uid);
	put_u16(out, env->client_port);
	list_strings(&view, strings);
	for (size_t i = 0; i < STRINGS; i++) {
		if (put_string(out, *strings[i], e) < 0)
			goto fail;
	}
	put_u32(out, (uint32_t)count);
	if (count > 0 && put_recipients(env, out, e) < 0)
		goto fail;
	return 0;
fail:
	out->n = before;
	out->p[before] = '\0';
	return -1;
}

/* What is left to read; `bad` sticks. */
struct reader {
	struct slice left;
	bool bad;
};

static void
get(struct reader *r, void *to, size_t n)
{
	if (r->bad || r->left.n < n) {
		r->bad = true;
		memset(to, 0, n);
		return;
	}
	memcpy(to, r->left.p, n);
	r->left = slice_skip(r->left, n);
}

static unsigned
get_u8(struct reader *r)
{
	uint8_t v;

	get(r, &v, sizeof(v));
	return v;
}

static unsigned
get_u16(struct reader *r)
{
	uint16_t v;

	get(r, &v, sizeof(v));
	return le16toh(v);
}

static uint32_t
get_u32(struct reader *r)
{
	uint32_t v;

	get(r, &v, sizeof(v));
	return le32toh(v);
}

static uint64_t
get_u64(struct reader *r)
{
	uint64_t v;

	get(r, &v, sizeof(v));
	return le64toh(v);
}

/* A string with NUL inside would not be the same afterwards: bad. */
static char *
get_string(struct reader *r)
{
	unsigned n = get_u16(r);
	char *s;

	if (r->bad || n == NO_STRING)
		return NULL;
	if (n > ENVELOPE_STRING_MAX || n > r->left.n ||
	    (n > 0 && memchr(r->left.p, '\0', n) != NULL)) {
		r->bad = true;
		return NULL;
	}
	s = slice_dup(slice_of(r->left.p, n));
	r->left = slice_skip(r->left, n);
	return s;
}

static void
get_recipients(struct reader *r, struct envelope *out)
{
	uint32_t count = get_u32(r);

	if (count > ENVELOPE_RECIPIENTS_MAX ||
	    count > r->left.n / RECIPIENT_MIN) {
		r->bad = true;
		return;
	}
	for (uint32_t i = 0; i < count && !r->bad; i++) {
		struct recipient *to = mem_push(&out->recipients,
		    &out->recipient_count, sizeof(*to));

		to->address = get_string(r);
		to->notify = get_u8(r);
		to->orcpt = get_string(r);
		if (to->address == NULL || (to->notify & ~NOTIFY_ALL) != 0)
			r->bad = true;
	}
}

int
envelope_decode(struct slice in, struct envelope *out, struct err *e)
{
	struct reader r = { in, false };
	char **strings[STRINGS];
	unsigned version = get_u8(&r), protocol, ret;

	if (version != VERSION)
		return err_set(e, -1, "envelope of unknown version %u",
		    version);
	protocol = get_u8(&r);
	ret = get_u8(&r);
	if (protocol > MAIL_PROTO_ALERT || ret > MAIL_RET_HDRS ||
	    get_u8(&r) != 0)
		return err_set(e, -1, "damaged envelope");
	free(out->from);		/* the "" of envelope_init */
	memset(out, 0, sizeof(*out));
	out->protocol = (enum mail_protocol)protocol;
	out->ret = (enum mail_ret)ret;
	out->id = get_u64(&r);
	out->received_ms = get_u64(&r);
	out->size = get_u64(&r);
	out->crc = get_u32(&r);
	out->flags = get_u32(&r);
	out->hops = get_u32(&r);
	out->uid = (int64_t)get_u64(&r);
	out->client_port = (uint16_t)get_u16(&r);
	list_strings(out, strings);
	for (size_t i = 0; i < STRINGS; i++)
		*strings[i] = get_string(&r);
	get_recipients(&r, out);
	if (r.bad || r.left.n > 0 || out->from == NULL) {
		envelope_clear(out);
		out->from = mem_strdup("");
		return err_set(e, -1, "damaged envelope");
	}
	return 0;
}
