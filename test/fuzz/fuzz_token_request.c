/* Requests of the token server's protocol: any octets. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "auth/token_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_of(data, size);
	struct token_request r;
	enum token_request_result open, ended;

	open = token_request_parse(in, false, &r);
	ended = token_request_parse(in, true, &r);
	/* What is whole stays so, and what is refused open is refused. */
	if (open == TOKEN_REQUEST_DONE && ended != TOKEN_REQUEST_DONE)
		abort();
	if (open == TOKEN_REQUEST_BAD && ended != TOKEN_REQUEST_BAD)
		abort();
	if (ended == TOKEN_REQUEST_DONE && (r.protocol.n == 0 ||
	    memchr(r.user.p, '@', r.user.n) == NULL))
		abort();
	return 0;
}
