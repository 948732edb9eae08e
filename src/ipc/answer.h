/* What relayctl is told on the control socket: lines of JSON, {"item":...} as
 * often as there is one, {"end":{"status":...,"text":...}} in the end.  queue
 * writes them, and auth where queue has handed it the caller. */
#ifndef IPC_ANSWER_H
#define IPC_ANSWER_H

#include <stdarg.h>

#include "base/json_writer.h"
#include "base/strbuf.h"

/* Begins an item in out: the writer stands where its members go. */
struct json_writer answer_item(struct strbuf *out);
/* Ends it, and its line. */
void answer_item_end(struct strbuf *out, struct json_writer *w);
/* The last line.  Of the text 1 KiB is told. */
void answer_end(struct strbuf *out, int status, const char *fmt, va_list ap);

#endif
