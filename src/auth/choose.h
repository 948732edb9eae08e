/* Which mechanism of AUTH a login of ours to a next hop takes: first by the
 * kind of credential held, then by strength, among what the server offers and
 * the configuration allows.  Pure. */
#ifndef AUTH_CHOOSE_H
#define AUTH_CHOOSE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"
#include "conf/conf.h"

/* A mask of what is held. */
enum credential_kind {
	HOLDS_TOKEN = 1,
	HOLDS_PASSWORD = 2,
	HOLDS_CERTIFICATE = 4,
	HOLDS_KERBEROS = 8,
	HOLDS_LAST = HOLDS_KERBEROS
};

/* Who speaks it. */
enum mechanism_way {
	WAY_SCRAM,			/* auth/scram_client.h */
	WAY_LIBRARY,			/* libsasl2 */
	WAY_EXTERNAL,			/* nothing is to be said */
	WAY_TOKEN,			/* auth/oauth_sasl.h */
	WAY_KERBEROS			/* auth/kerberos.h */
};

/* Flags of a mechanism. */
#define SHOWS_SECRET	0x01	/* to nobody but a server that is known */
#define BINDS		0x02	/* to the TLS session */
#define ON_REQUEST	0x04	/* where it is named; else the last resort,
				 * to a server that is known */

struct mechanism {
	const char *name;
	unsigned kind;			/* enum credential_kind */
	enum mechanism_way way;
	unsigned flags;
};

/* All that we speak, within a kind the strongest first; ends with a NULL
 * name. */
extern const struct mechanism mechanisms[];
/* By name, case does not matter; NULL: we do not have it. */
const struct mechanism *mechanism_find(struct slice name);

struct choose {
	unsigned held;			/* enum credential_kind */
	const struct conf_list *allowed; /* `auth-mechanisms`; empty: all */
	struct slice offered;		/* blank-separated */
	bool secure;			/* as in struct msg_cred */
	bool binding;			/* there are octets of the session */
	bool prefer_xoauth2;		/* Microsoft's servers */
	/* Is it on this machine?  NULL: all are. */
	bool (*has)(const struct mechanism *m);
};

struct choice {
	const struct mechanism *mechanism; /* NULL: none, why says why */
	char gs2;			/* SCRAM's flag: 'n', 'y' or 'p' */
	char why[400];			/* and what to do */
};

void choose_mechanism(const struct choose *in, struct choice *out);

#endif
