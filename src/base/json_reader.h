/* Reads JSON (RFC 8259) without making a tree of it: is the text one object,
 * and where do its members stand?  So a document can be changed in one place
 * and stay as it was in all others.  Comments pass for blanks: some programs
 * write them into their files. */
#ifndef BASE_JSON_READER_H
#define BASE_JSON_READER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "base/strbuf.h"

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY,
	JSON_OBJECT };

struct json_member {
	struct slice key;		/* as written, without its quotes */
	struct slice value;		/* as written, with them */
	enum json_type type;
};

/* 0: one object and nothing behind it.  -1: *e says what is wrong, with line
 * and column. */
int json_object_check(struct slice text, struct err *e);

/* Members of an object that passed json_object_check(), in their order;
 * starts with *at = 0; false at the end. */
bool json_member_next(struct slice object, size_t *at,
    struct json_member *m);
/* The last of this name, as most programs take it; false: there is none. */
bool json_member_find(struct slice object, const char *name,
    struct json_member *m);
bool json_member_is(const struct json_member *m, const char *name);

/* Appends the text of a string; -1 for another type, or with a NUL inside. */
int json_string_value(const struct json_member *m, struct strbuf *out);
/* A string's copy, or NULL; the caller frees. */
char *json_text_of(struct slice object, const char *name);
/* A number, also where it is written as a string; fractions are cut off.
 * false: there is none, or it is negative or above max. */
bool json_number_of(struct slice object, const char *name, uint64_t max,
    uint64_t *out);

#endif
