/* Our Received field, written by queue on the way out.  Nothing here fails.
 * What a client said of itself is cleaned first: it may neither end the field
 * nor forge another.  RFC 5321 4.4, RFC 3848, RFC 6531 4.3. */
#include "mail/received.h"

#include <string.h>

#include "base/clock.h"
#include "base/num.h"

#define FOLD_AT 78

const char *
received_with(const struct envelope *env)
{
	/* [protocol][TLS][AUTH], RFC 3848; with UTF8 in front, RFC 6531. */
	static const char *const smtp[2][2] = {
		{ "ESMTP", "ESMTPA" }, { "ESMTPS", "ESMTPSA" },
	};
	static const char *const smtp_utf8[2][2] = {
		{ "UTF8SMTP", "UTF8SMTPA" }, { "UTF8SMTPS", "UTF8SMTPSA" },
	};
	static const char *const lmtp[2][2] = {
		{ "LMTP", "LMTPA" }, { "LMTPS", "LMTPSA" },
	};
	static const char *const lmtp_utf8[2][2] = {
		{ "UTF8LMTP", "UTF8LMTPA" }, { "UTF8LMTPS", "UTF8LMTPSA" },
	};
	bool tls = env->tls != NULL;
	bool auth = env->login != NULL;
	bool utf8 = (env->flags & ENVELOPE_SMTPUTF8) != 0;

	switch (env->protocol) {
	case MAIL_PROTO_SMTP:
		return "SMTP";
	case MAIL_PROTO_ESMTP:
		return utf8 ? smtp_utf8[tls][auth] : smtp[tls][auth];
	case MAIL_PROTO_LMTP:
		return utf8 ? lmtp_utf8[tls][auth] : lmtp[tls][auth];
	default:
		return "";
	}
}

/* Appends words and folds in front of one that would make the line too long;
 * `column` counts from the last line's start. */
struct folder {
	struct strbuf *out;
	size_t column;
};

static void
add_word(struct folder *f, const char *word)
{
	size_t n = strlen(word);

	if (f->column + n + 1 > FOLD_AT && f->column > 8) {
		strbuf_puts(f->out, "\r\n\t");
		f->column = 8;
	} else {
		strbuf_putc(f->out, ' ');
		f->column++;
	}
	strbuf_add(f->out, word, n);
	f->column += n;
}

static void
new_line(struct folder *f)
{
	f->column = FOLD_AT;	/* the next word folds */
}

static bool
is_safe(unsigned char c, bool utf8)
{
	if (c > 127)
		return utf8;
	return c > ' ' && c != 127 &&
	    strchr("()<>\\\",;", c) == NULL;
}

/* What a client said: anything that means something in a header becomes '?',
 * and no more than 255 octets of it. */
static void
add_cleaned(struct strbuf *b, const char *s, bool utf8)
{
	size_t n = 0;

	for (; *s != '\0' && n < 255; s++, n++)
		strbuf_putc(b, is_safe((unsigned char)*s, utf8) ? *s : '?');
	if (n == 0)
		strbuf_puts(b, "unknown");
}

/* (name [address]) or ([address]). */
static void
add_client(struct folder *f, const struct envelope *env)
{
	struct strbuf b = STRBUF_INIT;

	strbuf_putc(&b, '(');
	if (env->client_name != NULL && env->client_name[0] != '\0') {
		add_cleaned(&b, env->client_name, false);
		strbuf_putc(&b, ' ');
	}
	strbuf_puts(&b, strchr(env->client, ':') != NULL ? "[IPv6:" : "[");
	add_cleaned(&b, env->client, false);
	strbuf_puts(&b, "])");
	add_word(f, strbuf_cstr(&b));
	strbuf_free(&b);
}

static void
add_from(struct folder *f, const struct envelope *env)
{
	struct strbuf b = STRBUF_INIT;

	if (env->protocol == MAIL_PROTO_LOCAL || envelope_is_ours(env) ||
	    env->client == NULL)
		return;
	add_cleaned(&b, env->helo != NULL ? env->helo : "unknown",
	    (env->flags & ENVELOPE_SMTPUTF8) != 0);
	add_word(f, "from");
	add_word(f, strbuf_cstr(&b));
	add_client(f, env);
	strbuf_free(&b);
	if (env->tls != NULL) {
		strbuf_puts(&b, "(using ");
		for (const char *s = env->tls; *s != '\0'; s++)
			strbuf_putc(&b, *s == ' ' ? ' ' :
			    is_safe((unsigned char)*s, false) ? *s : '?');
		strbuf_putc(&b, ')');
		new_line(f);
		add_word(f, strbuf_cstr(&b));
		strbuf_free(&b);
	}
	new_line(f);
}

static void
add_local_comment(struct folder *f, const struct envelope *env)
{
	struct strbuf b = STRBUF_INIT;

	if (env->protocol != MAIL_PROTO_LOCAL || env->uid < 0)
		return;
	strbuf_printf(&b, "(from uid %lld)", (long long)env->uid);
	add_word(f, strbuf_cstr(&b));
	strbuf_free(&b);
}

static void
add_recipient(struct folder *f, const char *recipient)
{
	struct strbuf b = STRBUF_INIT;

	strbuf_putc(&b, '<');
	for (const char *s = recipient; *s != '\0'; s++) {
		unsigned char c = (unsigned char)*s;

		strbuf_putc(&b, c < ' ' || c == 127 ? '?' : *s);
	}
	strbuf_putc(&b, '>');
	add_word(f, "for");
	add_word(f, strbuf_cstr(&b));
	strbuf_free(&b);
}

void
received_compose(struct strbuf *out, const struct envelope *env,
    const char *host, const char *recipient)
{
	struct folder f = { out, 9 };
	char id[NUM_ID_LEN + 1], date[64];
	const char *with = received_with(env);

	strbuf_puts(out, "Received:");
	add_from(&f, env);
	add_word(&f, "by");
	add_word(&f, host);
	add_local_comment(&f, env);
	if (with[0] != '\0') {
		add_word(&f, "with");
		add_word(&f, with);
	}
	num_id_text(env->id, id);
	add_word(&f, "id");
	add_word(&f, id);
	/* Of a program's message the recipient may stand in its Bcc, which
	 * must not come back here (RFC 5321, 7.2). */
	if (recipient != NULL && env->protocol != MAIL_PROTO_LOCAL)
		add_recipient(&f, recipient);
	strbuf_putc(out, ';');
	new_line(&f);
	add_word(&f, clock_rfc5322(env->received_ms, date, sizeof(date)));
	strbuf_puts(out, "\r\n");
}
