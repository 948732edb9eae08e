/*
 * Lists of tags in texts of DNS.  No I/O.  Run by delivery and relayctl.
 */
#include "mail/tag_list.h"

#include <errno.h>

/* More than anybody needs; some readers take fewer. */
#define TEXT_MAX 4096

bool
tag_list_next(struct slice *rest, struct slice *tag, struct slice *value)
{
	struct slice piece;
	long end, equals;

	do {
		if (rest->n == 0)
			return false;
		end = slice_find(*rest, ';');
		piece = *rest;
		if (end >= 0)
			piece.n = (size_t)end;
		*rest = slice_skip(*rest, piece.n + (end >= 0));
		piece = slice_trim(piece);
	} while (piece.n == 0);
	equals = slice_find(piece, '=');
	if (equals < 0) {
		*tag = slice_of(piece.p, 0);
		*value = piece;
		return true;
	}
	*value = slice_trim(slice_skip(piece, (size_t)equals + 1));
	piece.n = (size_t)equals;
	*tag = slice_trim(piece);
	return true;
}

bool
tag_list_claims(struct slice text, const char *version)
{
	struct slice rest = text, tag, value;

	return tag_list_next(&rest, &tag, &value) &&
	    slice_eq_cstr(tag, "v") && slice_eq_case_cstr(value, version);
}

bool
tag_list_get(struct slice text, const char *name, struct slice *value)
{
	struct slice tag, found;

	while (tag_list_next(&text, &tag, &found)) {
		if (slice_eq_cstr(tag, name)) {
			*value = found;
			return true;
		}
	}
	return false;
}

int
tag_list_check(struct slice text, struct err *e)
{
	struct slice rest = text, tag, value, again, first;

	if (text.n > TEXT_MAX)
		return err_set(e, EINVAL, "a record of %zu octets, more than "
		    "%d", text.n, TEXT_MAX);
	while (tag_list_next(&rest, &tag, &value)) {
		if (tag.n == 0)
			return err_set(e, EINVAL, "`%.*s` is not tag=value",
			    (int)(value.n < 60 ? value.n : 60), value.p);
		again = text;
		while (tag_list_next(&again, &first, &value))
			if (slice_eq(first, tag))
				break;
		if (first.p != tag.p)
			return err_set(e, EINVAL, "`%.*s` stands twice",
			    (int)(tag.n < 60 ? tag.n : 60), tag.p);
	}
	return 0;
}
