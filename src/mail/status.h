/* Enhanced status codes, "5.1.1" (RFC 3463). */
#ifndef MAIL_STATUS_H
#define MAIL_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct mail_status {
	uint8_t class;			/* 2, 4, 5; 0: there is none */
	uint16_t subject;		/* 0..999 */
	uint16_t detail;		/* 0..999 */
};

#define MAIL_STATUS_NONE ((struct mail_status){ 0, 0, 0 })
#define MAIL_STATUS(c, s, d) ((struct mail_status){ (c), (s), (d) })
#define MAIL_STATUS_LEN 9		/* "5.999.999" */

/* Reads a code at the front of s, which must end there or go on with a blank
 * or tab; false where none stands, *out untouched.  *used (may be NULL)
 * becomes its octets without the blank. */
bool mail_status_parse(struct slice s, struct mail_status *out, size_t *used);
/* "5.1.1"; "" for none.  Returns buf. */
char *mail_status_text(struct mail_status st, char buf[MAIL_STATUS_LEN + 1]);
/* What a bare reply code of SMTP means: 550 is 5.0.0 and so on, with the
 * better known ones in full (552 is 5.3.4, 452 is 4.3.1, 421 is 4.3.2).
 * Codes outside 2xx, 4xx and 5xx give none. */
struct mail_status mail_status_of_code(int code);

#endif
