/* A port whose peer sends arbitrary packets: two octets of length, then that
 * many octets, again and again. */
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc/port.h"

static int
on_message(void *arg, struct port_message *m, struct err *e)
{
	size_t *got = arg;

	(void)e;
	*got += m->data.n + m->body.n;
	if (m->fd >= 0)
		close(m->fd);
	return 0;
}

static void
on_closed(void *arg, const struct err *why)
{
	(void)arg;
	(void)why;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct port_handler handler = {
		on_message, on_closed, NULL
	};
	struct err e;
	struct loop *loop = loop_new(&e);
	struct port *port;
	size_t got = 0, n;
	int sv[2];

	if (loop == NULL || socketpair(AF_UNIX, SOCK_SEQPACKET |
	    SOCK_NONBLOCK, 0, sv) < 0)
		abort();
	port = port_new(loop, sv[0], "fuzz", &handler, &got);
	while (size >= 2) {
		n = ((size_t)data[0] << 8 | data[1]) + 1;
		data += 2;
		size -= 2;
		if (n > size)
			n = size;
		if (n > 0)
			(void)!send(sv[1], data, n, MSG_NOSIGNAL);
		data += n;
		size -= n;
		loop_turn(loop, false);
	}
	loop_turn(loop, false);
	port_free(&port);
	close(sv[1]);
	loop_free(&loop);
	return 0;
}
