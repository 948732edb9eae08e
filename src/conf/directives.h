/* What may stand in a configuration: one table of directives for each kind
 * of block.  A row says the name, its arguments, whether this program honours
 * it already, which roles may see it, and where its value goes.
 */
#ifndef CONF_DIRECTIVES_H
#define CONF_DIRECTIVES_H

#include <stddef.h>

#include "conf/build.h"

/* How the arguments are read, and the type of the field behind `offset`. */
enum conf_arg {
	ARG_CUSTOM,		/* by `set` */
	ARG_FLAG,		/* none; bool */
	ARG_BOOL,		/* on|off; bool */
	ARG_SWITCH,		/* on|off; enum conf_switch */
	ARG_CHOICE,		/* one of `choices`; int (an enum) */
	ARG_STRING,		/* char * */
	ARG_HOST,		/* a host name, to its ASCII form; char * */
	ARG_HOSTS,		/* several; struct conf_list */
	ARG_ADDRESS,		/* user@domain; char * */
	ARG_SENDER,		/* <> or user@domain; char * */
	ARG_PATH,		/* relative to the file; char * */
	ARG_FILE,		/* the same, and it must be there; a view holds
				 * its contents; char * */
	ARG_ALIASES,		/* a file of aliases; a view holds them with
				 * what they include; char * */
	ARG_CERTIFICATE,	/* FILE [key FILE] ...; by `set` */
	ARG_SECRET,		/* VALUE | file FILE | ...; by `set` */
	ARG_KERBEROS,		/* keytab FILE | cache NAME; by `set` */
	ARG_LOGINS,		/* a file of logins; a view holds them as if
				 * they were written */
	ARG_UIDS,		/* use-by; by `set` */
	ARG_DURATION,		/* uint64_t */
	ARG_DURATIONS,		/* struct conf_durations */
	ARG_SIZE,		/* uint64_t */
	ARG_COUNT,		/* 1 or more; unsigned */
	ARG_NUMBER,		/* 1 or more; uint64_t */
	ARG_RATE,		/* struct conf_rate */
	ARG_NETS,		/* struct conf_nets */
	ARG_PATTERNS,		/* struct conf_patterns */
	ARG_WORDS,		/* struct conf_list */
	ARG_MECHANISMS,		/* struct conf_list */
	ARG_IPS			/* struct conf_list */
};

enum conf_when { NOW, LATER };

/* Flags of a directive. */
#define LIST		0x01	/* may be repeated, the values add up */
#define BLOCK		0x02	/* a block must follow */
#define BLOCK_MAY	0x04	/* a block may follow */
#define NETWORK		0x08	/* means something only where mail leaves by
				 * the network */
#define KIND		0x10	/* says what a transport is */
#define NOT_IN_ACCOUNT	0x20	/* no statement of an account's transport */
#define SHADOW		0x40	/* roles that may not see it still see that it
				 * is there */
#define TELLS_KIND	0x80	/* listener sees what kind of secret it is */

/* Roles, short for the tables. */
#define L CONF_LISTENER
#define Q CONF_QUEUE
#define D CONF_DELIVERY
#define A CONF_AUTH
#define M CONF_MONITOR		/* monitor and tools see everything */
#define ALL (L | Q | D | A | M)

#define NO_FIELD ((size_t)-1)	/* checked, kept nowhere */
#define NOWHERE .offset = NO_FIELD

#define CONF_MANY 0xffff

struct conf_choice {
	const char *name;
	int value;
	enum conf_when when;
};

struct conf_directive {
	const char *name;
	const char *args;		/* as the manual writes them */
	enum conf_arg arg;
	enum conf_when when;
	unsigned roles;
	unsigned flags;
	size_t offset;
	/* Where it applies: */
	const struct conf_choice *choices;
	conf_setter *set;
	unsigned min, max;		/* ARG_CUSTOM: words behind the name */
	enum conf_context block;
	const char *deflt;		/* what holds where it is not written,
					 * as text for `config show` */
};

struct conf_table {
	const char *where;		/* "in a `listen` block" */
	const struct conf_directive *rows;
	size_t n;
};

const struct conf_table *conf_table_of(enum conf_context ctx);
/* A row by name, or NULL. */
const struct conf_directive *conf_directive_find(enum conf_context ctx,
    const char *name);
/* The same; in an account those of its own transport, too. */
const struct conf_directive *conf_directive_known(enum conf_context ctx,
    const char *name);

/* One table each, in the file of its subject. */
extern const struct conf_table conf_table_global, conf_table_listen,
    conf_table_client, conf_table_login, conf_table_account,
    conf_table_transport, conf_table_domain, conf_table_socks5,
    conf_table_oauth2, conf_table_token_server, conf_table_alert;

/* TLS versions; forms of a secret: for a login, for a transport, others. */
extern const struct conf_choice conf_choices_min_tls[],
    conf_secret_login[], conf_secret_transport[], conf_secret_other[];

#endif
