/* SPF: any records for any questions.  It ends, within its limits, and the
 * same answers give the same verdict.  The first octet: whom it is about; then
 * lines, each the records of one question in turn, cut at tabs; "!" is no
 * answer, "-" no such name. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "mail/spf.h"

#define QUESTIONS_MAX 1000
#define RECORDS 20

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The text up to the mark, cut off. */
static struct slice
cut(struct slice *s, char mark)
{
	long at = slice_find(*s, mark);
	struct slice piece = *s;

	if (at >= 0)
		piece.n = (size_t)at;
	*s = slice_skip(*s, piece.n + (at >= 0));
	return piece;
}

static void
reply(struct spf *s, const struct spf_question *q, struct slice line)
{
	static const char address[] = "\300\0\2\1\0\0\0\0\0\0\0\0\0\0\0\1";
	struct slice records[RECORDS];
	struct spf_reply r = { .status = SPF_FOUND, .records = records };

	if (q->name[0] == '\0' || strlen(q->name) > 253)
		abort();
	if (slice_eq_cstr(line, "!"))
		r.status = SPF_UNKNOWN;
	else if (slice_eq_cstr(line, "-"))
		r.status = SPF_NXDOMAIN;
	while (line.n > 0 && r.count < RECORDS) {
		records[r.count] = cut(&line, '\t');
		if (q->type == SPF_A || q->type == SPF_AAAA)
			records[r.count] = slice_of(address,
			    q->type == SPF_A ? 4 : 16);
		r.count++;
	}
	spf_reply(s, &r);
}

static enum spf_result
judge(const uint8_t *data, size_t size, bool survey)
{
	struct spf_ask ask = { .from = data[0] & 1 ? "a-b+c@x.test" : "",
	    .helo = "helo.test", .survey = survey,
	    .ip = { .family = data[0] & 2 ? AF_INET6 : AF_INET,
	    .addr = { 192, 0, 2, data[0] } } };
	struct slice rest = slice_of(data + 1, size - 1);
	struct spf *s = spf_new(&ask);
	struct spf_question q;
	const struct spf_verdict *v;
	enum spf_result result;
	unsigned n = 0;

	while (spf_next(s, &q)) {
		if (++n > QUESTIONS_MAX)
			abort();
		reply(s, &q, cut(&rest, '\n'));
	}
	v = spf_verdict(s);
	result = v->result;
	if (spf_result_name(result)[0] == '\0' ||
	    (v->explanation != NULL && result != SPF_FAIL))
		abort();
	spf_free(&s);
	return result;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (judge(data, size, false) != judge(data, size, false))
		abort();
	judge(data, size, true);
	return 0;
}
