/* The configuration as the roles use it: plain structs, built once, never
 * changed, freed as a whole.  monitor reads the files into a tree of
 * statements (conf/lexer.h), checks it and hands each role the part of the
 * tree that the directive tables allow it to see, in a sealed memfd; a role
 * builds this model from that part by the same code (conf/build.h).  What a
 * role may not see has the default value there.
 *
 * Durations are milliseconds, sizes octets, strings NUL-terminated and owned
 * by the model; NULL where nothing was said and there is no default.
 */
#ifndef CONF_CONF_H
#define CONF_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"

struct mail_pattern;			/* mail/pattern.h */

/* Who may see a directive (a mask), and who builds a model. */
enum conf_role {
	CONF_MONITOR = 1, CONF_LISTENER = 2, CONF_QUEUE = 4,
	CONF_DELIVERY = 8, CONF_AUTH = 16, CONF_TOOL = 32
};

struct conf_where {			/* where a statement stands */
	const char *file;
	unsigned line;
};

struct conf_list {			/* of words */
	char **v;
	size_t n;
};

struct conf_durations {
	uint64_t *v;
	size_t n;
};

struct conf_patterns {
	struct mail_pattern *v;
	size_t n;
};

struct conf_net {			/* a network, CIDR */
	bool v6;
	unsigned char addr[16];
	unsigned bits;
};

struct conf_nets {
	struct conf_net *v;
	size_t n;
};

struct conf_rate {
	uint64_t count;			/* 0: no limit */
	uint64_t per;
};

enum conf_switch { SWITCH_UNSET, SWITCH_ON, SWITCH_OFF };

/* A host and port where mail goes next. */
struct conf_host {
	char *name;			/* host name or address, no brackets */
	unsigned port;
	bool mx;			/* `smarthost mx DOMAIN` */
};

/* ---- what comes in ---- */

enum conf_tls_mode {
	TLS_UNSET, TLS_OFF, TLS_STARTTLS, TLS_REQUIRED, TLS_IMPLICIT,
	TLS_OPPORTUNISTIC
};
enum conf_auth_mode { AUTH_UNSET, AUTH_REQUIRED, AUTH_OPTIONAL, AUTH_OFF,
	AUTH_ANY };
enum conf_bare_lf { BARE_LF_UNSET, BARE_LF_REJECT, BARE_LF_FIX };

struct conf_listen {
	struct conf_where where;
	char *name;			/* as written: "127.0.0.1:25" */
	bool is_unix;
	char *path;			/* unix */
	char *address;			/* "*", "127.0.0.1", "::1" */
	unsigned port;
	enum conf_tls_mode tls;
	char *certificate, *key;	/* PEM bytes in the listener's view */
	bool certificate_auto;
	char *client_ca;
	int min_tls;			/* 0x0301..0x0304, resolved */
	enum conf_auth_mode auth;	/* resolved: never UNSET */
	struct conf_list auth_mechanisms;
	uint64_t timeout;
	enum conf_switch auth_without_tls;
	struct conf_nets allow, deny, proxy_protocol;
	bool allow_set;			/* `allow` was written */
	unsigned max_connections, max_connections_per_client;
	struct conf_rate rate;
	enum conf_bare_lf bare_lf;
	bool add_headers;
	bool open_relay;		/* open-relay-i-know-what-i-do */
};

struct conf_client {
	struct conf_where where;
	struct conf_net net;
	char *account;
	int min_tls;
	enum conf_auth_mode auth;	/* UNSET, OFF, ANY */
	struct conf_patterns recipients;
	uint64_t max_message_size;	/* 0: the global one */
	struct conf_rate rate;
	enum conf_bare_lf bare_lf;	/* UNSET: the listener's */
	bool open_relay;
};

enum conf_secret_kind { SECRET_NONE, SECRET_VALUE, SECRET_FILE,
	SECRET_COMMAND, SECRET_CREDENTIAL, SECRET_HASH };

struct conf_secret {
	enum conf_secret_kind kind;
	char *text;			/* value, path, command line, name, hash */
	char *as_user;			/* command: `as USER` */
};

/* What a login's secret is good for; a mask. */
enum conf_login_use {
	LOGIN_USE_PASSWORD = 1,		/* PLAIN, LOGIN */
	LOGIN_USE_SCRAM_SHA_1 = 2,
	LOGIN_USE_SCRAM_SHA_256 = 4,
	LOGIN_USE_CLEAR = 8		/* it is the password itself */
};

struct conf_login {
	struct conf_where where;
	char *name;
	struct conf_secret password;	/* auth's view only */
	bool flawed;			/* while it is built: told already */
	unsigned uses;			/* listener's and auth's: a mask */
	char *account;
	struct conf_patterns senders, recipients;
};

/* ---- where it goes ---- */

struct conf_route {
	struct conf_where where;
	struct conf_patterns from, to;
	uint64_t attempts;
	struct conf_list login;
	struct conf_nets client;
	bool larger_set;
	uint64_t larger;
	uint64_t age;			/* 0: not asked */
	struct conf_list via;		/* names; resolved: transport index in
					 * via_index (SIZE_MAX: "direct") */
	size_t *via_index;
};

enum conf_transport_kind {
	TRANSPORT_DIRECT, TRANSPORT_SMARTHOST, TRANSPORT_SUBMISSION,
	TRANSPORT_LMTP, TRANSPORT_MDA, TRANSPORT_MAILDIR, TRANSPORT_DISCARD,
	TRANSPORT_FAIL
};

/* A SOCKS5 proxy; several are tried in order. */
struct conf_proxy {
	struct conf_where where;
	struct conf_host host;
	char *username;			/* auth's view only, as is password */
	struct conf_secret password;
	bool has_credential;		/* every view */
	struct conf_list remote_address; /* as the world sees us */
	char *remote_hostname;		/* for EHLO, or NULL */
	int resolve_remote;		/* the proxy looks up names of hosts */
};

enum conf_spf_check { SPF_CHECK_WARN, SPF_CHECK_SKIP, SPF_CHECK_OFF };

/* `oauth2`: where access tokens come from. */
enum conf_oauth2_source { OAUTH2_FLOW, OAUTH2_TOKEN_FILE, OAUTH2_CMS,
	OAUTH2_COMMAND };
enum conf_oauth2_flow { FLOW_DEVICE, FLOW_CODE, FLOW_CLIENT, FLOW_SERVICE,
	FLOW_REFRESH };
extern const char *const conf_oauth2_flow_name[];

struct conf_oauth2 {
	struct conf_where where;
	enum conf_oauth2_source source;
	char *path;			/* token-file, cms-socket */
	struct conf_secret command;	/* the token's */
	bool flow_set, bad;		/* while it is built */
	enum conf_oauth2_flow flow;	/* FLOW: resolved */
	char *provider;			/* as written; NULL: the transport's */
	char *tenant;
	char *client_id;
	struct conf_secret client_secret;
	char *certificate, *key;	/* PEM bytes in auth's view */
	struct conf_list scope;
	char *token_endpoint, *authorization_endpoint, *device_endpoint;
	char *key_file;			/* contents in auth's view */
	char *subject;
	char *ca_file;			/* PEM bytes in auth's view */
	char *proxy;
};

enum conf_tls_verify { VERIFY_UNSET, VERIFY_ON, VERIFY_OFF, VERIFY_DANE };

struct conf_transport {
	struct conf_where where;
	char *name;
	char *account;			/* the account it stands in, or NULL */
	enum conf_transport_kind kind;
	bool kind_set, touched;		/* while it is built */
	char *provider;			/* preset it was made from, or NULL */
	struct conf_host *hosts;	/* smarthost, submission, lmtp */
	size_t n_hosts;
	char *lmtp_path;		/* lmtp unix: */
	unsigned direct_port;
	char *mda;			/* the command line as written */
	bool mda_all;			/* has %T: one run for all */
	char *maildir;
	unsigned fail_code;
	char *fail_text;

	enum conf_tls_mode tls;		/* resolved: OFF, OPPORTUNISTIC,
					 * REQUIRED, IMPLICIT */
	enum conf_tls_verify tls_verify; /* resolved: never UNSET */
	bool dane;			/* certificates by TLSA records where a
					 * server has them; everywhere with
					 * VERIFY_DANE */
	bool mta_sts;			/* policies of domains are looked at */
	bool tls_verify_off_written;	/* `tls-verify off`: secrets may go
					 * over TLS that nobody verified */
	struct conf_list tls_fingerprint; /* lower-case hex; "spki:hex" */
	char *tls_name;
	char *tls_ca;			/* PEM bytes in delivery's view */
	char *certificate, *key;	/* PEM bytes in delivery's view */
	struct conf_secret passphrase;
	int min_tls;
	char *username;
	struct conf_secret password;	/* auth's view only */
	bool has_credential;		/* every view */
	bool has_certificate;		/* the same */
	struct conf_oauth2 *oauth2;	/* auth's view; NULL: none */
	bool kerberos;			/* every view; monitor's alone: */
	char *keytab;			/* or NULL: */
	char *ticket_cache, *ticket_user;	/* the latter: NULL: `user` */
	struct conf_list auth_mechanisms;

	enum conf_spf_check spf_check;
	struct conf_proxy *proxies;
	size_t n_proxies;
	struct conf_list source_address;
	enum conf_switch ipv4, ipv6;
	char *helo;
	unsigned connections, connections_per_host, messages_per_connection,
	    recipients_per_message;
	struct conf_rate rate;
	uint64_t daily;			/* 0: none */
	uint64_t idle_timeout, connect_timeout;
	uint64_t timeout;		/* 0: 5m, and 10m for the final reply */
	uint64_t max_message_size;	/* 0: none of its own */
	struct conf_durations probe;	/* empty: the global one */
};

struct conf_account {
	struct conf_where where;
	char *name;
	bool is_default;
	bool use_by_set;		/* else anyone who may relay */
	struct conf_nets use_by_net;
	struct conf_list use_by_uid;	/* numbers */
	bool use_by_login;
	struct conf_patterns senders;	/* empty: any; NAME where it is an
					 * address is in there */
	struct conf_route *routes;
	size_t n_routes;
	size_t transport;		/* its own, in transports; SIZE_MAX */
	char *bounce_from;		/* "" for <>, NULL: the global one */
	char *rewrite_envelope, *rewrite_from;	/* what senders that it does
					 * not own become; NULL: they stay */
	bool rewrite_envelope_always, rewrite_from_always;
	bool rewrite_signed;
	struct conf_rate rate;		/* count 0: none */
	uint64_t daily;			/* 0: none */
};

struct conf_domain {
	struct conf_where where;
	struct mail_pattern *pattern;
	size_t order;			/* in the file; the list is sorted:
					 * the most specific first */
	struct conf_route *routes;
	size_t n_routes;
};

/* Tokens for other programs. */
enum conf_token_protocol { TOKEN_SMTP = 1, TOKEN_IMAP = 2 };

struct conf_token_server {
	struct conf_where where;
	char *path;
	unsigned mode;			/* monitor's; of the socket's file */
	bool has_group;			/* the same; else the daemon's own */
	unsigned group;
	struct conf_list accounts;	/* auth's view; empty: all */
	struct conf_list users;		/* numbers; empty: the usual ones */
	unsigned protocols;		/* enum conf_token_protocol, a mask */
};

struct conf_alert {
	bool set;			/* the block is there */
	char *to;			/* NULL: nobody by mail */
	char *via;			/* a transport; NULL: by the routes */
	uint64_t after;
	char *command;			/* monitor's; NULL */
	bool has_command;		/* queue's, too */
};

enum conf_bounce_to { BOUNCE_TO_AUTO, BOUNCE_TO_SENDER, BOUNCE_TO_POSTMASTER };

struct conf {
	char *path;			/* the main file */
	char *hostname, *user, *group;
	char *spool_directory, *runtime_directory;
	uint64_t disk_reserve;		/* UINT64_MAX: the default rule */
	struct conf_durations probe, probe_auth;
	char *postmaster;
	char *bounce_from;		/* "" for <> */
	enum conf_bounce_to bounce_to;
	bool log_set;			/* `log` was written */
	enum { CONF_LOG_STDERR, CONF_LOG_SYSLOG, CONF_LOG_FILE } log_to;
	char *log_file;
	enum log_format log_format;
	enum log_level log_level;
	uint64_t max_message_size;
	unsigned max_recipients;
	struct conf_durations retry;
	uint64_t expire, expire_max;
	uint64_t warn_after;		/* 0: off */
	struct conf_list resolver;
	bool dnssec;
	char *trust_anchor;
	char *tls_ca;			/* PEM bytes in delivery's and auth's
					 * view */
	char *etc_hosts;		/* the same views: what /etc/hosts
					 * held; else NULL */
	char *aliases;			/* a file; in queue's view the text,
					 * mail/aliases.h; NULL: none */
	char *login_file;		/* monitor and tools; NULL: none */
	struct conf_list local_domains;
	char *qualify_domain;
	unsigned listeners, deliveries;	/* processes */
	struct conf_alert alert;
	char *metrics;			/* ADDRESS:PORT; NULL: off */

	struct conf_listen *listens;
	size_t n_listens;
	struct conf_client *clients;
	size_t n_clients;
	struct conf_login *logins;
	size_t n_logins;
	struct conf_account *accounts;
	size_t n_accounts;
	struct conf_transport *transports;
	size_t n_transports;
	struct conf_transport *direct;	/* the built-in one, not in there */
	struct conf_domain *domains;
	size_t n_domains;
	struct conf_route *routes;
	size_t n_routes;

	struct conf_token_server *token_servers;
	size_t n_token_servers;

	void *memory;			/* what owns all of the above */
};

void conf_free(struct conf **conf);

/* By name, the built-in `direct` included; NULL: none. */
const struct conf_transport *conf_transport_get(const struct conf *conf,
    const char *name);
/* Its next hop is found by the recipient's domain, or by that of `smarthost
 * mx`: which is told then, else *domain is NULL. */
bool conf_transport_by_mx(const struct conf_transport *t,
    const char **domain);
/* What a login's secret must be good for (any of the mask) so that it can use
 * this mechanism; 0: no secret is needed, or it is unknown. */
unsigned conf_mechanism_uses(const char *mechanism);

/* Index of a transport or account by name; SIZE_MAX: none. */
size_t conf_transport_find(const struct conf *conf, const char *name);
size_t conf_account_find(const struct conf *conf, const char *name);
/* Does it connect to servers? */
bool conf_transport_is_network(const struct conf_transport *t);
/* The longest matching client block of an address, or NULL. */
const struct conf_client *conf_client_of(const struct conf *conf, bool v6,
    const unsigned char *addr);
bool conf_net_match(const struct conf_net *net, bool v6,
    const unsigned char *addr);
bool conf_nets_match(const struct conf_nets *nets, bool v6,
    const unsigned char *addr);

#endif
