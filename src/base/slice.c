/* Borrowed runs of octets: comparing, searching, cutting.  Nothing here
 * fails. */
#include "base/slice.h"

#include "base/mem.h"

static inline unsigned char
fold(char c)
{
	unsigned char u = (unsigned char)c;

	return u >= 'A' && u <= 'Z' ? (unsigned char)(u + 32) : u;
}

static bool
same_case(const char *a, const char *b, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (a[i] != b[i] && fold(a[i]) != fold(b[i]))
			return false;
	}
	return true;
}

bool
slice_eq(struct slice a, struct slice b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool
slice_eq_case(struct slice a, struct slice b)
{
	return a.n == b.n && same_case(a.p, b.p, a.n);
}

bool
slice_eq_cstr(struct slice a, const char *s)
{
	return slice_eq(a, slice_cstr(s));
}

bool
slice_eq_case_cstr(struct slice a, const char *s)
{
	return slice_eq_case(a, slice_cstr(s));
}

bool
slice_starts_case(struct slice a, struct slice prefix)
{
	return a.n >= prefix.n && same_case(a.p, prefix.p, prefix.n);
}

bool
slice_ends_case(struct slice a, struct slice suffix)
{
	return a.n >= suffix.n &&
	    (suffix.n == 0 ||
	     same_case(a.p + (a.n - suffix.n), suffix.p, suffix.n));
}

static inline bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

struct slice
slice_trim(struct slice s)
{
	while (s.n > 0 && is_blank(s.p[0])) {
		s.p++;
		s.n--;
	}
	while (s.n > 0 && is_blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

long
slice_find(struct slice s, char c)
{
	const char *q = s.n > 0 ? memchr(s.p, c, s.n) : NULL;

	return q != NULL ? (long)(q - s.p) : -1;
}

long
slice_rfind(struct slice s, char c)
{
	const char *q = s.n > 0 ? memrchr(s.p, c, s.n) : NULL;

	return q != NULL ? (long)(q - s.p) : -1;
}

bool
slice_word(struct slice *s, struct slice *word)
{
	size_t n = 0;

	while (s->n > 0 && is_blank(s->p[0]))
		*s = slice_skip(*s, 1);
	while (n < s->n && !is_blank(s->p[n]))
		n++;
	if (n == 0)
		return false;
	*word = slice_of(s->p, n);
	*s = slice_skip(*s, n);
	return true;
}

struct slice
slice_skip(struct slice s, size_t n)
{
	if (n > s.n)
		n = s.n;
	if (n == 0)
		return s;
	return slice_of(s.p + n, s.n - n);
}

char *
slice_dup(struct slice s)
{
	char *q = mem_alloc(s.n + 1);

	if (s.n > 0)
		memcpy(q, s.p, s.n);
	q[s.n] = '\0';
	return q;
}
