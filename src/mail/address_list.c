/* Mailboxes out of address fields, for sendmail, queue and the importers.
 * Nothing here fails: what cannot be read is counted and skipped.  RFC 5322
 * 3.4 and 4.4; one pass, no recursion. */
#include "mail/address_list.h"

#include <string.h>

#include "base/strbuf.h"

struct walk {
	struct slice v;
	size_t at;
	struct strbuf spec;	/* addr-spec that is being gathered */
	size_t first, last;	/* where it stands: [first, last) */
	bool gap;		/* a blank or comment was just passed */
	bool phrase;		/* several words: a name, no address */
	bool bad;		/* an octet or quote that cannot be read */
	unsigned ats;		/* '@' seen outside of quotes */
};

static void
forget(struct walk *w)
{
	strbuf_clear(&w->spec);
	w->first = w->last = w->at;
	w->gap = w->phrase = w->bad = false;
	w->ats = 0;
}

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* From the opening parenthesis to behind its closing one. */
static void
skip_comment(struct walk *w)
{
	size_t depth = 0;

	for (; w->at < w->v.n; w->at++) {
		char c = w->v.p[w->at];

		if (c == '\\' && w->at + 1 < w->v.n) {
			w->at++;
		} else if (c == '(') {
			depth++;
		} else if (c == ')' && --depth == 0) {
			w->at++;
			return;
		}
	}
	w->bad = true;
}

/* Blanks, line ends and comments. */
static void
skip_space(struct walk *w)
{
	while (w->at < w->v.n) {
		if (is_space(w->v.p[w->at]))
			w->at++;
		else if (w->v.p[w->at] == '(')
			skip_comment(w);
		else
			return;
		w->gap = true;
	}
}

/* Notes that the octets from..at belong to the addr-spec. */
static void
note_word(struct walk *w, size_t from, bool joins)
{
	char before = w->spec.n > 0 ? w->spec.p[w->spec.n - 1] : '.';

	if (w->spec.n == 0)
		w->first = from;
	else if (w->gap && !joins && before != '.' && before != '@')
		w->phrase = true;
	w->gap = false;
}

/* A quoted string or a domain literal, with its delimiters, unfolded. */
static void
take_delimited(struct walk *w, char close)
{
	size_t from = w->at;

	note_word(w, from, false);
	strbuf_putc(&w->spec, w->v.p[w->at++]);
	while (w->at < w->v.n) {
		char c = w->v.p[w->at++];

		if (c == '\r' || c == '\n')
			continue;
		strbuf_putc(&w->spec, c);
		if (c == '\\' && w->at < w->v.n)
			strbuf_putc(&w->spec, w->v.p[w->at++]);
		else if (c == close) {
			w->last = w->at;
			return;
		}
	}
	w->bad = true;
}

/* Gathers words until one of the stops, which is not consumed. */
static void
gather(struct walk *w, const char *stops)
{
	for (;;) {
		unsigned char c;

		skip_space(w);
		if (w->at == w->v.n)
			return;
		c = (unsigned char)w->v.p[w->at];
		if (c != '\0' && strchr(stops, c) != NULL)
			return;
		if (c == '"') {
			take_delimited(w, '"');
			continue;
		}
		if (c == '[') {
			take_delimited(w, ']');
			continue;
		}
		if (c < ' ' || c == 127 || strchr("()<>[]:;,\\", c) != NULL)
			w->bad = true;
		note_word(w, w->at, c == '.' || c == '@');
		w->ats += c == '@';
		strbuf_putc(&w->spec, (char)c);
		w->last = ++w->at;
	}
}

static bool
usable(const struct walk *w)
{
	size_t n = w->spec.n;

	return n > 0 && !w->bad && !w->phrase && w->ats <= 1 &&
	    w->spec.p[0] != '@' && w->spec.p[n - 1] != '@';
}

/* Behind the '<', up to and with the '>'.  false: nothing usable. */
static bool
take_angle(struct walk *w)
{
	forget(w);
	gather(w, ">,:");
	/* A source route: `@a,@b:` in front. */
	while (w->at < w->v.n && w->v.p[w->at] != '>') {
		bool route = w->spec.n > 0 && w->spec.p[0] == '@';
		bool colon = w->v.p[w->at] == ':';

		w->at++;
		if (!route)
			w->bad = true;
		else if (colon)
			forget(w);
		gather(w, ">,:");
	}
	if (w->at == w->v.n)
		return false;
	w->at++;
	return usable(w);
}

static void
tell(struct walk *w, struct slice display,
    void (*taker)(void *arg, const struct mail_mailbox *m), void *arg)
{
	struct mail_mailbox m = {
		.addr = strbuf_slice(&w->spec),
		.display = display,
		.pos = w->first,
		.len = w->last - w->first,
	};

	taker(arg, &m);
}

static struct slice
trim_display(struct slice s)
{
	while (s.n > 0 && is_space(s.p[0]))
		s = slice_skip(s, 1);
	while (s.n > 0 && is_space(s.p[s.n - 1]))
		s.n--;
	return s;
}

size_t
mail_address_list(struct slice value,
    void (*taker)(void *arg, const struct mail_mailbox *m), void *arg)
{
	struct walk w = { .v = value };
	size_t skipped = 0;

	while (w.at < value.n) {
		struct slice none = slice_of(value.p, 0);
		size_t start = w.at;
		char stop;

		forget(&w);
		gather(&w, "<,;:");
		stop = w.at < value.n ? value.p[w.at] : ',';
		if (stop == '<') {
			struct slice display = trim_display(
			    slice_of(value.p + start, w.at - start));

			w.at++;
			if (take_angle(&w))
				tell(&w, display, taker, arg);
			else
				skipped++;
			/* Nothing of use comes before the next comma. */
			gather(&w, ",;");
			w.at++;
			continue;
		}
		w.at++;
		if (stop == ':')	/* that was the name of a group */
			continue;
		if (usable(&w))
			tell(&w, none, taker, arg);
		else if (w.spec.n > 0 || w.bad)
			skipped++;
	}
	strbuf_free(&w.spec);
	return skipped;
}
