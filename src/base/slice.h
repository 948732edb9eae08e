/* A borrowed run of octets; never owns, need not end in NUL. */
#ifndef BASE_SLICE_H
#define BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct slice {
	const char *p;
	size_t n;
};

#define SLICE_LIT(s) ((struct slice){ "" s, sizeof(s) - 1 })

static inline struct slice
slice_of(const void *p, size_t n)
{
	return (struct slice){ p, n };
}

static inline struct slice
slice_cstr(const char *s)
{
	return (struct slice){ s ? s : "", s ? strlen(s) : 0 };
}

bool slice_eq(struct slice a, struct slice b);
bool slice_eq_case(struct slice a, struct slice b);	/* ASCII case folded */
bool slice_eq_cstr(struct slice a, const char *s);
bool slice_eq_case_cstr(struct slice a, const char *s);
bool slice_starts_case(struct slice a, struct slice prefix);
bool slice_ends_case(struct slice a, struct slice suffix);
struct slice slice_trim(struct slice s);		/* blanks and tabs */
/* Position of the first c, or -1. */
long slice_find(struct slice s, char c);
/* Position of the last c, or -1. */
long slice_rfind(struct slice s, char c);
/* Cuts the next word (separated by blanks or tabs) off the front of *s;
 * false when there is none. */
bool slice_word(struct slice *s, struct slice *word);
struct slice slice_skip(struct slice s, size_t n);
char *slice_dup(struct slice s);			/* with NUL; caller frees */

#endif
