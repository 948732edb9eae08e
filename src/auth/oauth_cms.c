/*
 * The client of a CMS broker (auth): asks "SMTP user@domain", ends its side,
 * reads the XOAUTH2 string to its end.  No answer at all is the broker's way
 * to say that it has no token: temporary, as is everything that goes wrong
 * here.
 */
#include <sys/socket.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/oauth_form.h"
#include "auth/oauth_private.h"
#include "base/mem.h"
#include "io/conn.h"

#define ANSWER_MAX 65536u
#define LIMIT_MS 20000u

struct oauth_cms {
	struct conn *conn;
	char *user;
	oauth_cms_cb *cb;
	void *arg;
};

void
oauth_cms_stop(struct oauth_cms **cp)
{
	struct oauth_cms *c = *cp;

	*cp = NULL;
	if (c == NULL)
		return;
	conn_abort(&c->conn);
	free(c->user);
	free(c);
}

static void
finish(struct oauth_cms *c, char *token, const char *why)
{
	oauth_cms_cb *cb = c->cb;
	void *arg = c->arg;

	oauth_cms_stop(&c);
	cb(arg, token, why);
}

/* "user=U^Aauth=TYPE TOKEN^A^A" */
static char *
read_answer(const struct oauth_cms *c, struct slice in, const char **why)
{
	size_t n = strlen(c->user);
	struct slice type, rest;
	long end;
	size_t i;

	*why = "the broker's answer makes no sense";
	if (in.n < 5 || memcmp(in.p, "user=", 5) != 0)
		return NULL;
	in = slice_skip(in, 5);
	end = slice_find(in, '\001');
	if (end < 0)
		return NULL;
	if ((size_t)end != n || !slice_eq_case(slice_of(in.p, n),
	    slice_cstr(c->user))) {
		*why = "the broker's answer is for another user";
		return NULL;
	}
	in = slice_skip(in, n + 1);
	if (in.n < 5 || memcmp(in.p, "auth=", 5) != 0)
		return NULL;
	in = slice_skip(in, 5);
	end = slice_find(in, '\001');
	if (end < 0)
		return NULL;
	rest = slice_of(in.p, (size_t)end);
	if (!slice_word(&rest, &type) || type.n == 0)
		return NULL;
	rest = slice_trim(rest);
	for (i = 0; i < rest.n; i++)
		if (rest.p[i] <= ' ' || rest.p[i] >= 0x7f)
			return NULL;
	return rest.n > 0 && rest.n <= 10000 ? slice_dup(rest) : NULL;
}

static void
on_readable(void *arg)
{
	struct oauth_cms *c = arg;

	if (conn_input(c->conn).n > ANSWER_MAX)
		finish(c, NULL, "the broker's answer is too long");
}

static void
on_closed(void *arg, const struct err *why)
{
	struct oauth_cms *c = arg;
	struct slice in = conn_input(c->conn);
	const char *text = NULL;
	char *token;

	if (why != NULL) {
		finish(c, NULL, conn_end(c->conn) == CONN_TIMEOUT ?
		    "the broker does not answer" : "the broker broke off");
		return;
	}
	if (in.n == 0) {
		finish(c, NULL, "the broker has no token");
		return;
	}
	token = read_answer(c, in, &text);
	finish(c, token, token == NULL ? text : NULL);
}

struct oauth_cms *
oauth_cms_start(struct loop *l, int fd, const char *user, oauth_cms_cb *cb,
    void *arg)
{
	static const struct conn_events events = {
		on_readable, NULL, NULL, on_closed
	};
	struct oauth_cms *c = mem_zalloc(sizeof(*c));

	c->user = mem_strdup(user);
	c->cb = cb;
	c->arg = arg;
	c->conn = conn_new(l, fd, &events, c);
	conn_read_limit(c->conn, ANSWER_MAX + 1);
	conn_timeout(c->conn, LIMIT_MS);
	conn_printf(c->conn, "SMTP %s", user);
	conn_flush(c->conn);
	/* A socket of the machine takes so little at once. */
	(void)shutdown(conn_fd(c->conn), SHUT_WR);
	return c;
}
