/* Hosts in the URLs of HTTPS requests and of their proxies.  It brings libcurl
 * with it. */
#ifndef IO_HTTP_URL_H
#define IO_HTTP_URL_H

#include <stdbool.h>

/* A name that has to be looked up before the request can begin. */
struct http_name {
	char *host;			/* NULL: nothing to look up */
	unsigned port;
};

/* Host and port of a URL of https, or of a proxy's; false: it is none of these.
 * The caller frees name->host.  *remote: such a proxy looks names up itself. */
bool http_url_name(const char *url, bool proxy, struct http_name *name,
    bool *remote);

#endif
