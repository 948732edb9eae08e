/* libsasl2 as client (auth; RFC 4422, 4616).  It is handed one mechanism and
 * never chooses (its own order is not by what is safe here); no authorization
 * name is sent, many providers refuse one. */
#include "auth/sasl_client.h"

#include <stdlib.h>

#include "auth/sasl_library.h"
#include "base/mem.h"

struct sasl_client {
	sasl_conn_t *conn;
	sasl_callback_t callbacks[4];
	const char *mechanism;
	char *username;
	sasl_secret_t *password;
	size_t password_size;
	bool started;
};

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

static sasl_callback_t
callback(unsigned long id, int (*proc)(void), void *context)
{
	return (sasl_callback_t){ id, proc, context };
}

#define CALLBACK(f) ((int (*)(void))(void (*)(void))(f))

struct sasl_client *
sasl_client_create(const char *host, const char *mechanism,
    const char *username, struct slice password)
{
	struct sasl_client *c = mem_zalloc(sizeof *c);

	c->mechanism = mechanism;
	c->username = mem_strdup(username);
	c->password_size = sizeof *c->password + password.n;
	c->password = mem_zalloc(c->password_size);
	c->password->len = password.n;
	memcpy(c->password->data, password.p, password.n);
	c->callbacks[0] = callback(SASL_CB_AUTHNAME, CALLBACK(get_name), c);
	c->callbacks[1] = callback(SASL_CB_USER, CALLBACK(get_name), c);
	c->callbacks[2] = callback(SASL_CB_PASS, CALLBACK(get_secret), c);
	c->callbacks[3] = callback(SASL_CB_LIST_END, NULL, NULL);
	if (sasl_client_new("smtp", host, NULL, NULL, c->callbacks, 0,
	    &c->conn) != SASL_OK || sasl_restrict(c->conn) != SASL_OK)
		sasl_client_destroy(&c);
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
	mem_wipe(c->password, c->password_size);
	free(c->password);
	free(c->username);
	free(c);
	*cp = NULL;
}

enum sasl_client_result
sasl_client_take(struct sasl_client *c, struct slice in, bool *has_out,
    struct slice *out)
{
	const char *text = NULL;
	unsigned n = 0;
	bool first = !c->started;
	int r;

	c->started = true;
	if (first)
		r = sasl_client_start(c->conn, c->mechanism, NULL, &text, &n,
		    NULL);
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
		return SASL_CLIENT_BROKEN;
	default:
		return SASL_CLIENT_FAILED;
	}
}
