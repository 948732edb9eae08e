/* Lines that anybody on the machine may send to the control socket: whatever
 * is understood must be whole, and is cleared without a trace. */
#include <stdint.h>
#include <stdlib.h>

#include "queue/control_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct control_request r;
	struct err e = { 0, "" };
	size_t i;

	if (control_request_parse(slice_of(data, size), &r, &e) < 0) {
		if (e.text[0] == '\0')
			abort();
	} else {
		if (r.command == NULL)
			abort();
		for (i = 0; i < r.sel.n_ids; i++)
			if (r.sel.ids[i].text == NULL)
				abort();
		(void)selector_empty(&r.sel);
		(void)selector_match_to(&r.sel, "a@example.org");
	}
	control_request_clear(&r);
	return 0;
}
