/*
 * local submit SOCKET: a message that waited in the drop directory, as a
 * batch on standard input, handed to the daemon as its writer.
 */
#include "tools/local.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "tools/sendmail.h"

#define BATCH_MOST (1024u * 1024 * 1024)	/* octets */

/* A batch is complete when it ends in the final dot. */
static bool
complete(const struct strbuf *b)
{
	return b->n > 5 && strncmp(b->p, "MAIL FROM:<", 11) == 0 &&
	    memcmp(b->p + b->n - 5, "\r\n.\r\n", 5) == 0;
}

int
local_submit(const char *socket_path)
{
	struct strbuf batch = STRBUF_INIT, reply = STRBUF_INIT;
	int status = EX_DATAERR;
	ssize_t n;

	while ((n = read(STDIN_FILENO, strbuf_room(&batch, 65536), 65536)) !=
	    0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 || batch.n > BATCH_MOST)
			break;
		batch.n += (size_t)n;
	}
	if (n == 0 && complete(&batch))
		status = sendmail_submit(socket_path, &batch, false, NULL,
		    &reply);
	else
		strbuf_puts(&reply, "not a complete message");
	if (status != 0)
		fprintf(stderr, "%s\n", strbuf_cstr(&reply));
	strbuf_free(&batch);
	strbuf_free(&reply);
	return status;
}
