/* Reports: the input is an original, with what a server said in its first
 * line.  Whatever those hold, the report keeps its own structure. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mail/dsn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Strings of an envelope hold no NUL. */
static char *
first_line(struct slice in)
{
	char *s = slice_dup(in);

	s[strcspn(s, "\n")] = '\0';
	return s;
}

static size_t
count(struct slice where, const char *what)
{
	size_t n = 0, len = strlen(what);
	const char *at;

	while (where.n >= len &&
	    (at = memmem(where.p, where.n, what, len)) != NULL) {
		n++;
		where = slice_skip(where, (size_t)(at - where.p) + len);
	}
	return n;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_of(data, size);
	char *said = first_line(in);
	struct strbuf out = STRBUF_INIT, mark = STRBUF_INIT;
	struct envelope *env = envelope_new();
	struct dsn_recipient r = { .address = "c@d", .orcpt = said,
	    .action = size % 3 ? DSN_FAILED : DSN_DELAYED,
	    .remote_mta = said, .diagnostic = said, .diagnostic_smtp = true };
	struct dsn d = { .reporting_mta = "host", .from = "p@host",
	    .to = "a@b", .now_ms = 1, .original = env, .recipients = &r,
	    .recipient_count = 1, .message = in, .message_whole = true };
	const char *boundary;

	env->flags = size % 2 ? ENVELOPE_SMTPUTF8 : 0;
	env->ret = (enum mail_ret)(size % 3);
	envelope_set(&env->from, SLICE_LIT("a@b"));
	envelope_set(&env->envid, slice_cstr(said));
	dsn_compose(&d, &out);
	boundary = strstr(strbuf_cstr(&out), "boundary=\"");
	if (boundary == NULL)
		abort();
	strbuf_puts(&mark, "\r\n--");
	strbuf_add(&mark, boundary + 10, strcspn(boundary + 10, "\""));
	if (count(strbuf_slice(&out), mark.p) != 4)
		abort();
	free(said);
	envelope_free(&env);
	strbuf_free(&out);
	strbuf_free(&mark);
	return 0;
}
