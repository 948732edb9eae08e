/* base64 by OpenSSL, with what it is too lenient about checked before
 *: its decoder skips blanks and knows nothing of padding. */
#include "io/base64.h"

#include <openssl/evp.h>

#define INPUT_MAX 65536

void
base64_encode(struct slice raw, struct strbuf *out)
{
	size_t n = (raw.n + 2) / 3 * 4;
	char *to;

	if (raw.n == 0 || raw.n > INPUT_MAX)
		return;
	to = strbuf_room(out, n + 1);
	EVP_EncodeBlock((unsigned char *)to, (const unsigned char *)raw.p,
	    (int)raw.n);
	out->n += n;
}

static bool
in_alphabet(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	    (c >= '0' && c <= '9') || c == '+' || c == '/';
}

int
base64_decode(struct slice text, struct strbuf *out)
{
	size_t pad = 0, i;
	char *to;
	int n;

	if (text.n == 0 || slice_eq_cstr(text, "="))
		return 0;
	if (text.n % 4 != 0 || text.n > INPUT_MAX)
		return -1;
	while (pad < 2 && text.p[text.n - 1 - pad] == '=')
		pad++;
	for (i = 0; i < text.n - pad; i++)
		if (!in_alphabet(text.p[i]))
			return -1;
	to = strbuf_room(out, text.n / 4 * 3 + 1);
	n = EVP_DecodeBlock((unsigned char *)to,
	    (const unsigned char *)text.p, (int)text.n);
	if (n < 0 || (size_t)n < pad)
		return -1;
	out->n += (size_t)n - pad;
	out->p[out->n] = '\0';
	return 0;
}
