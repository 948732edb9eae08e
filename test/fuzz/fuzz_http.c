/* Requests of HTTP: any octets are one or none. */
#include <stdint.h>
#include <stdlib.h>

#include "tools/local.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool head;
	enum http_request r = http_request(slice_of(data, size), &head);

	if (r > HTTP_METRICS || (head && r <= HTTP_METHOD))
		abort();
	return 0;
}
