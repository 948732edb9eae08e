/* SASLprep (RFC 4013 2, RFC 3454 3 to 6) for auth and the tools.  Pure; what
 * has no form gives -1.  All that was made on the way is wiped, passwords go
 * through here. */
#include "mail/saslprep.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unictype.h>
#include <uninorm.h>
#include <unistr.h>

#include "base/mem.h"
#include "mail/domain.h"

/* RFC 3454 table B.1, `commonly mapped to nothing`.  No property of Unicode
 * has just these. */
static bool
is_nothing(ucs4_t c)
{
	return c == 0xad || c == 0x34f || c == 0x1806 ||
	    (c >= 0x180b && c <= 0x180d) || c == 0x200c || c == 0x200d ||
	    c == 0x2060 || (c >= 0xfe00 && c <= 0xfe0f) || c == 0xfeff;
}

/* Table C.1.2, the spaces that are not ASCII's.  U+200B, which is in B.1 too,
 * is one of them, as in GNU libidn. */
static bool
is_space(ucs4_t c)
{
	return c == 0x200b ||
	    (c > 0x7f && uc_is_general_category(c, UC_CATEGORY_Zs));
}

/* RFC 4013 2.3, by what the characters are: control and format characters
 * (C.2, C.8, C.9), separators of lines (C.2.2), private use (C.3), none at all
 * (C.4), and those that stand for another or describe one (C.6, C.7). */
static bool
is_prohibited(ucs4_t c)
{
	uc_general_category_t control = uc_general_category_or(
	    uc_general_category_or(UC_CATEGORY_Cc, UC_CATEGORY_Cf),
	    uc_general_category_or(UC_CATEGORY_Zl, UC_CATEGORY_Zp));

	return uc_is_general_category(c, control) || is_space(c) ||
	    uc_is_general_category(c, UC_CATEGORY_Co) ||
	    uc_is_property(c, UC_PROPERTY_NOT_A_CHARACTER) ||
	    c == 0xfffc || c == 0xfffd || (c >= 0x2ff0 && c <= 0x2ffb);
}

static bool
is_right_to_left(ucs4_t c)
{
	int class = uc_bidi_class(c);

	return class == UC_BIDI_R || class == UC_BIDI_AL;
}

/* RFC 3454 6: where any character is written from right to left, none is of
 * the other direction, and the first and the last are of this one. */
static bool
is_one_direction(const uint32_t *s, size_t n)
{
	bool right = false, left = false;
	size_t i;

	for (i = 0; i < n; i++) {
		right |= is_right_to_left(s[i]);
		left |= uc_bidi_class(s[i]) == UC_BIDI_L;
	}
	return !right || (!left && is_right_to_left(s[0]) &&
	    is_right_to_left(s[n - 1]));
}

static size_t
map(uint32_t *s, size_t n)
{
	size_t i, to = 0;

	for (i = 0; i < n; i++) {
		if (is_space(s[i]))
			s[to++] = ' ';
		else if (!is_nothing(s[i]))
			s[to++] = s[i];
	}
	return to;
}

static bool
is_good(const uint32_t *s, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (is_prohibited(s[i]))
			return false;
	return n > 0 && is_one_direction(s, n);
}

static void
drop(void *p, size_t n)
{
	if (p != NULL)
		mem_wipe(p, n);
	free(p);
}

static int
prepare(struct slice in, struct strbuf *out)
{
	uint32_t *wide, *form = NULL;
	uint8_t *text = NULL;
	size_t wide_n = 0, form_n = 0, n = 0, cap;
	int rc = -1;

	wide = u8_to_u32((const uint8_t *)in.p, in.n, NULL, &wide_n);
	cap = wide_n * sizeof(*wide);
	if (wide != NULL)
		form = u32_normalize(UNINORM_NFKC, wide, map(wide, wide_n),
		    NULL, &form_n);
	if (form != NULL && is_good(form, form_n))
		text = u32_to_u8(form, form_n, NULL, &n);
	if (text != NULL) {
		strbuf_add(out, text, n);
		rc = 0;
	}
	drop(wide, cap);
	drop(form, form_n * sizeof(*form));
	drop(text, n);
	return rc;
}

static bool
is_printable_ascii(struct slice s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if (s.p[i] < ' ' || s.p[i] > '~')
			return false;
	return true;
}

int
mail_saslprep(struct slice s, struct strbuf *out)
{
	if (s.n == 0)
		return -1;
	if (is_printable_ascii(s)) {
		strbuf_add_slice(out, s);
		return 0;
	}
	if (!mail_utf8_valid(s))
		return -1;
	return prepare(s, out);
}

bool
mail_saslprep_lenient(struct slice s, struct strbuf *out)
{
	size_t at = out->n;

	if (mail_saslprep(s, out) == 0)
		return !slice_eq(slice_skip(strbuf_slice(out), at), s);
	strbuf_add_slice(out, s);
	return false;
}
