/* Replies of servers: any octets, cut at any place (the first octet tells how
 * large the pieces are).  The pieces do not change what is read. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mail/smtp_caps.h"
#include "mail/smtp_reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Feeds as a connection does: what is not used stays in front of the next
 * piece.  Returns what the first complete reply was. */
static enum smtp_reply_result
feed(struct slice in, size_t piece, struct smtp_reply *r)
{
	size_t from = 0, to = 0;

	while (to < in.n) {
		enum smtp_reply_result res;
		struct err e;
		size_t used;

		to = in.n - to > piece ? to + piece : in.n;
		res = smtp_reply_feed(r, slice_of(in.p + from, to - from),
		    &used, &e);
		if (used > to - from)
			abort();
		from += used;
		if (res != SMTP_REPLY_MORE)
			return res;
	}
	return SMTP_REPLY_MORE;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct smtp_reply a = SMTP_REPLY_INIT, b = SMTP_REPLY_INIT;
	struct strbuf text = STRBUF_INIT;
	struct smtp_caps caps;
	struct slice in;
	enum smtp_reply_result whole;

	if (size == 0)
		return 0;
	in = slice_of(data + 1, size - 1);
	whole = feed(in, in.n + 1, &a);
	if (whole != feed(in, 1 + data[0], &b))
		abort();
	if (whole == SMTP_REPLY_DONE) {
		if (a.code != b.code || !slice_eq(strbuf_slice(&a.text),
		    strbuf_slice(&b.text)))
			abort();
		smtp_caps_parse(&a, &caps);
		smtp_reply_text(&a, &text, 200);
		if (strlen(caps.auth) >= sizeof(caps.auth) || text.n > 200)
			abort();
	}
	smtp_reply_free(&a);
	smtp_reply_free(&b);
	strbuf_free(&text);
	return 0;
}
