/* Texts of DNS like "v=STSv1; id=20260101": pairs of a tag and a value, with
 * semicolons between them (RFC 6376 3.2, and who took it over from there). */
#ifndef MAIL_TAG_LIST_H
#define MAIL_TAG_LIST_H

#include <stdbool.h>

#include "base/err.h"
#include "base/slice.h"

/* Cuts the next pair off; false: the end.  What is no pair has an empty tag,
 * and stands in value. */
bool tag_list_next(struct slice *rest, struct slice *tag,
    struct slice *value);
/* "v=DMARC1": does the text claim to be one of these?  version: the value of
 * the tag v, which comes first. */
bool tag_list_claims(struct slice text, const char *version);
/* The value of a tag; false: it is not there, *value is as it was. */
bool tag_list_get(struct slice text, const char *tag, struct slice *value);
/* Every piece a pair, none twice, and not too long; -1: what is wrong. */
int tag_list_check(struct slice text, struct err *e);

#endif
