/*
 * A session's dialogue for a human who tries a next hop.  Run by delivery.
 * What AUTH carries is left out, in both directions; an error that a server
 * sends as a challenge of JSON (RFC 7628 3.2.2) is shown as text.
 */
#include <string.h>

#include "base/strbuf.h"
#include "delivery/smtp_client_private.h"
#include "io/base64.h"
#include "io/tls_peer.h"

void
trace_state(struct smtp_client *c, const char *name)
{
	if (c->to.trace != NULL)
		c->to.trace(c->arg, '=', slice_cstr(name));
}

/* "AUTH PLAIN [hidden]", "[hidden]"; the end of an exchange is no secret. */
static void
hidden(struct smtp_client *c, struct slice line)
{
	struct strbuf b = STRBUF_INIT;
	size_t n = 0, words = 0;

	if (line.n <= 1) {
		c->to.trace(c->arg, 'C', line);
		return;
	}
	if (line.n > 5 && memcmp(line.p, "AUTH ", 5) == 0) {
		while (n < line.n && (line.p[n] != ' ' || words++ == 0))
			n++;
		strbuf_add(&b, line.p, n);
	}
	if (n < line.n)
		strbuf_puts(&b, n > 0 ? " [hidden]" : "[hidden]");
	c->to.trace(c->arg, 'C', strbuf_slice(&b));
	strbuf_free(&b);
}

void
trace_written(struct smtp_client *c, struct slice s)
{
	const char *end;

	if (c->to.trace == NULL)
		return;
	while (s.n > 1 && (end = memmem(s.p, s.n, "\r\n", 2)) != NULL) {
		struct slice line = slice_of(s.p, (size_t)(end - s.p));

		if (c->hide)
			hidden(c, line);
		else
			c->to.trace(c->arg, 'C', line);
		s = slice_skip(s, line.n + 2);
	}
}

/* Appends the error that a challenge tells, or what stands for it. */
static void
challenge(struct slice line, struct strbuf *out)
{
	struct strbuf text = STRBUF_INIT;

	if (base64_decode(slice_trim(line), &text) == 0 && text.n > 1 &&
	    text.p[0] == '{' && memchr(text.p, 0, text.n) == NULL)
		strbuf_add_slice(out, strbuf_slice(&text));
	else if (line.n > 0)
		strbuf_puts(out, "[challenge]");
	strbuf_free(&text);
}

void
trace_reply(struct smtp_client *c)
{
	struct strbuf out = STRBUF_INIT;
	struct slice line;
	size_t i;

	if (c->to.trace == NULL)
		return;
	for (i = 0; smtp_reply_line(&c->reply, i, &line); i++) {
		strbuf_clear(&out);
		strbuf_printf(&out, "%d%c", c->reply.code,
		    i + 1 < c->reply.lines ? '-' : ' ');
		if (c->reply.code == 334)
			challenge(line, &out);
		else
			strbuf_add_slice(&out, line);
		c->to.trace(c->arg, 'S', strbuf_slice(&out));
	}
	strbuf_free(&out);
}

void
smtp_client_peer(const struct smtp_client *c, struct strbuf *out)
{
	if (c->conn != NULL && c->tls_text != NULL)
		tls_peer_text(c->conn, out);
}
