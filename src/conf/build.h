/* From statements to the model (inside of the room).  One walker goes through
 * a block's statements, finds each in the block's table and lets the row's
 * type, or its own setter, put the value into the block's structure.
 */
#ifndef CONF_BUILD_H
#define CONF_BUILD_H

#include "conf/tree.h"

struct build;
struct conf_choice;	/* conf/directives.h */
struct conf_directive;

enum conf_context {
	CTX_NONE, CTX_GLOBAL, CTX_LISTEN, CTX_CLIENT, CTX_LOGIN, CTX_ACCOUNT,
	CTX_TRANSPORT, CTX_SOCKS5, CTX_OAUTH2, CTX_DOMAIN, CTX_TOKEN_SERVER,
	CTX_ALERT, CTX_COUNT
};

/* A name that must be defined somewhere, looked up when all is read. */
enum conf_ref_kind { REF_ACCOUNT, REF_TRANSPORT, REF_LOGIN };

struct conf_ref {
	enum conf_ref_kind kind;
	const char *name;
	unsigned file, line;
	size_t *index;			/* where the answer goes, or NULL */
};

struct build {
	const struct conf_tree *tree;
	struct conf *conf;
	struct conf_arena *arena;	/* the model's */
	struct conf_notes *notes;
	enum conf_role role;
	bool check_files;
	char **paths;			/* the tree's file names, in arena */
	struct conf_ref *refs;
	size_t n_refs;
	unsigned *secret_line;		/* per file: the first secret in it */
};

/* Puts the statement's value into the structure; tells mistakes itself. */
typedef void conf_setter(struct build *b, void *obj,
    const struct conf_stmt *s, const struct conf_directive *d);

/* The whole model of a tree; never NULL, of use only without errors. */
struct conf *conf_build(const struct conf_tree *tree, enum conf_role role,
    bool check_files, struct conf_notes *notes);
/* Across statements, once all is read and without errors so far: what is odd
 * but allowed (check.c). */
void conf_check(struct build *b);
/* Mistakes across statements (check.c). */
void conf_check_errors(struct build *b);
/* Names that are used are defined (check.c). */
void conf_resolve(struct build *b);

/* ---- for setters ---- */

/* The statements of a block: those of ctx into obj; where own is not
 * CTX_NONE, those of own into own_obj as well (an account's transport). */
void build_block(struct build *b, const struct conf_stmt *s,
    enum conf_context ctx, void *obj, enum conf_context own, void *own_obj);
/* What the rows of a table say holds where nothing is written. */
void build_defaults(struct build *b, enum conf_context ctx, void *obj);
/* A value by its row's type into field. */
void build_value(struct build *b, const struct conf_stmt *s,
    const struct conf_directive *d, void *field);

void build_error(struct build *b, const struct conf_stmt *s,
    const struct conf_word *w, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* struct conf_messages (load.h) */
void build_flaw(struct build *b, const struct conf_stmt *s,
    const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void build_warning(struct build *b, const struct conf_stmt *s,
    const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Monitor and tools: files are looked at, names looked up. */
bool build_is_main(const struct build *b);

struct conf_where build_where(struct build *b, const struct conf_stmt *s);
/* The name behind the keyword of a block; told where it is empty. */
char *build_name(struct build *b, const struct conf_stmt *s);
void build_ref(struct build *b, const struct conf_stmt *s,
    const struct conf_word *w, enum conf_ref_kind kind, size_t *index);
/* Is the word this keyword?  Never where it is quoted. */
bool word_is(const struct conf_word *w, const char *keyword);

/* ---- values (value.c); false or NULL: told ---- */

bool value_duration(struct build *b, const struct conf_stmt *s,
    const struct conf_word *w, uint64_t *ms);
bool value_size(struct build *b, const struct conf_stmt *s,
    const struct conf_word *w, uint64_t *octets);
bool value_number(struct build *b, const struct conf_stmt *s,
    const struct conf_word *w, uint64_t max, uint64_t *out);
bool value_net(struct build *b, const struct conf_stmt *s,
    const struct conf_word *w, struct conf_net *net);
bool value_pattern(struct build *b, const struct conf_stmt *s,
    const struct conf_word *w, struct mail_pattern *p);
bool value_choice(struct build *b, const struct conf_stmt *s,
    const struct conf_word *w, const struct conf_choice *choices, int *out);
char *value_host(struct build *b, const struct conf_stmt *s,
    const struct conf_word *w);
/* HOST, HOST:PORT, [ADDRESS]:PORT; port 0 where none is written. */
bool value_host_port(struct build *b, const struct conf_stmt *s,
    const struct conf_word *w, struct conf_host *host);
/* Cuts `:PORT` and brackets off; port 0 where there is none, -1 when what is
 * behind the colon is no port or the host is empty or too long. */
int conf_split_port(const char *text, char *host, size_t size,
    unsigned *port);
/* CIDR or an address; bits behind the prefix are cleared, *host_bits says
 * whether there were any.  Mapped IPv4 becomes IPv4. */
bool conf_net_parse(const char *text, struct conf_net *net, bool *host_bits);
/* An IP address, its family in *v6. */
bool conf_parse_ip(const char *text, bool *v6, unsigned char addr[16]);
void value_add_net(struct build *b, struct conf_nets *nets,
    const struct conf_net *net);
void value_add_pattern(struct build *b, struct conf_patterns *patterns,
    const struct mail_pattern *p);
void value_add_word(struct build *b, struct conf_list *list, const char *s);

/* ---- files (files.c) ---- */

/* Relative to the statement's file, in the builder's arena; in a role's view
 * names are absolute already. */
char *build_path(struct build *b, const struct conf_stmt *s,
    const struct conf_word *w);
/* The same for an encoder. */
char *conf_resolve_path(const struct conf_tree *tree, struct conf_arena *arena,
    unsigned file, const char *name);
/* Tells when it is missing or cannot be read, and where secret is set when
 * others can read it (may_group: its group may). */
void check_file(struct build *b, const struct conf_stmt *s, const char *path,
    bool secret, bool may_group);

/* ---- blocks of each subject ---- */

conf_setter set_listen, set_client, set_login, set_account, set_transport,
    set_login_file, set_domain, set_route, set_secret, set_oauth2,
    set_kerberos, set_token_server, set_socks5, set_alert, set_metrics;

/* FILE [key FILE] [passphrase file FILE]; passphrase NULL: not taken.  In a
 * view the contents stand in place of the names. */
void build_certificate(struct build *b, const struct conf_stmt *s,
    char **certificate, char **key, struct conf_secret *passphrase);
/* The first line of a secret's file without its end, appended; -1 and a
 * message that shows nothing of it. */
int conf_secret_file(const struct conf_tree *tree, const char *path,
    struct strbuf *out, struct err *e);
/* What a login's secret is good for, a mask of enum conf_login_use; and the
 * word for it that a view has in place of the secret, and back. */
unsigned conf_secret_uses(enum conf_secret_kind kind, const char *text);
const char *conf_uses_word(unsigned uses);
unsigned conf_uses_parse(const char *word);
/* Where systemd keeps a credential, in the arena; NULL: it gave us none, or
 * the name is none. */
char *conf_credential_path(struct conf_arena *arena, const char *name);

/* A route into a list of them. */
void build_route(struct build *b, const struct conf_stmt *s,
    struct conf_route **routes, size_t *n);
/* An empty one with the defaults of its table. */
void transport_init(struct build *b, const struct conf_stmt *s,
    struct conf_transport *t);
/* Fills in what follows from what was written; tells what does not fit. */
void transport_finish(struct build *b, const struct conf_stmt *s,
    struct conf_transport *t);
/* The same of its `oauth2`, of its `kerberos`. */
void oauth2_finish(struct build *b, const struct conf_stmt *s,
    struct conf_transport *t);
void kerberos_finish(struct build *b, const struct conf_stmt *s,
    struct conf_transport *t);
/* The transport `direct` that is always there. */
void transport_built_in(struct build *b);
void global_defaults(struct build *b);
/* The two listeners where none is written. */
void listen_defaults(struct build *b);
/* The most specific first. */
void domains_sort(struct build *b);

#endif
