/*
 * `relayctl oauth ...`: the caller goes to auth, which alone knows tokens.
 * Run by queue, which has seen who it is.
 */
#include <fcntl.h>
#include <string.h>

#include "queue/control_private.h"
#include "queue/internal.h"

static bool
fits(const char *s, size_t most)
{
	return s == NULL || strlen(s) <= most;
}

enum step
control_oauth(struct caller *cl)
{
	const struct control_request *r = &cl->req;
	struct msg_oauth_call m = { .command = r->command, .name = r->name,
	    .flow = r->flow, .url = r->url, .port = r->port };
	int fd;

	if (!fits(m.name, MSG_OAUTH_NAME_MAX) ||
	    !fits(m.flow, MSG_OAUTH_NAME_MAX) ||
	    !fits(m.url, MSG_OAUTH_URL_MAX))
		return caller_end(cl, CTL_USAGE, "it is too long");
	fd = cl->conn != NULL ? fcntl(conn_fd(cl->conn), F_DUPFD_CLOEXEC, 3) :
	    -1;
	if (fd < 0 || !auths_call(cl->c->q, &m, fd))
		return caller_end(cl, CTL_UNAVAILABLE, "auth is being "
		    "started anew: try again in a moment");
	/* It is auth's now; not a word from here. */
	conn_abort(&cl->conn);
	return STEP_END;
}
