/* One login to a next hop (auth; RFC 4422): SCRAM by scram_client.c, EXTERNAL
 * by saying nothing, the rest by libsasl2, which is handed one mechanism and
 * never chooses (its own order is not by what is safe here).  No
 * authorization name is sent, many providers refuse one.
 *
 * SCRAM prepares name and password by SASLprep.  PLAIN and LOGIN send them as
 * they are, though RFC 4616 wants PLAIN's prepared: a server that prepares
 * (GNU SASL's) does so with what it gets and loses nothing, and one that does
 * not (Cyrus SASL, Dovecot, most providers) knows the password only as it was
 * typed.  Clients with Cyrus SASL (Postfix) or GNU SASL (msmtp) send it as it
 * is, too. */
#include "auth/sasl_client.h"

#include <stdlib.h>

#include "auth/sasl_library.h"
#include "auth/scram_client.h"
#include "base/mem.h"

struct sasl_client {
	const struct mechanism *mechanism;
	struct scram_client *scram;	/* WAY_SCRAM */
	sasl_conn_t *conn;		/* WAY_LIBRARY */
	sasl_callback_t callbacks[5];
	char *username;
	char *realm;			/* NTLM: DOMAIN\name or name@DOMAIN */
	const char *realms[2];
	sasl_secret_t *password;
	size_t password_size;
	bool started;
	const char *why;
};

bool
sasl_client_has(const struct mechanism *m)
{
	return m->way != WAY_LIBRARY || sasl_library_has(m->name);
}

/* ---- libsasl2's questions ---- */

static int
get_name(void *context, int id, const char **result, unsigned *len)
{
	struct sasl_client *c = context;

	*result = id == SASL_CB_AUTHNAME ? c->username : "";
	if (len != NULL)
		*len = (unsigned)strlen(*result);
	return SASL_OK;
}

static int
get_secret(sasl_conn_t *conn, void *context, int id, sasl_secret_t **result)
{
	struct sasl_client *c = context;

	(void)conn;
	(void)id;
	*result = c->password;
	return SASL_OK;
}

/* The one behind the name, else the one that the server offers first. */
static int
get_realm(void *context, int id, const char **available, const char **result)
{
	struct sasl_client *c = context;

	(void)id;
	if (c->realm != NULL)
		*result = c->realm;
	else if (available != NULL && available[0] != NULL)
		*result = available[0];
	else
		*result = "";
	return SASL_OK;
}

static sasl_callback_t
callback(unsigned long id, int (*proc)(void), void *context)
{
	return (sasl_callback_t){ id, proc, context };
}

#define CALLBACK(f) ((int (*)(void))(void (*)(void))(f))

/* A Windows domain in front of the name is NTLM's realm. */
static void
split_realm(struct sasl_client *c)
{
	char *at = strchr(c->username, '\\');
	char *name;

	if (at == NULL || strcmp(c->mechanism->name, "NTLM") != 0)
		return;
	c->realm = mem_strndup(c->username, (size_t)(at - c->username));
	name = mem_strdup(at + 1);
	free(c->username);
	c->username = name;
}

static bool
begin_library(struct sasl_client *c, const struct sasl_client_options *o)
{
	c->username = mem_strdup(o->username);
	split_realm(c);
	c->password_size = sizeof(*c->password) + o->password.n;
	c->password = mem_zalloc(c->password_size);
	c->password->len = o->password.n;
	memcpy(c->password->data, o->password.p, o->password.n);
	c->callbacks[0] = callback(SASL_CB_AUTHNAME, CALLBACK(get_name), c);
	c->callbacks[1] = callback(SASL_CB_USER, CALLBACK(get_name), c);
	c->callbacks[2] = callback(SASL_CB_PASS, CALLBACK(get_secret), c);
	c->callbacks[3] = callback(SASL_CB_GETREALM, CALLBACK(get_realm), c);
	c->callbacks[4] = callback(SASL_CB_LIST_END, NULL, NULL);
	return sasl_client_new("smtp", o->host, NULL, NULL, c->callbacks, 0,
	    &c->conn) == SASL_OK && sasl_restrict(c->conn) == SASL_OK;
}

struct sasl_client *
sasl_client_create(const struct sasl_client_options *o)
{
	struct sasl_client *c = mem_zalloc(sizeof(*c));

	c->mechanism = o->mechanism;
	c->why = "libsasl2 failed";
	switch (o->mechanism->way) {
	case WAY_SCRAM:
		c->scram = scram_client_new(
		    scram_hash_find(slice_cstr(o->mechanism->name)), o->gs2,
		    &o->binding, o->username, o->password, NULL);
		break;
	case WAY_LIBRARY:
		if (!begin_library(c, o))
			sasl_client_destroy(&c);
		break;
	case WAY_EXTERNAL:
		c->username = mem_strdup(o->username != NULL ?
		    o->username : "");
		break;
	case WAY_TOKEN:
	case WAY_KERBEROS:
		sasl_client_destroy(&c);
		break;
	}
	return c;
}

void
sasl_client_destroy(struct sasl_client **cp)
{
	struct sasl_client *c = *cp;

	if (c == NULL)
		return;
	if (c->conn != NULL)
		sasl_dispose(&c->conn);
	scram_client_free(&c->scram);
	if (c->password != NULL)
		mem_wipe(c->password, c->password_size);
	free(c->password);
	free(c->username);
	free(c->realm);
	free(c);
	*cp = NULL;
}

/* ---- steps ---- */

static enum sasl_client_result
scram_result(struct sasl_client *c, enum scram_client_result r)
{
	c->why = scram_client_why(c->scram);
	switch (r) {
	case SCRAM_CLIENT_CONTINUE:
		return SASL_CLIENT_CONTINUE;
	case SCRAM_CLIENT_DONE:
		return SASL_CLIENT_DONE;
	case SCRAM_CLIENT_WORK:
		return SASL_CLIENT_WORK;
	case SCRAM_CLIENT_REFUSED:
		return SASL_CLIENT_REFUSED;
	case SCRAM_CLIENT_BROKEN:
	case SCRAM_CLIENT_FORGED:
		break;
	}
	return SASL_CLIENT_BROKEN;
}

static enum sasl_client_result
library_step(struct sasl_client *c, bool first, struct slice in,
    bool *has_out, struct slice *out)
{
	const char *text = NULL;
	unsigned n = 0;
	int r;

	if (first)
		r = sasl_client_start(c->conn, c->mechanism->name, NULL,
		    &text, &n, NULL);
	else
		r = sasl_client_step(c->conn, in.p, (unsigned)in.n, NULL,
		    &text, &n);
	*has_out = text != NULL;
	*out = slice_of(text != NULL ? text : "", text != NULL ? n : 0);
	switch (r) {
	case SASL_CONTINUE:
		return SASL_CLIENT_CONTINUE;
	case SASL_OK:
		return SASL_CLIENT_DONE;
	case SASL_BADPROT:
	case SASL_BADAUTH:
	case SASL_BADSERV:
		c->why = "the server broke the exchange";
		return SASL_CLIENT_BROKEN;
	default:
		return SASL_CLIENT_FAILED;
	}
}

/* The certificate says it all; a username beside it is whom to act for. */
static enum sasl_client_result
external_step(struct sasl_client *c, bool first, bool *has_out,
    struct slice *out)
{
	if (!first) {
		c->why = "the server asks on behind EXTERNAL";
		return SASL_CLIENT_BROKEN;
	}
	*has_out = true;
	*out = slice_cstr(c->username);
	return SASL_CLIENT_DONE;
}

enum sasl_client_result
sasl_client_take(struct sasl_client *c, struct slice in, bool *has_out,
    struct slice *out)
{
	bool first = !c->started;

	c->started = true;
	if (c->scram != NULL) {
		*has_out = true;
		return scram_result(c, scram_client_take(c->scram, in, out));
	}
	if (c->mechanism->way == WAY_EXTERNAL)
		return external_step(c, first, has_out, out);
	return library_step(c, first, in, has_out, out);
}

void
sasl_client_work(struct sasl_client *c)
{
	scram_client_work(c->scram);
}

enum sasl_client_result
sasl_client_worked(struct sasl_client *c, bool *has_out, struct slice *out)
{
	*has_out = true;
	return scram_result(c, scram_client_worked(c->scram, out));
}

const char *
sasl_client_why(const struct sasl_client *c)
{
	return c->why;
}

bool
sasl_client_unbound(const struct sasl_client *c)
{
	return c->scram != NULL && scram_client_unbound(c->scram);
}
