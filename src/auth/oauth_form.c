/* Forms and URLs (auth; RFC 6749 appendix B, RFC 7636, RFC 3986). */
#include "auth/oauth_form.h"

#include <openssl/sha.h>

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rand.h"
#include "io/base64.h"

static bool
is_unreserved(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' ||
	    c == '~';
}

void
oauth_form_add(struct strbuf *form, const char *name, const char *value)
{
	if (value == NULL || value[0] == '\0')
		return;
	if (form->n > 0)
		strbuf_putc(form, '&');
	strbuf_puts(form, name);
	strbuf_putc(form, '=');
	for (; *value != '\0'; value++) {
		if (is_unreserved(*value))
			strbuf_putc(form, *value);
		else
			strbuf_printf(form, "%%%02X", (unsigned char)*value);
	}
}

static int
hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool
decode(struct slice s, struct strbuf *out)
{
	int high, low;
	size_t i;

	for (i = 0; i < s.n; i++) {
		if (s.p[i] == '+') {
			strbuf_putc(out, ' ');
			continue;
		}
		if (s.p[i] != '%') {
			strbuf_putc(out, s.p[i]);
			continue;
		}
		if (i + 2 >= s.n || (high = hex(s.p[i + 1])) < 0 ||
		    (low = hex(s.p[i + 2])) < 0 || (high | low) == 0)
			return false;
		strbuf_putc(out, (char)(high << 4 | low));
		i += 2;
	}
	return true;
}

bool
oauth_query_get(struct slice url, const char *name, struct strbuf *out)
{
	size_t n = strlen(name), before = out->n;
	long at = slice_find(url, '?');
	struct slice part;

	if (at >= 0)
		url = slice_skip(url, (size_t)at + 1);
	at = slice_find(url, '#');
	if (at >= 0)
		url.n = (size_t)at;
	while (url.n > 0) {
		at = slice_find(url, '&');
		part = slice_of(url.p, at >= 0 ? (size_t)at : url.n);
		url = slice_skip(url, part.n + (at >= 0 ? 1 : 0));
		if (part.n <= n || part.p[n] != '=' ||
		    memcmp(part.p, name, n) != 0)
			continue;
		if (decode(slice_skip(part, n + 1), out))
			return true;
		out->n = before;
		return false;
	}
	return false;
}

void
oauth_base64url(struct slice raw, struct strbuf *out)
{
	size_t i = out->n;

	base64_encode(raw, out);
	for (; i < out->n; i++) {
		if (out->p[i] == '+')
			out->p[i] = '-';
		else if (out->p[i] == '/')
			out->p[i] = '_';
		else if (out->p[i] == '=')
			break;
	}
	if (out->p != NULL) {
		out->n = i;
		out->p[i] = '\0';
	}
}

void
oauth_random(struct strbuf *out)
{
	unsigned char raw[32];

	rand_bytes(raw, sizeof(raw));
	oauth_base64url(slice_of(raw, sizeof(raw)), out);
	mem_wipe(raw, sizeof(raw));
}

void
oauth_challenge(struct slice verifier, struct strbuf *out)
{
	unsigned char hash[SHA256_DIGEST_LENGTH];

	SHA256((const unsigned char *)verifier.p, verifier.n, hash);
	oauth_base64url(slice_of(hash, sizeof(hash)), out);
}
