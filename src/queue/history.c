/*
 * Messages as JSON, in the keys of the commands' contract: what is kept of a
 * finished delivery, and what the control socket shows.  Run by queue.
 */
#include <string.h>

#include "base/clock.h"
#include "mail/domain.h"
#include "queue/internal.h"

/* Printable ASCII and UTF-8 pass; the rest is escaped or a question mark. */
void
json_string(struct strbuf *out, const char *s)
{
	static const char hex[] = "0123456789abcdef";
	const char *p, *plain;
	bool utf8;

	if (s == NULL) {
		strbuf_add(out, "null", 4);
		return;
	}
	utf8 = mail_utf8_valid(slice_cstr(s));
	strbuf_putc(out, '"');
	for (p = plain = s; *p != 0; p++) {
		unsigned char c = (unsigned char)*p;

		if (c >= 32 && c != '"' && c != '\\' && c != 127 &&
		    (c < 128 || utf8))
			continue;
		strbuf_add(out, plain, (size_t)(p - plain));
		plain = p + 1;
		if (c == '"' || c == '\\') {
			strbuf_putc(out, '\\');
			strbuf_putc(out, *p);
		} else if (c >= 128) {
			strbuf_putc(out, '?');
		} else {
			strbuf_add(out, "\\u00", 4);
			strbuf_putc(out, hex[c >> 4]);
			strbuf_putc(out, hex[c & 15]);
		}
	}
	strbuf_add(out, plain, (size_t)(p - plain));
	strbuf_putc(out, '"');
}

void
json_time(struct strbuf *out, uint64_t ms)
{
	char text[CLOCK_RFC3339_LEN + 1];

	if (ms == 0) {
		strbuf_add(out, "null", 4);
		return;
	}
	strbuf_putc(out, '"');
	strbuf_puts(out, clock_rfc3339(ms, text));
	strbuf_putc(out, '"');
}

static void
json_num(struct strbuf *out, uint64_t v)
{
	char digits[20];
	size_t k = sizeof(digits);

	do {
		digits[--k] = (char)('0' + v % 10);
		v /= 10;
	} while (v > 0);
	strbuf_add(out, digits + k, sizeof(digits) - k);
}

#define KEY(out, name) strbuf_add(out, ",\"" name "\":", sizeof(name) + 3)

static const char *
rcpt_status(const struct record_rcpt *rc)
{
	switch (rc->state) {
	case RCPT_DELIVERED:
		return "delivered";
	case RCPT_FAILED:
		return "bounced";
	case RCPT_EXPIRED:
		return "expired";
	default:
		return rc->last_code != 0 ? "deferred" : "queued";
	}
}

static void
json_recipient(struct strbuf *out, const struct record *r, size_t i,
    const struct rcpt_note *note)
{
	const struct record_rcpt *rc = &r->rcpt[i];
	uint64_t at;

	strbuf_puts(out, "{\"address\":");
	json_string(out, r->env->recipients[i].address);
	KEY(out, "status");
	json_string(out, rcpt_status(rc));
	KEY(out, "attempts");
	json_num(out, rc->attempts);
	KEY(out, "last_reply");
	json_string(out, rc->last_reply);
	KEY(out, "remote");
	json_string(out, rc->remote);
	if (note != NULL) {
		/* Delivered at an earlier attempt: the time of that one. */
		at = note->delivered_at != 0 ? note->delivered_at :
		    rc->last_attempt;
		KEY(out, "delivered_at");
		json_time(out, rc->state == RCPT_DELIVERED ? at : 0);
		KEY(out, "tls");
		json_string(out, note->tls);
	}
	strbuf_putc(out, '}');
}

static void
json_message(struct strbuf *out, const struct queue *q,
    const struct record *r, const char *status, const struct rcpt_note *note)
{
	const struct envelope *env = r->env;
	size_t i;

	strbuf_puts(out, "{\"id\":");
	json_string(out, line_id_text(env->id).s);
	KEY(out, "status");
	json_string(out, status);
	KEY(out, "from");
	json_string(out, env->from);
	KEY(out, "account");
	json_string(out, r->account);
	KEY(out, "login");
	json_string(out, env->login);
	KEY(out, "client");
	json_string(out, env->client);
	KEY(out, "size");
	json_num(out, r->body_size);
	KEY(out, "arrived");
	json_time(out, env->received_ms);
	KEY(out, "expires");
	json_time(out, retry_expires(q, r));
	KEY(out, "attempts");
	json_num(out, record_attempts(r));
	KEY(out, "next_attempt");
	json_time(out, record_next_due(r));
	KEY(out, "transport");
	json_string(out, r->pinned != NULL ? r->pinned : r->transport);
	KEY(out, "pinned");
	strbuf_puts(out, r->pinned != NULL ? "true" : "false");
	KEY(out, "route");
	json_string(out, r->route);
	KEY(out, "recipients");
	strbuf_putc(out, '[');
	for (i = 0; i < env->recipient_count; i++) {
		if (i > 0)
			strbuf_putc(out, ',');
		json_recipient(out, r, i, note != NULL ? &note[i] : NULL);
	}
	strbuf_puts(out, "]}");
}

/* What became of it as a whole: the worst of its recipients. */
static const char *
final_status(const struct message *m)
{
	const struct record *r = m->rec;
	const char *status = "delivered";
	size_t i;

	if (m->removing)
		return "removed";
	for (i = 0; i < r->env->recipient_count; i++) {
		if (r->rcpt[i].state == RCPT_EXPIRED)
			return "expired";
		if (r->rcpt[i].state == RCPT_FAILED)
			status = "bounced";
	}
	return status;
}

void
history_text(const struct message *m, struct strbuf *out)
{
	(void)strbuf_room(out, 1024);
	json_message(out, m->q, m->rec, final_status(m), m->note);
}

void
queue_message_json(const struct queue *q, const struct record *r,
    struct strbuf *out)
{
	json_message(out, q, r, queue_message_status(q, r), NULL);
}
