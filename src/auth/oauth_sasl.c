/*
 * Tokens in SASL (auth): XOAUTH2 as Google and Microsoft document it, and
 * OAUTHBEARER (RFC 7628).  A challenge is always an error in JSON: one wants
 * an empty answer to it, the other a single ^A, then the reply follows.
 */
#include "auth/oauth_sasl.h"

#include <stdlib.h>
#include <string.h>

#include "auth/scram.h"
#include "base/json_reader.h"

void
oauth_sasl_first(bool bearer, const char *user, const char *token,
    const char *host, unsigned port, struct strbuf *out)
{
	if (!bearer) {
		strbuf_printf(out, "user=%s\001auth=Bearer %s\001\001", user,
		    token);
		return;
	}
	strbuf_puts(out, "n,a=");
	scram_name_put(out, user);
	strbuf_puts(out, ",\001");
	if (host != NULL)
		strbuf_printf(out, "host=%s\001", host);
	if (port != 0)
		strbuf_printf(out, "port=%u\001", port);
	strbuf_printf(out, "auth=Bearer %s\001\001", token);
}

static void
put_member(struct strbuf *said, struct slice json, const char *name)
{
	struct json_member m;
	size_t i;

	if (!json_member_find(json, name, &m) || m.value.n > 200)
		return;
	strbuf_printf(said, "%s%s=", said->n > 0 ? " " : "", name);
	for (i = 0; i < m.value.n; i++)
		strbuf_putc(said, m.value.p[i] >= ' ' && m.value.p[i] < 0x7f ?
		    m.value.p[i] : '?');
}

void
oauth_sasl_error(bool bearer, struct slice challenge, struct strbuf *out,
    struct strbuf *said)
{
	struct err e;

	if (bearer)
		strbuf_putc(out, '\001');
	if (json_object_check(challenge, &e) < 0)
		return;
	put_member(said, challenge, "status");
	put_member(said, challenge, "scope");
	put_member(said, challenge, "schemes");
	put_member(said, challenge, "openid-configuration");
}
