/* SASLprep: what has a form has it once and for all, and it is UTF-8 without
 * control characters. */
#include <stdint.h>
#include <stdlib.h>

#include "mail/domain.h"
#include "mail/saslprep.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct strbuf form = STRBUF_INIT, again = STRBUF_INIT;
	struct slice in = slice_of(data, size);
	size_t i;

	if (mail_saslprep(in, &form) == 0) {
		if (form.n == 0 || !mail_utf8_valid(strbuf_slice(&form)) ||
		    mail_saslprep(strbuf_slice(&form), &again) < 0 ||
		    !slice_eq(strbuf_slice(&form), strbuf_slice(&again)))
			abort();
		for (i = 0; i < form.n; i++)
			if ((unsigned char)form.p[i] < ' ')
				abort();
	} else if (form.n != 0) {
		abort();
	}
	strbuf_wipe(&form);
	strbuf_wipe(&again);
	(void)mail_saslprep_lenient(in, &form);
	if (size > 0 && form.n == 0)
		abort();
	strbuf_wipe(&form);
	return 0;
}
