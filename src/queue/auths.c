/*
 * The channel to auth.  Run by queue.  A command about OAuth2 is handed on
 * with the caller's own socket: what auth then tells him, a token too, never
 * passes here.  What auth has to say is that a credential is good again.
 */
#include <errno.h>
#include <unistd.h>

#include "base/log.h"
#include "queue/internal.h"

/* What waits for want of it need not wait any longer. */
static int
credential_new(struct queue *q, struct slice data, struct err *e)
{
	struct msg_credential_new m;

	if (msg_credential_new_decode(data, &m) < 0)
		return err_set(e, EPROTO, "a credential that is garbage");
	log_begin(LL_INFO, "credential");
	log_str("transport", m.transport);
	log_str("text", "there is something new to log in with");
	log_end();
	park_credential(q, m.transport);
	msg_credential_new_clear(&m);
	return 0;
}

static int
auths_message(void *arg, struct port_message *m, struct err *e)
{
	struct peer *p = arg;

	if (m->fd >= 0)
		close(m->fd);
	if (m->fd < 0 && m->type == MSG_CREDENTIAL_NEW)
		return credential_new(p->q, m->data, e);
	return err_set(e, EPROTO, "message %u is not for the queue", m->type);
}

const struct port_handler auths_handler = {
	auths_message, peer_closed, NULL
};

bool
auths_call(struct queue *q, const struct msg_oauth_call *m, int fd)
{
	struct peer *p = TAILQ_LAST(&q->auths, peer_list);
	struct strbuf b = STRBUF_INIT;

	if (p == NULL) {
		close(fd);
		return false;
	}
	msg_oauth_call_encode(&b, m);
	port_send_fd(p->port, MSG_OAUTH_CALL, 0, strbuf_slice(&b), fd);
	strbuf_free(&b);
	return true;
}
