/*
 * Whom an HTTPS request talks to: the host in its URL, and its proxy's.  Run by
 * auth, delivery and relayctl.
 */
#include "io/http_url.h"

#include <curl/curl.h>

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/slice.h"
#include "io/sockaddr.h"

static bool
is_literal(const char *host)
{
	struct sockaddr_storage sa;

	return host[0] == '[' || sockaddr_from_ip(slice_cstr(host), 0, &sa);
}

/* libcurl tells one that it does not know in full, with its password. */
static bool
is_proxy_scheme(const char *scheme)
{
	static const char *const known[] = { "http", "https", "socks4",
	    "socks4a", "socks5", "socks5h" };
	size_t i;

	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(scheme, known[i]) == 0)
			return true;
	return false;
}

bool
http_url_name(const char *url, bool proxy, struct http_name *name,
    bool *remote)
{
	char *host = NULL, *port = NULL, *scheme = NULL;
	CURLU *u = curl_url();
	bool good = false;

	if (u == NULL || curl_url_set(u, CURLUPART_URL, url, proxy ?
	    CURLU_NON_SUPPORT_SCHEME | CURLU_GUESS_SCHEME : 0) != CURLUE_OK ||
	    curl_url_get(u, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
	    curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK)
		goto out;
	if (proxy ? !is_proxy_scheme(scheme) : strcmp(scheme, "https") != 0)
		goto out;
	if (curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) !=
	    CURLUE_OK)
		port = NULL;
	name->port = port != NULL ? (unsigned)strtoul(port, NULL, 10) :
	    1080;
	name->host = is_literal(host) ? NULL : mem_strdup(host);
	/* Such a proxy is told an address, not a name. */
	*remote = strcmp(scheme, "socks5") != 0 &&
	    strcmp(scheme, "socks4") != 0;
	good = true;
out:
	curl_free(host);
	curl_free(port);
	curl_free(scheme);
	curl_url_cleanup(u);
	return good;
}
