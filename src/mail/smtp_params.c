/* MAIL and RCPT with their ESMTP parameters, read by the listener, written by
 * delivery.  Pure; every input gives arguments or a refusal.  RFC 5321 4.1.1,
 * RFC 1870, 3461, 4954, 6152, 6531. */
#include "mail/smtp_params.h"

#include <stdint.h>

#include "base/num.h"
#include "mail/domain.h"
#include "mail/smtp_caps.h"

#define ENVID_MAX 100			/* RFC 3461 4.4 */
#define ORCPT_MAX 500			/* RFC 3461 4.2 */


static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	if (c >= 'a' && c <= 'f')	/* not allowed, but harmless */
		return c - 'a' + 10;
	return -1;
}

/* out may be NULL. */
static int
xtext_walk(struct slice in, struct strbuf *out)
{
	for (size_t i = 0; i < in.n; i++) {
		unsigned char c = (unsigned char)in.p[i];

		if (c == '+') {
			int high, low;

			if (i + 2 >= in.n)
				return -1;
			high = hex_digit(in.p[i + 1]);
			low = hex_digit(in.p[i + 2]);
			if (high < 0 || low < 0)
				return -1;
			c = (unsigned char)(high << 4 | low);
			i += 2;
		} else if (c < 33 || c == 127 || c == '=') {
			return -1;
		}
		if (out != NULL)
			strbuf_putc(out, (char)c);
	}
	return 0;
}

int
smtp_xtext_decode(struct slice in, struct strbuf *out)
{
	return xtext_walk(in, out);
}

bool
smtp_xtext_valid(struct slice in)
{
	return xtext_walk(in, NULL) == 0;
}

void
smtp_xtext_encode(struct slice in, struct strbuf *out)
{
	static const char hex[] = "0123456789ABCDEF";

	for (size_t i = 0; i < in.n; i++) {
		unsigned char c = (unsigned char)in.p[i];

		if (c > 32 && c < 127 && c != '+' && c != '=') {
			strbuf_putc(out, (char)c);
		} else {
			const char text[3] = { '+', hex[c >> 4], hex[c & 15] };

			strbuf_add(out, text, sizeof(text));
		}
	}
}

/* Takes `NAME=value` or `NAME` apart. */
static void
split_param(struct slice word, struct slice *name, struct slice *value,
    bool *has_value)
{
	long eq = slice_find(word, '=');

	*has_value = eq >= 0;
	*name = eq >= 0 ? slice_of(word.p, (size_t)eq) : word;
	*value = eq >= 0 ? slice_skip(word, (size_t)eq + 1) :
	    slice_of(word.p + word.n, 0);
}

/* Which of the parameters a word is, or -1.  A bit of `accept` belongs to
 * each, so that what was not offered is unknown. */
struct param {
	const char *name;
	unsigned need;
};

static int
find_param(const struct param *table, size_t n, struct slice name,
    unsigned accept)
{
	for (size_t i = 0; i < n; i++) {
		if (slice_eq_case_cstr(name, table[i].name))
			return (accept & table[i].need) ? (int)i : -1;
	}
	return -1;
}

/* The beginning `FROM:` or `TO:` and the path; the parameters remain. */
static int
take_path(struct slice *arg, const char *keyword, bool utf8_ok,
    struct mail_path *path, struct mail_status bad_address,
    struct smtp_refusal *no)
{
	struct slice word = slice_cstr(keyword);
	struct slice left = *arg;
	size_t used;

	if (!slice_starts_case(left, word))
		return smtp_refuse_syntax(no, word.n == 4 ?
		    "Syntax: MAIL FROM:<address>" : "Syntax: RCPT TO:<address>");
	left = slice_trim(slice_skip(left, word.n));
	/* `FROM :<a@b>` is written by some old devices. */
	if (left.n == 0 || left.p[0] != ':')
		return smtp_refuse_syntax(no, "Colon expected");
	left = slice_trim(slice_skip(left, 1));
	switch (mail_path_parse(left, path, utf8_ok, &used)) {
	case MAIL_PATH_OK:
		*arg = slice_skip(left, used);
		return 0;
	case MAIL_PATH_UTF8:
		return smtp_refuse(no, 553, MAIL_STATUS(5, 6, 7),
		    "Address needs SMTPUTF8");
	default:
		return smtp_refuse(no, 501, bad_address, "Bad address syntax");
	}
}

enum { P_SIZE, P_BODY, P_SMTPUTF8, P_RET, P_ENVID, P_AUTH, P_MAIL_COUNT };

static const struct param mail_params[P_MAIL_COUNT] = {
	[P_SIZE] = { "SIZE", SMTP_PARAM_SIZE },
	[P_BODY] = { "BODY", SMTP_PARAM_BODY },
	[P_SMTPUTF8] = { "SMTPUTF8", SMTP_PARAM_SMTPUTF8 },
	[P_RET] = { "RET", SMTP_PARAM_DSN },
	[P_ENVID] = { "ENVID", SMTP_PARAM_DSN },
	[P_AUTH] = { "AUTH", SMTP_PARAM_AUTH },
};

/* RFC 1870 allows 20 digits; more than fits is the largest. */
static bool
take_size(struct slice v, uint64_t *out)
{
	if (v.n == 0 || v.n > 20)
		return false;
	for (size_t i = 0; i < v.n; i++) {
		if (v.p[i] < '0' || v.p[i] > '9')
			return false;
	}
	if (!num_u64(v, UINT64_MAX, out))
		*out = UINT64_MAX;
	return true;
}

static bool
take_body(struct slice v, unsigned accept, enum smtp_body *out)
{
	if (slice_eq_case_cstr(v, "7BIT"))
		*out = SMTP_BODY_7BIT;
	else if (slice_eq_case_cstr(v, "8BITMIME"))
		*out = SMTP_BODY_8BIT;
	else if ((accept & SMTP_PARAM_BINARY) &&
	    slice_eq_case_cstr(v, "BINARYMIME"))
		*out = SMTP_BODY_BINARY;
	else
		return false;
	return true;
}

static int
mail_param(struct smtp_mail *m, int which, struct slice value,
    unsigned accept, struct smtp_refusal *no)
{
	switch (which) {
	case P_SIZE:
		m->has_size = true;
		if (!take_size(value, &m->size))
			return smtp_refuse_syntax(no, "Bad SIZE");
		return 0;
	case P_BODY:
		if (!take_body(value, accept, &m->body))
			return smtp_refuse_syntax(no, "Bad BODY");
		return 0;
	case P_RET:
		if (slice_eq_case_cstr(value, "FULL"))
			m->ret = MAIL_RET_FULL;
		else if (slice_eq_case_cstr(value, "HDRS"))
			m->ret = MAIL_RET_HDRS;
		else
			return smtp_refuse_syntax(no, "Bad RET");
		return 0;
	case P_ENVID:
		if (value.n == 0 || value.n > ENVID_MAX ||
		    mail_has_8bit(value) || !smtp_xtext_valid(value))
			return smtp_refuse_syntax(no, "Bad ENVID");
		m->envid = value;
		return 0;
	case P_AUTH:
		if (value.n == 0 || value.n > ORCPT_MAX ||
		    mail_has_8bit(value) || !smtp_xtext_valid(value))
			return smtp_refuse_syntax(no, "Bad AUTH");
		m->auth = value;
		return 0;
	default:
		m->smtputf8 = true;
		return 0;
	}
}

/* SMTPUTF8 has to be known before the path is judged: it may stand behind. */
static bool
says_smtputf8(struct slice arg)
{
	struct slice word;

	while (slice_word(&arg, &word)) {
		if (slice_eq_case_cstr(word, "SMTPUTF8"))
			return true;
	}
	return false;
}

int
smtp_mail_parse(struct slice arg, unsigned accept, struct smtp_mail *out,
    struct smtp_refusal *no)
{
	struct smtp_mail m = { .has_size = false };
	unsigned seen = 0;
	struct slice word;
	bool utf8_ok = (accept & SMTP_PARAM_SMTPUTF8) && says_smtputf8(arg);

	if (take_path(&arg, "FROM", utf8_ok, &m.path, MAIL_STATUS(5, 1, 7),
	    no) < 0)
		return -1;
	while (slice_word(&arg, &word)) {
		struct slice name, value;
		bool has_value;
		int which;

		split_param(word, &name, &value, &has_value);
		which = find_param(mail_params, P_MAIL_COUNT, name, accept);
		if (which < 0)
			return smtp_refuse(no, 555, MAIL_STATUS(5, 5, 4),
			    "Unknown parameter of MAIL");
		if (seen & (1u << which))
			return smtp_refuse_syntax(no, "Parameter given twice");
		seen |= 1u << which;
		if (has_value == (which == P_SMTPUTF8))
			return smtp_refuse_syntax(no, "Bad parameter of MAIL");
		if (mail_param(&m, which, value, accept, no) < 0)
			return -1;
	}
	*out = m;
	return 0;
}

static bool
take_notify(struct slice v, unsigned *out)
{
	static const struct {
		const char *name;
		unsigned bit;
	} names[] = {
		{ "NEVER", MAIL_NOTIFY_NEVER },
		{ "SUCCESS", MAIL_NOTIFY_SUCCESS },
		{ "FAILURE", MAIL_NOTIFY_FAILURE },
		{ "DELAY", MAIL_NOTIFY_DELAY },
	};
	unsigned bits = 0;

	for (;;) {
		long comma = slice_find(v, ',');
		struct slice one = comma < 0 ? v :
		    slice_of(v.p, (size_t)comma);
		unsigned bit = 0;

		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
			if (slice_eq_case_cstr(one, names[i].name))
				bit = names[i].bit;
		}
		if (bit == 0)
			return false;
		bits |= bit;
		if (comma < 0)
			break;
		v = slice_skip(v, (size_t)comma + 1);
	}
	*out = bits;
	/* NEVER stands alone (RFC 3461 4.1). */
	return !(bits & MAIL_NOTIFY_NEVER) || bits == MAIL_NOTIFY_NEVER;
}

static bool
orcpt_valid(struct slice v)
{
	long semicolon = slice_find(v, ';');

	if (semicolon <= 0 || v.n > ORCPT_MAX || mail_has_8bit(v))
		return false;
	for (long i = 0; i < semicolon; i++) {
		char c = v.p[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		    (c >= '0' && c <= '9') || c == '-'))
			return false;
	}
	v = slice_skip(v, (size_t)semicolon + 1);
	return v.n > 0 && smtp_xtext_valid(v);
}

enum { P_NOTIFY, P_ORCPT, P_RCPT_COUNT };

static const struct param rcpt_params[P_RCPT_COUNT] = {
	[P_NOTIFY] = { "NOTIFY", SMTP_PARAM_DSN },
	[P_ORCPT] = { "ORCPT", SMTP_PARAM_DSN },
};

int
smtp_rcpt_parse(struct slice arg, unsigned accept, bool utf8_ok,
    struct smtp_rcpt *out, struct smtp_refusal *no)
{
	struct smtp_rcpt r = { .notify = 0 };
	unsigned seen = 0;
	struct slice word;

	if (take_path(&arg, "TO", utf8_ok, &r.path, MAIL_STATUS(5, 1, 3),
	    no) < 0)
		return -1;
	if (r.path.whole.n == 0)
		return smtp_refuse(no, 501, MAIL_STATUS(5, 1, 3),
		    "Recipient is empty");
	while (slice_word(&arg, &word)) {
		struct slice name, value;
		bool has_value;
		int which;

		split_param(word, &name, &value, &has_value);
		which = find_param(rcpt_params, P_RCPT_COUNT, name, accept);
		if (which < 0)
			return smtp_refuse(no, 555, MAIL_STATUS(5, 5, 4),
			    "Unknown parameter of RCPT");
		if (seen & (1u << which))
			return smtp_refuse_syntax(no, "Parameter given twice");
		seen |= 1u << which;
		if (which == P_NOTIFY && !take_notify(value, &r.notify))
			return smtp_refuse_syntax(no, "Bad NOTIFY");
		if (which == P_ORCPT) {
			if (!orcpt_valid(value))
				return smtp_refuse_syntax(no, "Bad ORCPT");
			r.orcpt = value;
		}
	}
	*out = r;
	return 0;
}

void
smtp_mail_write(struct strbuf *out, const struct envelope *env,
    const char *from, uint64_t size, unsigned caps)
{
	strbuf_puts(out, "MAIL FROM:<");
	strbuf_puts(out, from);
	strbuf_putc(out, '>');
	if ((caps & SMTP_CAP_SIZE) && size > 0)
		strbuf_printf(out, " SIZE=%llu", (unsigned long long)size);
	if ((caps & SMTP_CAP_8BITMIME) && (env->flags & ENVELOPE_8BITMIME))
		strbuf_puts(out, " BODY=8BITMIME");
	if ((caps & SMTP_CAP_SMTPUTF8) && (env->flags & ENVELOPE_SMTPUTF8))
		strbuf_puts(out, " SMTPUTF8");
	if (caps & SMTP_CAP_DSN) {
		if (env->ret != MAIL_RET_NONE)
			strbuf_puts(out, env->ret == MAIL_RET_FULL ?
			    " RET=FULL" : " RET=HDRS");
		if (env->envid != NULL) {
			strbuf_puts(out, " ENVID=");
			strbuf_puts(out, env->envid);
		}
	}
	strbuf_puts(out, "\r\n");
}

void
smtp_rcpt_write(struct strbuf *out, const struct recipient *rcpt,
    unsigned caps)
{
	static const struct {
		unsigned bit;
		const char *name;
	} names[] = {
		{ MAIL_NOTIFY_NEVER, "NEVER" },
		{ MAIL_NOTIFY_SUCCESS, "SUCCESS" },
		{ MAIL_NOTIFY_FAILURE, "FAILURE" },
		{ MAIL_NOTIFY_DELAY, "DELAY" },
	};
	const char *between = " NOTIFY=";

	strbuf_puts(out, "RCPT TO:<");
	strbuf_puts(out, rcpt->address);
	strbuf_putc(out, '>');
	if (caps & SMTP_CAP_DSN) {
		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
			if (!(rcpt->notify & names[i].bit))
				continue;
			strbuf_puts(out, between);
			strbuf_puts(out, names[i].name);
			between = ",";
		}
		if (rcpt->orcpt != NULL) {
			strbuf_puts(out, " ORCPT=");
			strbuf_puts(out, rcpt->orcpt);
		}
	}
	strbuf_puts(out, "\r\n");
}
