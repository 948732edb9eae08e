/* Writes JSON (RFC 8259) to the end of a buffer.  Commas and quotes are its
 * affair, the nesting is the caller's.  Every value may have been chosen by a
 * peer: octets that are no UTF-8 become U+FFFD, controls are escaped, so that
 * a document never holds a raw line end. */
#ifndef BASE_JSON_WRITER_H
#define BASE_JSON_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/strbuf.h"

struct json_writer {
	struct strbuf *out;		/* borrowed */
	bool more;			/* a comma stands before the next */
};

/* One value follows. */
struct json_writer json_to(struct strbuf *out);

/* key NULL: an element of an array, or the whole document.  A key is a plain
 * word of ours and is not escaped. */
void json_object(struct json_writer *w, const char *key);
void json_array(struct json_writer *w, const char *key);
void json_close_object(struct json_writer *w);
void json_close_array(struct json_writer *w);

/* NULL: null. */
void json_text(struct json_writer *w, const char *key, const char *value);
void json_slice(struct json_writer *w, const char *key, struct slice value);
void json_number(struct json_writer *w, const char *key, uint64_t value);
void json_bool(struct json_writer *w, const char *key, bool value);
void json_null(struct json_writer *w, const char *key);
/* Wall clock in milliseconds as RFC 3339 in UTC; 0: null. */
void json_when(struct json_writer *w, const char *key, uint64_t ms);
/* What is JSON already. */
void json_raw(struct json_writer *w, const char *key, struct slice value);

#endif
