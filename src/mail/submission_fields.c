/* Fields that submitted mail lacks, made by listener and by the sendmail
 * shim's receiver.  Nothing here fails.  RFC 6409 8, RFC 5322 3.6. */
#include "mail/submission_fields.h"

#include "base/clock.h"
#include "base/num.h"
#include "base/rand.h"

void
message_id_make(struct strbuf *out, uint64_t now_ms, const char *host)
{
	char when[NUM_ID_LEN + 1], what[NUM_ID_LEN + 1];

	num_id_text(now_ms, when);
	num_id_text(rand_u64(), what);
	/* The first digits of a time are zero for some 300 years more. */
	strbuf_printf(out, "<%s.%s@%s>", when + 4, what, host);
}

unsigned
submission_fields(struct strbuf *out, const struct header_scan *scan,
    uint64_t now_ms, const char *host, const char *from)
{
	unsigned added = 0;

	if (scan->present & HEADER_DKIM_SIGNATURE)
		return 0;
	if (!(scan->present & HEADER_DATE)) {
		char date[64];

		strbuf_printf(out, "Date: %s\r\n",
		    clock_rfc5322(now_ms, date, sizeof(date)));
		added |= HEADER_DATE;
	}
	if (!(scan->present & HEADER_MESSAGE_ID)) {
		strbuf_puts(out, "Message-ID: ");
		message_id_make(out, now_ms, host);
		strbuf_puts(out, "\r\n");
		added |= HEADER_MESSAGE_ID;
	}
	if (!(scan->present & HEADER_FROM) && from != NULL &&
	    from[0] != '\0') {
		strbuf_printf(out, "From: <%s>\r\n", from);
		added |= HEADER_FROM;
	}
	return added;
}
