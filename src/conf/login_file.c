/* Reading `login-file`: monitor, tools, and whoever makes a view.  A line
 * that is none is told with its reason, which shows nothing of a hash. */
#include "conf/login_file.h"

#include <string.h>

#include "conf/hash_cost.h"

bool
login_hash_good(struct slice s)
{
	static const char des[] = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz";
	size_t i;

	if (s.n == 0)
		return false;
	if (strchr("$_*!", s.p[0]) != NULL ||
	    slice_starts_case(s, SLICE_LIT("SCRAM-SHA-")))
		return true;
	for (i = 0; i < s.n; i++)
		if (strchr(des, s.p[i]) == NULL)
			return false;
	return s.n == 13;
}

static void
split(struct slice text, struct login_line *out)
{
	long first = slice_find(text, ':'), last = slice_rfind(text, ':');

	out->mistake = NULL;
	if (memchr(text.p, '\0', text.n) != NULL) {
		out->mistake = "it holds a NUL";
	} else if (first < 0 || first == last) {
		out->mistake = "it is not NAME:HASH:ACCOUNT";
	} else {
		out->name = slice_of(text.p, (size_t)first);
		out->hash = slice_of(text.p + first + 1,
		    (size_t)(last - first - 1));
		out->account = slice_skip(text, (size_t)last + 1);
		if (out->name.n == 0)
			out->mistake = "the name is empty";
		else if (!login_hash_good(out->hash))
			out->mistake = "what stands between the colons is no "
			    "hash (relayctl passwd makes one)";
		else
			out->mistake = conf_hash_costly(out->hash);
	}
}

bool
login_file_next(struct slice *text, unsigned *line, struct login_line *out)
{
	struct slice one;
	long nl;

	while (text->n > 0) {
		nl = slice_find(*text, '\n');
		one = nl < 0 ? *text : slice_of(text->p, (size_t)nl);
		*text = slice_skip(*text, nl < 0 ? text->n : (size_t)nl + 1);
		++*line;
		one = slice_trim(one);
		if (one.n > 0 && one.p[one.n - 1] == '\r')
			one.n--;
		if (one.n == 0 || one.p[0] == '#')
			continue;
		memset(out, 0, sizeof(*out));
		out->line = *line;
		split(one, out);
		return true;
	}
	return false;
}
