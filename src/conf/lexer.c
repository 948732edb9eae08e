/* Lexer of the configuration.  monitor and tools.  A mistake is noted with
 * its line and the word marked bad; reading goes on, so that all mistakes are
 * told in one run.  What stands in a word is never repeated in a message: it
 * may be a secret. */
#include "conf/lexer.h"

#include <stdlib.h>
#include <string.h>

#include "base/slice.h"
#include "base/strbuf.h"
#include "mail/domain.h"

static bool
line_has_control(const char *p, size_t n)
{
	size_t i;

	if (n > 0 && p[n - 1] == '\r')
		n--;
	for (i = 0; i < n; i++)
		if (((unsigned char)p[i] < 0x20 && p[i] != '\t') ||
		    p[i] == 0x7f)
			return true;
	return false;
}

static void
check_text(struct conf_lexer *lx)
{
	const char *p, *nl;
	unsigned line = 1;

	for (p = lx->p; p < lx->end; p = nl + 1, line++) {
		nl = memchr(p, '\n', (size_t)(lx->end - p));
		if (nl == NULL)
			nl = lx->end;
		if (!mail_utf8_valid(slice_of(p, (size_t)(nl - p))))
			conf_error(lx->notes, lx->file, line,
			    "this line is not UTF-8");
		else if (line_has_control(p, (size_t)(nl - p)))
			conf_error(lx->notes, lx->file, line,
			    "a control character in this line");
	}
}

void
conf_lexer_init(struct conf_lexer *lx, const char *text, size_t n,
    unsigned file, struct conf_arena *arena, struct conf_notes *notes)
{
	memset(lx, 0, sizeof(*lx));
	lx->p = text;
	lx->end = text + n;
	lx->file = file;
	lx->line = 1;
	lx->arena = arena;
	lx->notes = notes;
	if (n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		lx->p += 3;		/* an editor's byte order mark */
	check_text(lx);
}

/* Length of a line's end at p, or 0. */
static size_t
eol(const struct conf_lexer *lx, const char *p)
{
	if (p < lx->end && *p == '\n')
		return 1;
	if (p + 1 < lx->end && p[0] == '\r' && p[1] == '\n')
		return 2;
	return 0;
}

/* Length of a joining `\` with the line's end behind it, or 0. */
static size_t
joined(const struct conf_lexer *lx)
{
	size_t n;

	if (lx->p >= lx->end || *lx->p != '\\' ||
	    (n = eol(lx, lx->p + 1)) == 0)
		return 0;
	return n + 1;
}

static void
skip_blanks(struct conf_lexer *lx)
{
	const char *q;
	size_t n;

	for (;;) {
		while (lx->p < lx->end && (*lx->p == ' ' || *lx->p == '\t'))
			lx->p++;
		if (lx->p >= lx->end || *lx->p != '\\')
			return;
		/* A lone backslash: blanks behind it cannot be seen. */
		q = lx->p + 1;
		while (q < lx->end && (*q == ' ' || *q == '\t'))
			q++;
		if ((n = eol(lx, q)) == 0)
			return;
		lx->p = q + n;
		lx->line++;
	}
}

static void
mistake(struct conf_lexer *lx, const char *what)
{
	if (!lx->bad)
		conf_error(lx->notes, lx->file, lx->line, "%s", what);
	lx->bad = true;
}

static bool
name_char(char c, bool first)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
	    (!first && c >= '0' && c <= '9');
}

/* The value of a variable may hold anything that a file may. */
static bool
env_fits(const char *value)
{
	struct slice s = slice_cstr(value);

	return mail_utf8_valid(s) && !line_has_control(s.p, s.n) &&
	    memchr(s.p, '\r', s.n) == NULL;
}

/* At "${": appends the variable's value; *literal when the default of the
 * file was taken. */
static void
expand(struct conf_lexer *lx, struct strbuf *out, bool *literal)
{
	const char *name = lx->p + 2, *p = name, *close, *value;
	char *copy;

	close = p;
	while (close < lx->end && *close != '}' && *close != '\n')
		close++;
	if (close >= lx->end || *close != '}') {
		mistake(lx, "`${` without `}`");
		lx->p = close;
		return;
	}
	while (p < close && name_char(*p, p == name))
		p++;
	if (p == name || (p < close && (*p != ':' || p[1] != '-'))) {
		mistake(lx, "an environment variable is written ${NAME} or "
		    "${NAME:-default}");
		lx->p = close + 1;
		return;
	}
	copy = conf_arena_strndup(lx->arena, name, (size_t)(p - name));
	value = getenv(copy);
	if (p < close && (value == NULL || *value == '\0')) {
		strbuf_add(out, p + 2, (size_t)(close - p) - 2);
		*literal = true;
	} else if (value == NULL) {
		if (!lx->bad)
			conf_error(lx->notes, lx->file, lx->line,
			    "the environment variable %s is not set; "
			    "${%s:-default} gives a default", copy, copy);
		lx->bad = true;
	} else if (!env_fits(value)) {
		if (!lx->bad)
			conf_error(lx->notes, lx->file, lx->line,
			    "the environment variable %s is not UTF-8 text "
			    "of one line", copy);
		lx->bad = true;
	} else {
		strbuf_puts(out, value);
	}
	lx->p = close + 1;
}

static bool
at_variable(const struct conf_lexer *lx)
{
	return lx->p + 1 < lx->end && lx->p[0] == '$' && lx->p[1] == '{';
}

/* Behind the opening quote, up to and with the closing one. */
static void
quoted_word(struct conf_lexer *lx, struct strbuf *out, bool *literal)
{
	size_t n;

	for (;;) {
		if (lx->p >= lx->end || eol(lx, lx->p) > 0) {
			mistake(lx, "a quote is not closed in this line");
			return;
		}
		if (*lx->p == '"') {
			lx->p++;
			return;
		}
		if (at_variable(lx)) {
			expand(lx, out, literal);
			continue;
		}
		if ((n = joined(lx)) > 0) {
			lx->p += n;
			lx->line++;
			continue;
		}
		*literal = true;
		if (*lx->p == '\\' && lx->p + 1 < lx->end &&
		    (lx->p[1] == '"' || lx->p[1] == '\\' ||
		    (lx->p[1] == '$' && lx->p + 2 < lx->end &&
		    lx->p[2] == '{')))
			lx->p++;
		strbuf_putc(out, *lx->p++);
	}
}

static bool
ends_word(const struct conf_lexer *lx)
{
	return lx->p >= lx->end || memchr(" \t{};", *lx->p, 5) != NULL ||
	    eol(lx, lx->p) > 0;
}

static void
plain_word(struct conf_lexer *lx, struct strbuf *out, bool *literal)
{
	size_t n;

	while (!ends_word(lx)) {
		if (at_variable(lx)) {
			expand(lx, out, literal);
			continue;
		}
		if ((n = joined(lx)) > 0) {
			lx->p += n;
			lx->line++;
			continue;
		}
		if (*lx->p == '"') {
			mistake(lx, "a quote inside of a word: put the whole "
			    "word into quotes, with \\\" for this one");
		}
		*literal = true;
		strbuf_putc(out, *lx->p++);
	}
}

static enum conf_token
word_token(struct conf_lexer *lx)
{
	struct strbuf text = STRBUF_INIT;
	bool literal = false;

	lx->bad = false;
	lx->word.line = lx->line;
	lx->word.quoted = *lx->p == '"';
	if (lx->word.quoted) {
		lx->p++;
		quoted_word(lx, &text, &literal);
		if (!lx->bad && !ends_word(lx) && joined(lx) == 0)
			mistake(lx, "a blank is missing behind a closing "
			    "quote");
	} else {
		plain_word(lx, &text, &literal);
	}
	/* A NUL was noted as a control character; what is behind it is not
	 * looked at. */
	lx->word.s = conf_arena_strndup(lx->arena, strbuf_cstr(&text), text.n);
	lx->word.env = !literal && text.n > 0;
	if (text.n > 0)
		memset(text.p, 0, text.n);
	strbuf_free(&text);
	return TOKEN_WORD;
}

enum conf_token
conf_lexer_next(struct conf_lexer *lx)
{
	size_t n;

	skip_blanks(lx);
	if (lx->p < lx->end && *lx->p == '#')
		while (lx->p < lx->end && *lx->p != '\n')
			lx->p++;
	lx->token_line = lx->line;
	if (lx->p >= lx->end)
		return TOKEN_END;
	if ((n = eol(lx, lx->p)) > 0) {
		lx->p += n;
		lx->line++;
		return TOKEN_NEWLINE;
	}
	switch (*lx->p) {
	case '{':
		lx->p++;
		return TOKEN_OPEN;
	case '}':
		lx->p++;
		return TOKEN_CLOSE;
	case ';':
		lx->p++;
		return TOKEN_SEMICOLON;
	default:
		return word_token(lx);
	}
}
