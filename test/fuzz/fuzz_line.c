/* Lines of SMTP: any octets, in both modes. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mail/smtp_line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
walk(struct slice in, size_t max, bool lf_ok)
{
	while (in.n > 0) {
		struct smtp_line line;
		bool done;

		switch (smtp_line_next(in, max, lf_ok, &line)) {
		case SMTP_LINE_DONE:
			if (line.size > max || line.size > in.n ||
			    slice_find(line.text, '\n') >= 0 ||
			    (!lf_ok && slice_find(line.text, '\r') >= 0))
				abort();
			in = slice_skip(in, line.size);
			break;
		case SMTP_LINE_NUL:
			if (in.p[line.bad] != '\0')
				abort();
			in = slice_skip(in, line.size);
			break;
		case SMTP_LINE_LONG:
			in = slice_skip(in, smtp_line_skip(in, &done));
			break;
		case SMTP_LINE_BARE_LF:
			if (lf_ok || in.p[line.bad] != '\n')
				abort();
			return;
		case SMTP_LINE_BARE_CR:
			if (lf_ok || in.p[line.bad] != '\r')
				abort();
			return;
		case SMTP_LINE_MORE:
			if (in.n >= max)
				abort();
			return;
		}
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_of(data, size);

	walk(in, 512, false);
	walk(in, 512, true);
	walk(in, 8, false);
	return 0;
}
