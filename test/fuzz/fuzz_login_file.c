/* `login-file`: every line is one or says why it is none, and each slice lies
 * in it. */
#include <stdint.h>
#include <stdlib.h>

#include "conf/login_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = slice_of(data, size);
	struct login_line l;
	unsigned line = 0, last = 0;

	while (login_file_next(&text, &line, &l)) {
		if (l.line <= last || l.line != line)
			abort();
		last = line;
		if (l.mistake == NULL && (l.name.n == 0 || l.hash.n == 0 ||
		    slice_find(l.name, ':') >= 0 ||
		    slice_find(l.account, ':') >= 0 ||
		    slice_find(l.account, '\n') >= 0))
			abort();
	}
	if (text.n != 0)
		abort();
	return 0;
}
