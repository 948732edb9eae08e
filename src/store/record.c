/* The stored form of a message's state, used by queue and by relayctl on a
 * stopped daemon.
 *
 * value = header, fields[, body]
 * header: "MQ" version1 kind1 length4 crc4, little endian; length is that of
 * header and fields, crc is the crc32c of both without itself.  The header
 * stays as it is in every later version, so that a newer record is told from
 * a damaged one.  Fields are base-128 numbers and strings with their length
 * plus one (0: NULL).
 *
 * Decoding takes memory in proportion to its input only and never reads
 * outside of it; what does not fit exactly is EILSEQ.
 */
#include "store/record.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc.h"
#include "base/mem.h"
#include "store/value.h"

enum { FLAG_HELD = 1, FLAG_WARNED = 2, FLAG_UNCOUNTED = 4,
	FLAGS = FLAG_HELD | FLAG_WARNED | FLAG_UNCOUNTED };

/* Version 2 has numbers behind version 1's recipients; it is written only
 * where one of them is not 0, so that an older program reads what it can. */
#define RECORD_VERSION 2
#define STRING_MAX 65536
/* A recipient's state takes at least this many octets. */
#define RCPT_MIN 11

struct reader {
	const unsigned char *p, *end;
	bool bad;
};

struct record *
record_new(struct envelope *env)
{
	struct record *r = mem_zalloc(sizeof(*r));

	r->env = env;
	r->account = env->account ? mem_strdup(env->account) : NULL;
	r->body_size = env->size;
	r->body_crc = env->crc;
	r->rcpt = mem_zarray(env->recipient_count ? env->recipient_count : 1,
	    sizeof(*r->rcpt));
	return r;
}

void
record_free(struct record **rp)
{
	struct record *r = *rp;
	size_t i;

	if (r == NULL)
		return;
	*rp = NULL;
	for (i = 0; r->rcpt != NULL && i < r->env->recipient_count; i++) {
		free(r->rcpt[i].last_reply);
		free(r->rcpt[i].remote);
	}
	free(r->rcpt);
	envelope_free(&r->env);
	free(r->account);
	free(r->pinned);
	free(r->transport);
	free(r->route);
	free(r);
}

/* ---- writing ---- */

static void
put_num(struct strbuf *b, uint64_t v)
{
	unsigned char *p = (unsigned char *)strbuf_room(b, 10);
	size_t n = 0;

	while (v >= 0x80) {
		p[n++] = (unsigned char)(v | 0x80);
		v >>= 7;
	}
	p[n++] = (unsigned char)v;
	b->n += n;
}

static void
put_string(struct strbuf *b, const char *s)
{
	size_t n = s ? strlen(s) : 0;

	if (n > STRING_MAX)
		n = STRING_MAX;
	put_num(b, s ? n + 1 : 0);
	strbuf_add(b, s ? s : "", n);
}

static void
put_rcpt(struct strbuf *b, const struct record_rcpt *rc)
{
	put_num(b, rc->state);
	put_num(b, rc->attempts);
	put_num(b, rc->lane);
	put_num(b, rc->due);
	put_num(b, rc->last_attempt);
	put_num(b, rc->last_code);
	strbuf_add(b, rc->last_status, sizeof(rc->last_status));
	put_string(b, rc->last_reply);
	put_string(b, rc->remote);
}

/* The envelope behind its length, which has four octets so that it can be
 * filled in afterwards. */
static int
put_envelope(struct strbuf *b, const struct envelope *env, struct err *e)
{
	size_t at = b->n;

	strbuf_add(b, "\0\0\0\0", 4);
	if (envelope_encode(env, true, b, e) < 0)
		return -1;
	put_le32((unsigned char *)b->p + at, (uint32_t)(b->n - at - 4));
	return 0;
}

/* What version 1 has no place for. */
static bool
has_more(const struct record *r)
{
	size_t i;

	for (i = 0; i < r->env->recipient_count; i++) {
		if (r->rcpt[i].no_domain_since != 0)
			return true;
	}
	return false;
}

int
record_write(const struct record *r, struct strbuf *out, struct err *e)
{
	size_t start = out->n, i;
	unsigned char head[RECORD_HEADER] = "MQ", crc[4], *h;
	int rc;

	head[2] = has_more(r) ? 2 : 1;
	head[3] = r->body_kind;
	strbuf_add(out, head, sizeof(head));
	put_num(out, (r->held ? FLAG_HELD : 0u) |
	    (r->warned ? FLAG_WARNED : 0u) |
	    (r->uncounted_until != 0 ? FLAG_UNCOUNTED : 0u));
	put_num(out, r->not_counted);
	if (r->uncounted_until != 0)
		put_num(out, r->uncounted_until);
	put_num(out, r->body_size);
	put_le32(crc, r->body_crc);
	strbuf_add(out, crc, sizeof(crc));
	put_string(out, r->account);
	put_string(out, r->pinned);
	put_string(out, r->transport);
	put_string(out, r->route);
	rc = put_envelope(out, r->env, e);
	put_num(out, r->env->recipient_count);
	for (i = 0; i < r->env->recipient_count; i++)
		put_rcpt(out, &r->rcpt[i]);
	for (i = 0; head[2] > 1 && i < r->env->recipient_count; i++)
		put_num(out, r->rcpt[i].no_domain_since);

	h = (unsigned char *)out->p + start;
	put_le32(h + 4, (uint32_t)(out->n - start));
	put_le32(h + 8, crc32c(crc32c(0, h, 8), h + RECORD_HEADER,
	    out->n - start - RECORD_HEADER));
	return rc;
}

/* An envelope over the limits of its room cannot have come from one of its
 * parsers; it is stored empty and found as damaged. */
void
record_encode(const struct record *r, struct strbuf *out)
{
	(void)record_write(r, out, NULL);
}

/* ---- reading ---- */

static uint64_t
get_num(struct reader *in, uint64_t max)
{
	uint64_t v = 0;
	unsigned shift;

	for (shift = 0; shift < 64 && in->p < in->end; shift += 7) {
		unsigned char c = *in->p++;

		if (shift == 63 && c > 1)
			break;
		v |= (uint64_t)(c & 0x7f) << shift;
		if (c < 0x80) {
			if (v <= max)
				return v;
			break;
		}
	}
	in->bad = true;
	return 0;
}

static const unsigned char *
get_octets(struct reader *in, size_t n)
{
	const unsigned char *p = in->p;

	if (in->bad || (size_t)(in->end - in->p) < n) {
		in->bad = true;
		return NULL;
	}
	in->p += n;
	return p;
}

static uint32_t
get_u32(struct reader *in)
{
	const unsigned char *p = get_octets(in, 4);

	return p ? get_le32(p) : 0;
}

static char *
get_string(struct reader *in)
{
	uint64_t n = get_num(in, STRING_MAX + 1);
	const unsigned char *p;

	if (in->bad || n == 0)
		return NULL;
	p = get_octets(in, (size_t)n - 1);
	if (p == NULL)
		return NULL;
	if (memchr(p, 0, (size_t)n - 1) != NULL) {
		in->bad = true;
		return NULL;
	}
	return mem_strndup((const char *)p, (size_t)n - 1);
}

static void
get_envelope(struct reader *in, struct envelope *env)
{
	uint32_t n = get_u32(in);
	const unsigned char *p = get_octets(in, n);

	if (p == NULL)
		return;
	if (envelope_decode(slice_of(p, n), env, NULL) < 0)
		in->bad = true;
}

static void
get_rcpt(struct reader *in, struct record_rcpt *rc)
{
	const unsigned char *p;

	rc->state = (uint8_t)get_num(in, RCPT_EXPIRED);
	rc->attempts = (uint32_t)get_num(in, UINT32_MAX);
	rc->lane = (uint32_t)get_num(in, UINT32_MAX);
	rc->due = get_num(in, UINT64_MAX);
	rc->last_attempt = get_num(in, UINT64_MAX);
	rc->last_code = (uint16_t)get_num(in, UINT16_MAX);
	p = get_octets(in, sizeof(rc->last_status));
	if (p != NULL)
		memcpy(rc->last_status, p, sizeof(rc->last_status));
	rc->last_reply = get_string(in);
	rc->remote = get_string(in);
}

static void
get_fields(struct reader *in, struct record *r, unsigned version)
{
	uint64_t flags, n;
	size_t i;

	flags = get_num(in, FLAGS);
	r->held = (flags & FLAG_HELD) != 0;
	r->warned = (flags & FLAG_WARNED) != 0;
	r->not_counted = get_num(in, UINT64_MAX);
	if ((flags & FLAG_UNCOUNTED) != 0)
		r->uncounted_until = get_num(in, UINT64_MAX);
	r->body_size = get_num(in, UINT64_MAX);
	r->body_crc = get_u32(in);
	r->account = get_string(in);
	r->pinned = get_string(in);
	r->transport = get_string(in);
	r->route = get_string(in);
	get_envelope(in, r->env);
	n = get_num(in, ENVELOPE_RECIPIENTS_MAX);
	if (in->bad || n != r->env->recipient_count ||
	    n > (size_t)(in->end - in->p) / RCPT_MIN) {
		in->bad = true;
		return;
	}
	r->rcpt = mem_zarray(n ? (size_t)n : 1, sizeof(*r->rcpt));
	for (i = 0; i < n && !in->bad; i++)
		get_rcpt(in, &r->rcpt[i]);
	for (i = 0; version > 1 && i < n && !in->bad; i++)
		r->rcpt[i].no_domain_since = get_num(in, UINT64_MAX);
}

int
record_peek(struct slice value, size_t *used, uint8_t *kind)
{
	const unsigned char *h = (const unsigned char *)value.p;
	uint32_t n;

	if (value.n < RECORD_HEADER || memcmp(h, "MQ", 2) != 0)
		return -1;
	n = get_le32(h + 4);
	if (n < RECORD_HEADER || n > value.n || h[3] > BODY_FILE)
		return -1;
	*used = n;
	*kind = h[3];
	return 0;
}

struct record *
record_decode(struct slice value, size_t *used, struct err *e)
{
	const unsigned char *h = (const unsigned char *)value.p;
	struct reader in;
	struct record *r;
	uint8_t kind;

	if (record_peek(value, used, &kind) < 0 ||
	    get_le32(h + 8) != crc32c(crc32c(0, h, 8), h + RECORD_HEADER,
	    *used - RECORD_HEADER)) {
		err_set(e, EILSEQ, "the record is damaged");
		return NULL;
	}
	if (h[2] == 0 || h[2] > RECORD_VERSION) {
		err_set(e, ENOTSUP, "the record has version %u, this program "
		    "knows %u", h[2], RECORD_VERSION);
		return NULL;
	}
	in = (struct reader){ h + RECORD_HEADER, h + *used, false };
	r = mem_zalloc(sizeof(*r));
	r->env = envelope_new();
	r->body_kind = kind;
	get_fields(&in, r, h[2]);
	if (in.bad || in.p != in.end) {
		record_free(&r);
		err_set(e, EILSEQ, "the record's fields are damaged");
	}
	return r;
}

/* ---- derived ---- */

uint64_t
record_next_due(const struct record *r)
{
	uint64_t best = 0;
	size_t i;

	for (i = 0; i < r->env->recipient_count; i++) {
		const struct record_rcpt *rc = &r->rcpt[i];

		if (rc->state == RCPT_PENDING && rc->due != 0 &&
		    (best == 0 || rc->due < best))
			best = rc->due;
	}
	return best;
}

uint32_t
record_attempts(const struct record *r)
{
	uint32_t most = 0;
	size_t i;

	for (i = 0; i < r->env->recipient_count; i++)
		if (r->rcpt[i].attempts > most)
			most = r->rcpt[i].attempts;
	return most;
}

size_t
record_pending(const struct record *r)
{
	size_t i, n = 0;

	for (i = 0; i < r->env->recipient_count; i++)
		n += r->rcpt[i].state == RCPT_PENDING;
	return n;
}
