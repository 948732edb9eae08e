/* Reads a request for a token; nothing of it is trusted.  Run by auth. */
#include "auth/token_request.h"

#include <string.h>

static size_t
span_not(struct slice s, size_t from, const char *stop)
{
	size_t i = from;

	while (i < s.n && strchr(stop, s.p[i]) == NULL)
		i++;
	return i;
}

enum token_request_result
token_request_parse(struct slice in, bool ended, struct token_request *out)
{
	const enum token_request_result more = ended ? TOKEN_REQUEST_BAD :
	    TOKEN_REQUEST_MORE;
	size_t i, j;

	if (in.n == 0)
		return more;
	if (in.n > TOKEN_REQUEST_MAX || memchr(in.p, 0, in.n) != NULL)
		return TOKEN_REQUEST_BAD;
	i = span_not(in, 0, " ,\t\r\n");
	if (i == in.n)
		return more;
	if (i == 0)
		return TOKEN_REQUEST_BAD;
	out->protocol = slice_of(in.p, i);
	if (in.p[i] == ',')		/* options, of which there are none */
		i = span_not(in, i, " \t\r\n");
	if (i == in.n)
		return more;
	if (in.p[i] != ' ')
		return TOKEN_REQUEST_BAD;
	j = span_not(in, ++i, " \t\r\n");
	out->user = slice_of(in.p + i, j - i);
	if (j == in.n && memchr(out->user.p, '@', out->user.n) == NULL)
		return more;
	if (j == i || memchr(out->user.p, '@', out->user.n) == NULL ||
	    out->user.p[0] == '@' || in.p[j - 1] == '@')
		return j == in.n && !ended ? TOKEN_REQUEST_MORE :
		    TOKEN_REQUEST_BAD;
	return j < in.n || ended ? TOKEN_REQUEST_DONE : TOKEN_REQUEST_WHOLE;
}
