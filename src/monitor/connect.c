/*
 * UNIX sockets of transports (`lmtp unix:PATH`): delivery, which opens no
 * files, asks for one by the transport's name, and gets it connected.  Run by
 * monitor; never waits: a server whose queue is full is a server that is busy.
 */
#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "monitor/monitor.h"

static int
connect_path(const char *path, struct err *e)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(sun.sun_path))
		return err_set(e, ENAMETOOLONG, "%s: the path is too long "
		    "for a socket", path);
	strcpy(sun.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&sun,
	    sizeof(sun)) == 0)
		return fd;
	err_set(e, errno, "%s", errno == EAGAIN ? "the server is busy" :
	    strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

int
connect_socket(struct process *p, struct port_message *msg, struct err *e)
{
	struct msg_connected answer = { .passing = false };
	const struct conf_transport *t;
	struct strbuf b = STRBUF_INIT;
	struct err why = { ENOENT, "the transport is not there any more" };
	struct msg_connect m;
	int fd = -1;

	if (msg->fd >= 0)
		close(msg->fd);
	if (msg_connect_decode(msg->data, &m) < 0)
		return err_set(e, EPROTO, "a request for a socket is garbage");
	t = conf_transport_get(p->m->conf, m.transport);
	if (t != NULL && t->lmtp_path != NULL)
		fd = connect_path(t->lmtp_path, &why);
	if (fd < 0)
		snprintf(answer.text, sizeof(answer.text), "%s", why.text);
	msg_connected_encode(&b, &answer);
	if (fd >= 0)
		port_reply_fd(p->port, MSG_CONNECTED, msg->ref,
		    strbuf_slice(&b), fd);
	else
		port_send_reply(p->port, MSG_CONNECTED, msg->ref,
		    strbuf_slice(&b));
	strbuf_free(&b);
	msg_connect_clear(&m);
	return 0;
}
