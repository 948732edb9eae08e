/* What submitted mail may lack: Date, Message-ID, From (RFC 6409 8). */
#ifndef MAIL_SUBMISSION_FIELDS_H
#define MAIL_SUBMISSION_FIELDS_H

#include <stdint.h>

#include "base/slice.h"
#include "base/strbuf.h"
#include "mail/header.h"

/* Appends "<random.time@host>" without a line end. */
void message_id_make(struct strbuf *out, uint64_t now_ms, const char *host);
/* Appends the fields that are missing by the scan, each with CRLF; nothing
 * when there is a DKIM-Signature.  They go in front of the message's own.
 * from: address for a missing From, without brackets; NULL or "": none is
 * made.  Returns the HEADER_* that were added. */
unsigned submission_fields(struct strbuf *out, const struct header_scan *scan,
    uint64_t now_ms, const char *host, const char *from);

#endif
