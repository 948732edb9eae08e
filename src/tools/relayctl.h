/* relayctl: what its files share.  Commands return an exit status, and have
 * told on standard error what went wrong. */
#ifndef TOOLS_RELAYCTL_H
#define TOOLS_RELAYCTL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <cjson/cJSON.h>

#include "base/err.h"
#include "base/json_writer.h"
#include "conf/conf.h"
#include "conf/load.h"
#include "conf/route_choice.h"
#include "store/selector.h"
#include "store/store.h"

enum { CTL_OK = 0, CTL_NONE = 1, CTL_USAGE = 64, CTL_UNAVAILABLE = 69,
	CTL_DENIED = 77, CTL_CONFIG = 78 };

/* Options that a command takes. */
enum {
	TAKES_JSON = 1 << 0,
	TAKES_JSONL = 1 << 1,
	TAKES_SELECTORS = 1 << 2,
	TAKES_ALL = 1 << 3,
	TAKES_SINCE = 1 << 4,
	TAKES_CONTENT = 1 << 5,		/* --headers, --content */
	TAKES_TARGET = 1 << 6,		/* --transport NAME is no selector */
	TAKES_IF = 1 << 7,
	TAKES_MAILDIR = 1 << 8,
	TAKES_FOLLOW = 1 << 9,
	TAKES_MAILQ = 1 << 10,		/* hidden: called by the shim */
	TAKES_ANYTHING = 1 << 11,	/* not read at all */
	TAKES_SPF = 1 << 20,		/* --ip, --from, --helo */
	TAKES_TRIAL = 1 << 12		/* --to ADDRESS, --send */
};

struct ctl {
	/* global options */
	const char *file;		/* -f, NULL: the system's */
	const char *socket;		/* -s */
	const char *spool;		/* --spool, hidden */
	/* options of the command */
	bool json, jsonl, mailq, headers, content, dry, follow, send;
	struct selector sel;
	struct strbuf asked;		/* the same as members of a request */
	const char *since, *transport, *maildir, *status_text, *to;
	const char *spf_ip, *spf_from, *spf_helo;
	char **rest;			/* what is no option */
	int n_rest;
	const struct ctl_command *cmd;
	/* found when they are needed */
	struct conf *conf;		/* NULL: not loaded, or not readable */
	struct conf_tree *tree;
	char *runtime_dir, *spool_dir;
};

struct ctl_command {
	const char *name;		/* one word or two */
	const char *args;		/* for the usage line */
	const char *help;
	int (*run)(struct ctl *c);
	unsigned takes;
	int min, max;			/* words that are no option; -1: any */
};

/* One line "relayctl: text" on standard error; returns status. */
int ctl_error(int status, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* ---- ctl_args.c ---- */
/* Reads the command's options; 0, CTL_USAGE, or -1: help was shown. */
int ctl_args(struct ctl *c, int argc, char **argv);
void ctl_usage(const struct ctl_command *cmd, bool to_error);

/* ---- ctl_context.c ---- */
/* The configuration as a whole.  0; CTL_CONFIG with its errors told. */
int ctl_load(struct ctl *c, const char *file);
const char *ctl_file(const struct ctl *c);
/* runtime_dir and spool_dir, from the configuration as far as it can be
 * read, else the built-in ones; CTL_CONFIG where -f cannot be read at all. */
int ctl_dirs(struct ctl *c);
/* The control socket's path; the caller frees; NULL: told, *status is set. */
char *ctl_socket_path(struct ctl *c, const char *name, int *status);
/* Becomes the owner of the spool where we are root, and ourselves again. */
int ctl_become_owner(struct ctl *c);
void ctl_become_self(void);
/* A daemon's queue, read beside it or while it is down; NULL: told. */
struct store *ctl_store_open(struct ctl *c, int *status);

/* ---- ctl_client.c ---- */

struct ctl_sink {
	void *arg;
	/* Any may be NULL.  Slices are borrowed. */
	void (*item)(void *arg, struct slice json);
	void (*data)(void *arg, struct slice octets);
	void (*progress)(void *arg, uint64_t done);
	/* Instead of blocking: returns when fd can be read. */
	void (*wait)(void *arg, int fd);
	char *text;			/* of the end; the caller frees */
};

#define CTL_DOWN (-1)			/* nobody listens */

/* Sends the command with what c->asked holds and further members (JSON
 * without braces, or NULL); returns the status of the end, whose text is told
 * on standard error unless it is 0, or CTL_DOWN, which is not told. */
int ctl_request(struct ctl *c, const char *command, const char *members,
    struct ctl_sink *sink);
/* Tells that the daemon is down; CTL_UNAVAILABLE. */
int ctl_down(void);

/* ---- ctl_text.c ---- */
/* To the standard output as they are; fit for struct ctl_sink's data. */
void ctl_put_octets(void *arg, struct slice octets);
void ctl_put_line(struct slice text);	/* and a newline */
/* Text of a member: "" where it is absent or null; numbers likewise 0. */
const char *ctl_get(const cJSON *o, const char *key);
uint64_t ctl_get_number(const cJSON *o, const char *key);
bool ctl_get_bool(const cJSON *o, const char *key);
const cJSON *ctl_get_any(const cJSON *o, const char *key);
/* Wall ms of an RFC 3339 text as we write it; 0: it is none. */
uint64_t ctl_time(const char *rfc3339);
/* "45s" "12m" "3h" "2d"; returns buf. */
#define CTL_AGE_LEN 16
char *ctl_age(uint64_t ms, char buf[CTL_AGE_LEN]);
/* Appends what a terminal may get: controls become '?'. */
void ctl_printable(struct strbuf *out, const char *text);
/* The recipients in short: "a@b.test" or "a@b.test +3". */
void ctl_recipients(const cJSON *message, struct strbuf *out);
/* The last reply that a recipient got, "" for none. */
const char *ctl_reply(const cJSON *message);
/* Local time "2026-11-20 04:05:06", or "-". */
#define CTL_STAMP_LEN 20
char *ctl_stamp(uint64_t ms, char buf[CTL_STAMP_LEN]);

/* ---- ctl_state.c ---- */
/* kind: "transport" or "account"; o: its object as status has it. */
bool ctl_state_bad(const cJSON *o);
/* How it is, since when and why. */
void ctl_state_what(const char *kind, const cJSON *o, struct strbuf *out);
/* What happens by itself. */
void ctl_state_next(const char *kind, const cJSON *o, struct strbuf *out);
/* What somebody can do. */
void ctl_state_to_do(const char *kind, const cJSON *o, struct strbuf *out);

/* ---- ctl_table.c ---- */

struct ctl_column {
	const char *title;
	bool right;
	unsigned most;			/* characters; 0: any, the rest */
};
struct ctl_table;
struct ctl_table *ctl_table_new(const struct ctl_column *columns, size_t n,
    const char *indent);
void ctl_table_row(struct ctl_table *t, const char *const *cells);
/* Prints what is left; frees. */
void ctl_table_end(struct ctl_table **t);

/* ---- ctl_list.c: lists of messages as they come ---- */

enum ctl_list_kind { LIST_QUEUE, LIST_HISTORY };
struct ctl_list;
struct ctl_list *ctl_list_new(struct ctl *c, enum ctl_list_kind kind);
void ctl_list_item(void *list, struct slice json);	/* a sink's */
/* Prints the end, an empty list only where the status is 0; frees.  Returns
 * how many there were. */
uint64_t ctl_list_end(struct ctl_list **l, int status);

/* ---- ctl_offline.c ---- */
/* Calls item() for each message of a stopped daemon that matches. */
int ctl_offline_list(struct ctl *c, struct ctl_sink *sink);
int ctl_offline_show(struct ctl *c, struct ctl_sink *sink);
int ctl_offline_history(struct ctl *c, uint64_t since,
    struct ctl_sink *sink);

/* ---- ctl_why.c ---- */
/* The answer as the object `why`; q->to must be set.  tree: for aliases;
 * NULL: they have been applied.  false: a local recipient that has no
 * place. */
bool ctl_why_json(const struct conf *conf, const struct conf_tree *tree,
    struct route_query *q, struct json_writer *w, const char *key);
void ctl_why_print(const cJSON *why);

/* ---- ctl_oauth.c ---- */

struct ctl_oauth {
	const char *name;		/* of the account; NULL: all */
	const char *flow, *output;
	bool no_browser, no_newline;
};
int ctl_oauth_args(struct ctl *c, struct ctl_oauth *o);
/* As ctl_request(), for the account; a daemon that is down is told. */
int ctl_oauth_request(struct ctl *c, const struct ctl_oauth *o,
    const char *command, const char *more, struct ctl_sink *sink);

/* ---- commands ---- */
int ctl_queue_list(struct ctl *c);
int ctl_queue_show(struct ctl *c);
int ctl_queue_action(struct ctl *c);
int ctl_queue_import(struct ctl *c);
int ctl_queue_verify(struct ctl *c);
int ctl_queue_backup(struct ctl *c);
int ctl_mailq(struct ctl *c);
int ctl_history(struct ctl *c);
int ctl_log(struct ctl *c);
int ctl_status(struct ctl *c);
int ctl_metrics(struct ctl *c);
int ctl_transport_list(struct ctl *c);
int ctl_account_list(struct ctl *c);
int ctl_switch(struct ctl *c);
int ctl_why(struct ctl *c);
int ctl_why_message(struct ctl *c);
int ctl_config_check(struct ctl *c);
int ctl_config_show(struct ctl *c);
int ctl_config_test(struct ctl *c);
int ctl_passwd(struct ctl *c);
int ctl_transport_test(struct ctl *c);
int ctl_spf_check(struct ctl *c);
int ctl_dnscheck(struct ctl *c);
int ctl_oauth_account(struct ctl *c);
int ctl_oauth_login(struct ctl *c);
int ctl_providers(struct ctl *c);
int ctl_later(struct ctl *c);

#endif
