/* SASL as we parse it ourselves: the first octet says which side and which
 * mechanism, lines are what the other side says.  A server lets nobody in who
 * does not know the password, a client believes nobody. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "auth/sasl_server.h"
#include "auth/scram_client.h"
#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TEXT(s) ((char *)(uintptr_t)(s))

static struct conf_login people[] = {
	{ .name = TEXT("joe"), .uses = LOGIN_USE_CLEAR | LOGIN_USE_PASSWORD |
	    LOGIN_USE_SCRAM_SHA_1 | LOGIN_USE_SCRAM_SHA_256,
	    .password = { SECRET_VALUE, TEXT("as long as nobody finds it"),
	    NULL } },
};
static struct conf conf = { .hostname = TEXT("relay.test"),
	.logins = people, .n_logins = 1 };

static struct slice
next_line(struct slice *s)
{
	long nl = slice_find(*s, '\n');
	struct slice one = nl < 0 ? *s : slice_of(s->p, (size_t)nl);

	*s = slice_skip(*s, nl < 0 ? s->n : (size_t)nl + 1);
	return one;
}

static void
serve(const char *mechanism, bool bound, struct slice in)
{
	static const struct scram_binding bindings[] = {
		{ "tls-exporter", { "0123456789abcdef", 16 } },
		{ "tls-unique", { "0123456789ab", 12 } },
	};
	struct logins *logins = logins_new(&conf, NULL);
	struct sasl_server_options o = { mechanism, "relay.test", logins,
	    bindings, bound ? 2 : 0 };
	struct sasl_server *s = sasl_server_create(&o);
	enum sasl_server_result r = SASL_SERVER_CONTINUE;
	struct conf_secret secret;
	struct slice line, out;

	while (in.n > 0 && r == SASL_SERVER_CONTINUE) {
		line = next_line(&in);
		/* a blank in front: nothing was sent at all */
		r = sasl_server_take(s, line.n == 0 || line.p[0] != ' ',
		    line, &out);
	}
	if (r == SASL_SERVER_OK)
		abort();
	if (r == SASL_SERVER_CHECK)
		(void)sasl_server_password(s, &line, &secret);
	(void)strlen(sasl_server_login(s));
	sasl_server_destroy(&s);
	logins_free(&logins);
}

/* The nonce is known to whoever wrote the input. */
static void
consume(const char *hash, char gs2, struct slice in)
{
	const struct scram_binding binding = { "tls-exporter",
	    { "0123456789abcdef", 16 } };
	struct scram_client *c = scram_client_new(
	    scram_hash_find(slice_cstr(hash)), gs2, &binding, "joe,=",
	    SLICE_LIT("as long as nobody finds it"), "nonce");
	enum scram_client_result r = SCRAM_CLIENT_CONTINUE;
	struct slice out;

	r = scram_client_take(c, slice_of("", 0), &out);
	while (in.n > 0 && r == SCRAM_CLIENT_CONTINUE)
		r = scram_client_take(c, next_line(&in), &out);
	if (r == SCRAM_CLIENT_DONE || scram_client_why(c) == NULL)
		abort();
	scram_client_free(&c);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const mechanisms[] = { "PLAIN", "LOGIN",
		"CRAM-MD5", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS",
		"SCRAM-SHA-1", "SCRAM-SHA-1-PLUS" };
	struct scram_stored stored;
	struct slice in;
	char *text;

	if (size == 0)
		return 0;
	in = slice_of(data + 1, size - 1);
	switch (data[0] % 12) {
	case 7:
		consume("SCRAM-SHA-256", 'p', in);
		break;
	case 8:
		consume("SCRAM-SHA-1", 'n', in);
		break;
	case 9:
		serve("SCRAM-SHA-256", true, in);
		break;
	case 10:
	case 11:
		text = slice_dup(in);
		(void)scram_stored_parse(text, &stored);
		free(text);
		break;
	default:
		serve(mechanisms[data[0] % 12], data[0] % 12 > 2, in);
		break;
	}
	return 0;
}
