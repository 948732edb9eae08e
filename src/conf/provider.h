/* What is known of mail providers: where they take mail, what they limit, and
 * how their OAuth2 is reached.  All of it is a default; what the configuration
 * says counts more. */
#ifndef CONF_PROVIDER_H
#define CONF_PROVIDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* {tenant} in an endpoint is filled in.  NULL: there is none. */
struct conf_oauth_provider {
	const char *name;
	const char *authorize, *token, *device, *revoke;
	const char *smtp, *imap;	/* scopes of a user's token */
	const char *app;		/* of client credentials */
	const char *tenant;		/* where none is written */
	const char *extra;		/* of an authorization, "&a=b..." */
	bool microsoft;
};

/* NULL: there is none of this name. */
const struct conf_oauth_provider *conf_oauth_provider_find(const char *name);
const struct conf_oauth_provider *conf_oauth_provider_at(size_t i);

struct conf_provider {
	const char *name;
	const char *host;		/* {region} is filled in */
	unsigned port;
	const char *tls;		/* "starttls" or "implicit" */
	const char *mechanisms;
	/* 0: none that is known */
	uint64_t size;			/* octets */
	unsigned connections, messages, recipients;
	uint64_t rate, per;		/* messages in ms */
	uint64_t daily;			/* messages */
	const char *oauth;		/* of the table above, or NULL */
	const char *note;
};

/* By name, `ses-REGION` too; NULL: there is none. */
const struct conf_provider *conf_provider_find(const char *name);
/* NULL behind the last. */
const struct conf_provider *conf_provider_at(size_t i);
/* The nearest name for a message: ", did you mean `X`?" or "". */
const char *conf_provider_suggest(const char *name, char *buf, size_t n);
/* Its host with the region of the name filled in; returns buf. */
const char *conf_provider_host(const struct conf_provider *p,
    const char *name, char *buf, size_t n);

#endif
