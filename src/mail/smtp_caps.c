/* The server's answer to EHLO, for delivery.  Pure; what is not understood is
 * skipped.  RFC 5321 4.1.1.1 and the extensions' own. */
#include "mail/smtp_caps.h"

#include <string.h>

#include "base/num.h"

static const struct {
	const char *name;
	unsigned flag;
} keywords[] = {
	{ "8BITMIME", SMTP_CAP_8BITMIME },
	{ "SIZE", SMTP_CAP_SIZE },
	{ "PIPELINING", SMTP_CAP_PIPELINING },
	{ "CHUNKING", SMTP_CAP_CHUNKING },
	{ "BINARYMIME", SMTP_CAP_BINARYMIME },
	{ "SMTPUTF8", SMTP_CAP_SMTPUTF8 },
	{ "DSN", SMTP_CAP_DSN },
	{ "STARTTLS", SMTP_CAP_STARTTLS },
	{ "ENHANCEDSTATUSCODES", SMTP_CAP_ENHANCED },
	{ "AUTH", SMTP_CAP_AUTH },
	{ "LIMITS", SMTP_CAP_LIMITS },
	{ "REQUIRETLS", SMTP_CAP_REQUIRETLS },
};

static void
add_mechanism(struct smtp_caps *c, struct slice name)
{
	char upper[64];
	size_t n = strlen(c->auth);

	if (name.n >= sizeof(upper) || n + name.n + 2 > sizeof(c->auth))
		return;
	for (size_t i = 0; i < name.n; i++) {
		char ch = name.p[i];

		upper[i] = ch >= 'a' && ch <= 'z' ? (char)(ch - 32) : ch;
	}
	upper[name.n] = '\0';
	if (smtp_caps_has_auth(c, upper))
		return;
	if (n > 0)
		c->auth[n++] = ' ';
	memcpy(c->auth + n, upper, name.n + 1);
}

static void
take_limits(struct smtp_caps *c, struct slice args)
{
	struct slice word;

	while (slice_word(&args, &word)) {
		long eq = slice_find(word, '=');
		struct slice name;
		uint64_t v;

		if (eq < 0 || !num_u64(slice_skip(word, (size_t)eq + 1),
		    UINT32_MAX, &v))
			continue;
		name = slice_of(word.p, (size_t)eq);
		if (slice_eq_case_cstr(name, "MAILMAX"))
			c->mail_max = v;
		else if (slice_eq_case_cstr(name, "RCPTMAX"))
			c->rcpt_max = v;
		else if (slice_eq_case_cstr(name, "RCPTDOMAINMAX"))
			c->rcpt_domain_max = v;
	}
}

static void
take_keyword(struct smtp_caps *c, struct slice line)
{
	struct slice word, arg;
	unsigned flag = 0;
	uint64_t size;

	if (slice_starts_case(line, SLICE_LIT("AUTH="))) {
		c->flags |= SMTP_CAP_AUTH;
		line = slice_skip(line, 5);
		while (slice_word(&line, &word))
			add_mechanism(c, word);
		return;
	}
	if (!slice_word(&line, &word))
		return;
	for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++) {
		if (slice_eq_case_cstr(word, keywords[i].name))
			flag = keywords[i].flag;
	}
	c->flags |= flag;
	switch (flag) {
	case SMTP_CAP_SIZE:
		if (slice_word(&line, &arg) && num_u64(arg, UINT64_MAX, &size))
			c->size = size;
		break;
	case SMTP_CAP_AUTH:
		while (slice_word(&line, &arg))
			add_mechanism(c, arg);
		break;
	case SMTP_CAP_LIMITS:
		take_limits(c, line);
		break;
	default:
		break;
	}
}

void
smtp_caps_parse(const struct smtp_reply *r, struct smtp_caps *out)
{
	struct slice left = strbuf_slice(&r->text);
	bool first = true;

	memset(out, 0, sizeof(*out));
	for (;;) {
		long lf = slice_find(left, '\n');

		if (!first)	/* that is the greeting */
			take_keyword(out, lf < 0 ? left :
			    slice_of(left.p, (size_t)lf));
		first = false;
		if (lf < 0)
			return;
		left = slice_skip(left, (size_t)lf + 1);
	}
}

bool
smtp_caps_has_auth(const struct smtp_caps *c, const char *mechanism)
{
	struct slice left = slice_cstr(c->auth);
	struct slice word;

	while (slice_word(&left, &word)) {
		if (slice_eq_cstr(word, mechanism))
			return true;
	}
	return false;
}
