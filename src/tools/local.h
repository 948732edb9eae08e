/* What libexec/local can do; each returns an exit status of sysexits. */
#ifndef TOOLS_LOCAL_H
#define TOOLS_LOCAL_H

#include <stdbool.h>

#include "base/slice.h"

/* The message on standard input into the maildir. */
int local_maildir(const char *path);
/* One request of HTTP on standard input, a connection; the numbers come from
 * the control socket. */
int local_http(const char *socket_path);
enum http_request { HTTP_BAD, HTTP_METHOD, HTTP_UNKNOWN, HTTP_HEALTH,
	HTTP_READY, HTTP_METRICS };
/* What a request asks for; head: without the body. */
enum http_request http_request(struct slice request, bool *head);
/* A batch of the drop directory on standard input, to the daemon. */
int local_submit(const char *socket_path);

#endif
