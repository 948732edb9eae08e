/* Commands of SMTP clients, for the listener.  Pure; every input gives a
 * command or a refusal.  RFC 5321 4.1.1, RFC 2033, 3030, 3207, 4954. */
#include "mail/smtp_command.h"

#include "base/num.h"

#define HELLO_MAX 255

enum arg_rule { ARG_ANY, ARG_NONE, ARG_NEEDED };

static const struct {
	const char *name;
	enum arg_rule rule;
} verbs[SMTP_VERBS] = {
	[SMTP_UNKNOWN] = { "?", ARG_ANY },
	[SMTP_EHLO] = { "EHLO", ARG_NEEDED },
	[SMTP_HELO] = { "HELO", ARG_NEEDED },
	[SMTP_LHLO] = { "LHLO", ARG_NEEDED },
	[SMTP_MAIL] = { "MAIL", ARG_NEEDED },
	[SMTP_RCPT] = { "RCPT", ARG_NEEDED },
	[SMTP_DATA] = { "DATA", ARG_NONE },
	[SMTP_BDAT] = { "BDAT", ARG_NEEDED },
	[SMTP_RSET] = { "RSET", ARG_NONE },
	[SMTP_NOOP] = { "NOOP", ARG_ANY },
	[SMTP_QUIT] = { "QUIT", ARG_NONE },
	[SMTP_VRFY] = { "VRFY", ARG_NEEDED },
	[SMTP_EXPN] = { "EXPN", ARG_NEEDED },
	[SMTP_HELP] = { "HELP", ARG_ANY },
	[SMTP_STARTTLS] = { "STARTTLS", ARG_NONE },
	[SMTP_AUTH] = { "AUTH", ARG_NEEDED },
	[SMTP_HTTP] = { "HTTP", ARG_ANY },
};

const char *
smtp_verb_name(enum smtp_verb verb)
{
	if ((unsigned)verb >= SMTP_VERBS)
		verb = SMTP_UNKNOWN;
	return verbs[verb].name;
}

int
smtp_refuse(struct smtp_refusal *no, int code, struct mail_status status,
    const char *text)
{
	*no = (struct smtp_refusal){ code, status, text };
	return -1;
}

int
smtp_refuse_syntax(struct smtp_refusal *no, const char *text)
{
	return smtp_refuse(no, 501, MAIL_STATUS(5, 5, 4), text);
}

static enum smtp_verb
http_or_unknown(struct slice word)
{
	static const char *const words[] = { "GET", "POST", "CONNECT", "HEAD",
		"PUT", "OPTIONS", "HOST:", "USER-AGENT:", "CONTENT-LENGTH:" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (slice_eq_case_cstr(word, words[i]))
			return SMTP_HTTP;
	}
	return SMTP_UNKNOWN;
}

void
smtp_command_parse(struct slice line, struct smtp_command *out)
{
	struct slice left = line;

	*out = (struct smtp_command){ SMTP_UNKNOWN, slice_of(line.p, 0),
	    slice_of(line.p, 0) };
	/* Blanks in front of the verb are nobody's habit but a prober's. */
	if (line.n == 0 || line.p[0] == ' ' || line.p[0] == '\t')
		return;
	if (!slice_word(&left, &out->word))
		return;
	out->arg = slice_trim(left);
	for (int v = SMTP_UNKNOWN + 1; v < SMTP_HTTP; v++) {
		if (slice_eq_case_cstr(out->word, verbs[v].name)) {
			out->verb = (enum smtp_verb)v;
			return;
		}
	}
	out->verb = http_or_unknown(out->word);
}

int
smtp_command_check(const struct smtp_command *c, struct smtp_refusal *no)
{
	enum arg_rule rule = verbs[c->verb].rule;

	if (rule == ARG_NONE && c->arg.n > 0)
		return smtp_refuse_syntax(no, "No argument allowed");
	if (rule == ARG_NEEDED && c->arg.n == 0)
		return smtp_refuse_syntax(no, "Argument required");
	return 0;
}

int
smtp_hello_parse(struct slice arg, struct slice *name,
    struct smtp_refusal *no)
{
	struct slice word;

	if (!slice_word(&arg, &word))
		return smtp_refuse_syntax(no, "Host name required");
	if (word.n > HELLO_MAX)
		return smtp_refuse_syntax(no, "Host name too long");
	for (size_t i = 0; i < word.n; i++) {
		unsigned char c = (unsigned char)word.p[i];

		if (c <= ' ' || c == 127)
			return smtp_refuse_syntax(no, "Invalid host name");
	}
	*name = word;
	return 0;
}

int
smtp_bdat_parse(struct slice arg, struct smtp_bdat *out,
    struct smtp_refusal *no)
{
	struct slice word, rest = arg;
	uint64_t size;
	bool last = false;

	/* RFC 3030 allows 20 digits; more octets than this are no chunk. */
	if (!slice_word(&rest, &word) || !num_u64(word, INT64_MAX, &size))
		return smtp_refuse_syntax(no, "Syntax: BDAT size [LAST]");
	if (slice_word(&rest, &word)) {
		last = slice_eq_case_cstr(word, "LAST");
		if (!last || slice_trim(rest).n > 0)
			return smtp_refuse_syntax(no, "Syntax: BDAT size [LAST]");
	}
	*out = (struct smtp_bdat){ size, last };
	return 0;
}

int
smtp_auth_parse(struct slice arg, struct smtp_auth *out,
    struct smtp_refusal *no)
{
	struct smtp_auth auth = { .has_initial = false };
	struct slice rest = arg;

	if (!slice_word(&rest, &auth.mechanism))
		return smtp_refuse_syntax(no, "Syntax: AUTH mechanism [response]");
	for (size_t i = 0; i < auth.mechanism.n; i++) {
		char c = auth.mechanism.p[i];

		if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
		    (c >= '0' && c <= '9') || c == '-' || c == '_'))
			return smtp_refuse_syntax(no, "Invalid mechanism name");
	}
	auth.initial = slice_of(rest.p, 0);
	if (slice_word(&rest, &auth.initial)) {
		auth.has_initial = true;
		if (slice_trim(rest).n > 0)
			return smtp_refuse_syntax(no,
			    "Syntax: AUTH mechanism [response]");
	}
	*out = auth;
	return 0;
}
