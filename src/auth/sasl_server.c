/* libsasl2 as server, with exactly one mechanism at a time (auth; RFC 4422,
 * 4616).  The password is checked by us in its callback; a client that breaks
 * the exchange is refused like one that does not know the password. */
#include "auth/sasl_server.h"

#include <stdlib.h>

#include "auth/password.h"
#include "auth/sasl_library.h"
#include "base/mem.h"

struct sasl_server {
	const struct conf *conf;
	const struct secret_source *secrets;
	const char *mechanism;
	sasl_conn_t *conn;
	sasl_callback_t callbacks[2];
	const struct conf_login *login;	/* whose password was right */
	bool started;
};

static int
check_password(sasl_conn_t *conn, void *context, const char *user,
    const char *password, unsigned len, struct propctx *props)
{
	struct sasl_server *s = context;

	(void)conn;
	(void)props;
	s->login = auth_password_login(s->conf, s->secrets, user,
	    slice_of(password, len));
	return s->login != NULL ? SASL_OK : SASL_BADAUTH;
}

struct sasl_server *
sasl_server_create(const struct conf *conf,
    const struct secret_source *secrets, const char *mechanism)
{
	struct sasl_server *s = mem_zalloc(sizeof *s);

	s->conf = conf;
	s->secrets = secrets;
	s->mechanism = mechanism;
	s->callbacks[0].id = SASL_CB_SERVER_USERDB_CHECKPASS;
	s->callbacks[0].proc =
	    (int (*)(void))(void (*)(void))check_password;
	s->callbacks[0].context = s;
	s->callbacks[1].id = SASL_CB_LIST_END;
	if (sasl_server_new("smtp", conf->hostname, NULL, NULL, NULL,
	    s->callbacks, 0, &s->conn) != SASL_OK ||
	    sasl_restrict(s->conn) != SASL_OK)
		sasl_server_destroy(&s);
	return s;
}

void
sasl_server_destroy(struct sasl_server **sp)
{
	struct sasl_server *s = *sp;

	if (s == NULL)
		return;
	if (s->conn != NULL)
		sasl_dispose(&s->conn);
	free(s);
	*sp = NULL;
}

static enum sasl_server_result
finished(struct sasl_server *s)
{
	const void *user = NULL;

	/* The name that was authorized must be the one that was checked. */
	if (s->login == NULL ||
	    sasl_getprop(s->conn, SASL_USERNAME, &user) != SASL_OK ||
	    user == NULL || strcmp(user, s->login->name) != 0)
		return SASL_SERVER_REFUSED;
	return SASL_SERVER_OK;
}

enum sasl_server_result
sasl_server_take(struct sasl_server *s, bool has_in, struct slice in,
    struct slice *out)
{
	const char *text = NULL;
	unsigned n = 0;
	int r;

	if (s->started)
		r = sasl_server_step(s->conn, in.p, (unsigned)in.n, &text, &n);
	else
		r = sasl_server_start(s->conn, s->mechanism,
		    has_in ? in.p : NULL, has_in ? (unsigned)in.n : 0, &text,
		    &n);
	s->started = true;
	*out = slice_of(text != NULL ? text : "", text != NULL ? n : 0);
	switch (r) {
	case SASL_CONTINUE:
		return SASL_SERVER_CONTINUE;
	case SASL_OK:
		return finished(s);
	case SASL_NOMEM:
	case SASL_NOTINIT:
		return SASL_SERVER_FAILED;
	default:
		return SASL_SERVER_REFUSED;
	}
}

const char *
sasl_server_login(const struct sasl_server *s)
{
	return s->login->name;
}
