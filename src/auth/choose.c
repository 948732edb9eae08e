/* Choosing the mechanism for a next hop (auth; RFC 4422, RFC 5802 6, RFC
 * 7628).  One table, gone through once for each kind of credential that is
 * held.  What was named in the configuration is never left for anything
 * else: where the server lacks it, the login fails and says so. */
#include "auth/choose.h"

#include <stdio.h>
#include <string.h>

#include "base/strbuf.h"

/* Binding comes before the hash: to take a stronger hash without it where
 * the server can bind would look like an attack to the server. */
const struct mechanism mechanisms[] = {
	{ "OAUTHBEARER", HOLDS_TOKEN, WAY_TOKEN, SHOWS_SECRET },
	{ "XOAUTH2", HOLDS_TOKEN, WAY_TOKEN, SHOWS_SECRET },
	{ "SCRAM-SHA-256-PLUS", HOLDS_PASSWORD, WAY_SCRAM, BINDS },
	{ "SCRAM-SHA-1-PLUS", HOLDS_PASSWORD, WAY_SCRAM, BINDS },
	{ "SCRAM-SHA-256", HOLDS_PASSWORD, WAY_SCRAM, 0 },
	{ "SCRAM-SHA-1", HOLDS_PASSWORD, WAY_SCRAM, 0 },
	{ "PLAIN", HOLDS_PASSWORD, WAY_LIBRARY, SHOWS_SECRET },
	{ "LOGIN", HOLDS_PASSWORD, WAY_LIBRARY, SHOWS_SECRET },
	{ "CRAM-MD5", HOLDS_PASSWORD, WAY_LIBRARY, ON_REQUEST },
	{ "DIGEST-MD5", HOLDS_PASSWORD, WAY_LIBRARY, ON_REQUEST },
	{ "NTLM", HOLDS_PASSWORD, WAY_LIBRARY, ON_REQUEST },
	{ "EXTERNAL", HOLDS_CERTIFICATE, WAY_EXTERNAL, 0 },
	{ "GSSAPI", HOLDS_KERBEROS, WAY_KERBEROS, 0 },
	{ NULL, 0, WAY_LIBRARY, 0 },
};

const struct mechanism *
mechanism_find(struct slice name)
{
	const struct mechanism *m;

	for (m = mechanisms; m->name != NULL; m++)
		if (slice_eq_case_cstr(name, m->name))
			return m;
	return NULL;
}

static bool
is_offered(const struct choose *in, const char *name)
{
	struct slice list = in->offered, word;

	while (slice_word(&list, &word))
		if (slice_eq_case_cstr(word, name))
			return true;
	return false;
}

static bool
is_named(const struct choose *in, const char *name)
{
	size_t i;

	for (i = 0; i < in->allowed->n; i++)
		if (slice_eq_case_cstr(slice_cstr(in->allowed->v[i]), name))
			return true;
	return false;
}

/* What keeps one that is offered from being taken. */
enum obstacle { NOTHING, OTHER_KIND, NOT_NAMED, NOT_HERE, NOT_SECURE,
	NO_BINDING, NOT_ASKED_FOR };

static enum obstacle
obstacle_of(const struct choose *in, const struct mechanism *m, unsigned kind)
{
	bool named = is_named(in, m->name);

	if ((m->kind & kind) == 0)
		return OTHER_KIND;
	if (in->allowed->n > 0 && !named)
		return NOT_NAMED;
	if (in->has != NULL && !in->has(m))
		return NOT_HERE;
	if ((m->flags & SHOWS_SECRET) != 0 && !in->secure)
		return NOT_SECURE;
	if ((m->flags & BINDS) != 0 && !in->binding)
		return NO_BINDING;
	if ((m->flags & ON_REQUEST) != 0 && !named)
		return NOT_ASKED_FOR;
	return NOTHING;
}

/* Microsoft's servers know one of the two. */
static bool
is_second(const struct choose *in, const struct mechanism *m, unsigned kind)
{
	return in->prefer_xoauth2 && m->way == WAY_TOKEN &&
	    strcmp(m->name, "XOAUTH2") != 0 && is_offered(in, "XOAUTH2") &&
	    obstacle_of(in, mechanism_find(SLICE_LIT("XOAUTH2")), kind) ==
	    NOTHING;
}

static const struct mechanism *
strongest(const struct choose *in, unsigned kind, enum obstacle last_resort)
{
	const struct mechanism *m;
	enum obstacle o;

	for (m = mechanisms; m->name != NULL; m++) {
		if (!is_offered(in, m->name) || is_second(in, m, kind))
			continue;
		o = obstacle_of(in, m, kind);
		if (o == NOTHING || o == last_resort)
			return m;
	}
	return NULL;
}

/* RFC 5802 6: "y" where we could bind and think that the server cannot; who
 * offers any -PLUS would take that for an attack. */
static char
gs2_flag(const struct choose *in, const struct mechanism *m)
{
	const struct mechanism *o;

	if (m->way != WAY_SCRAM)
		return 'n';
	if ((m->flags & BINDS) != 0)
		return 'p';
	if (!in->binding)
		return 'n';
	for (o = mechanisms; o->name != NULL; o++)
		if ((o->flags & BINDS) != 0 && is_offered(in, o->name))
			return 'n';
	return 'y';
}

/* ---- why not ---- */

static void
put_names(struct strbuf *b, const struct conf_list *list)
{
	size_t i;

	for (i = 0; i < list->n; i++)
		strbuf_printf(b, "%s%s", i > 0 ? " " : "", list->v[i]);
}

/* An obstacle that something offered has met, for any kind held. */
static bool
met(const struct choose *in, enum obstacle which, const char **name)
{
	const struct mechanism *m;
	unsigned kind;

	for (kind = 1; kind <= HOLDS_LAST; kind <<= 1) {
		for (m = mechanisms; (in->held & kind) != 0 &&
		    m->name != NULL; m++) {
			if (!is_offered(in, m->name) ||
			    obstacle_of(in, m, kind) != which)
				continue;
			*name = m->name;
			return true;
		}
	}
	return false;
}

/* Kinds of credential that the server would take. */
static unsigned
kinds_offered(const struct choose *in)
{
	const struct mechanism *m;
	unsigned kinds = 0;

	for (m = mechanisms; m->name != NULL; m++)
		if (is_offered(in, m->name))
			kinds |= m->kind;
	return kinds;
}

static const char *
what_to_hold(unsigned kinds)
{
	if ((kinds & HOLDS_PASSWORD) != 0)
		return "a password is needed (`username` and `password`)";
	if ((kinds & HOLDS_TOKEN) != 0)
		return "a token is needed (`oauth2`)";
	if ((kinds & HOLDS_CERTIFICATE) != 0)
		return "a client certificate is needed (`certificate`)";
	if ((kinds & HOLDS_KERBEROS) != 0)
		return "a Kerberos ticket is needed (`kerberos`)";
	return "we know none of them";
}

static void
tell_why(const struct choose *in, struct choice *out)
{
	struct strbuf b = STRBUF_INIT;
	unsigned kinds = kinds_offered(in);
	const char *name = "";

	strbuf_puts(&b, "no common AUTH mechanism: the server offers ");
	strbuf_add_slice(&b, slice_of(in->offered.p,
	    in->offered.n < 150 ? in->offered.n : 150));
	if (in->offered.n == 0)
		strbuf_puts(&b, "none");
	if (met(in, NOT_SECURE, &name)) {
		strbuf_puts(&b, "; the password is not shown to a server "
		    "that is neither verified nor pinned");
	} else if (met(in, NOT_HERE, &name)) {
		strbuf_printf(&b, "; %s is not on this machine: install "
		    "libsasl2-modules", name);
	} else if (met(in, NO_BINDING, &name)) {
		strbuf_printf(&b, "; %s needs TLS 1.3, or TLS 1.2 with the "
		    "extended master secret", name);
	} else if (in->allowed->n > 0) {
		strbuf_puts(&b, ", `auth-mechanisms` allows only ");
		put_names(&b, in->allowed);
	} else if (met(in, NOT_ASKED_FOR, &name)) {
		strbuf_printf(&b, "; %s is taken without verified TLS only "
		    "where `auth-mechanisms` names it", name);
	} else {
		strbuf_printf(&b, "; %s", what_to_hold(kinds));
	}
	snprintf(out->why, sizeof(out->why), "%s", strbuf_cstr(&b));
	strbuf_free(&b);
}

void
choose_mechanism(const struct choose *in, struct choice *out)
{
	const struct mechanism *m = NULL;
	unsigned kind;

	memset(out, 0, sizeof(*out));
	for (kind = 1; m == NULL && kind <= HOLDS_LAST; kind <<= 1) {
		if ((in->held & kind) == 0)
			continue;
		m = strongest(in, kind, NOTHING);
		if (m == NULL && in->secure && in->allowed->n == 0)
			m = strongest(in, kind, NOT_ASKED_FOR);
	}
	out->mechanism = m;
	if (m != NULL)
		out->gs2 = gs2_flag(in, m);
	else
		tell_why(in, out);
}
