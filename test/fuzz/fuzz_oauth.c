/* Answers of providers, and token files: any octets.  A file that could be
 * read can be read after each change too, with what was put there; what may
 * be a secret stands in no text. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "auth/oauth_answer.h"
#include "auth/oauth_form.h"
#include "auth/oauth_sasl.h"
#include "auth/token_file.h"
#include "base/json_reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
answers(unsigned status, struct slice body)
{
	struct oauth_answer a;
	struct oauth_device d;
	const char *p;

	oauth_answer_read(status, body, &a);
	if ((a.class == OAUTH_GOT) != (a.access_token != NULL) &&
	    a.class == OAUTH_GOT)
		abort();
	for (p = a.detail; *p != '\0'; p++)
		if (*p < ' ' || *p > '~')
			abort();
	oauth_answer_clear(&a);
	if (oauth_device_read(status, body, &d, &a) == 0)
		oauth_device_clear(&d);
	oauth_answer_clear(&a);
}

static void
files(struct slice text)
{
	struct token_change c = { .access_token = "new", .expiry = 7,
	    .refresh_token = "other" };
	struct strbuf out = STRBUF_INIT;
	struct token_file f;
	struct err e;

	if (token_file_parse(text, &f, &e) < 0)
		return;
	token_file_clear(&f);
	token_file_update(text, &c, &out);
	if (token_file_parse(strbuf_slice(&out), &f, &e) < 0 ||
	    strcmp(f.access_token, "new") != 0 || f.expiry != 7 ||
	    strcmp(f.refresh_token, "other") != 0)
		abort();
	token_file_clear(&f);
	strbuf_free(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const unsigned status[] = { 200, 400, 401, 302, 429, 503 };
	struct strbuf out = STRBUF_INIT, said = STRBUF_INIT;
	struct slice in;

	if (size == 0)
		return 0;
	in = slice_of(data + 1, size - 1);
	answers(status[data[0] % 6], in);
	files(in);
	(void)oauth_query_get(in, "code", &out);
	oauth_sasl_error(data[0] & 1, in, &out, &said);
	strbuf_free(&out);
	strbuf_free(&said);
	return 0;
}
