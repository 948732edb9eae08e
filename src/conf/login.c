/* Who may log in: `login` blocks and `login-file`.  monitor, listener, queue
 * and auth build their parts; the listener learns of a secret what it is good
 * for, and nothing else. */
#include <string.h>

#include "base/mem.h"
#include "conf/directives.h"
#include "conf/hash_cost.h"
#include "conf/login_file.h"

static conf_setter set_login_account, set_login_password;

#define AT(field) .offset = offsetof(struct conf_login, field)

static const struct conf_directive login_rows[] = {
{ "password", "VALUE | file FILE | hash STRING | command \"PROGRAM ARG...\"",
    ARG_SECRET, NOW, A, TELLS_KIND, AT(password), .set = set_login_password,
    .min = 1, .max = 2, .choices = conf_secret_login },
{ "account", "NAME", ARG_CUSTOM, NOW, L | Q, 0, AT(account),
    .set = set_login_account, .min = 1, .max = 1 },
{ "senders", "PATTERN...", ARG_PATTERNS, NOW, L, LIST, AT(senders) },
{ "recipients", "PATTERN...", ARG_PATTERNS, NOW, L, LIST, AT(recipients) },
};

const struct conf_table conf_table_login = {
	"in a `login` block", login_rows,
	sizeof(login_rows) / sizeof(login_rows[0])
};

/* ---- what a secret is good for ---- */

static const struct {
	const char *word;
	unsigned uses;
} uses_words[] = {
	{ "clear", LOGIN_USE_CLEAR | LOGIN_USE_PASSWORD |
	    LOGIN_USE_SCRAM_SHA_1 | LOGIN_USE_SCRAM_SHA_256 },
	{ "SCRAM-SHA-256", LOGIN_USE_PASSWORD | LOGIN_USE_SCRAM_SHA_256 },
	{ "SCRAM-SHA-1", LOGIN_USE_PASSWORD | LOGIN_USE_SCRAM_SHA_1 },
	{ "hash", LOGIN_USE_PASSWORD },
	{ "none", 0 },
};
#define N_WORDS (sizeof(uses_words) / sizeof(uses_words[0]))

unsigned
conf_uses_parse(const char *word)
{
	size_t i;

	for (i = 0; i < N_WORDS; i++)
		if (strcmp(uses_words[i].word, word) == 0)
			return uses_words[i].uses;
	return 0;
}

const char *
conf_uses_word(unsigned uses)
{
	size_t i;

	for (i = 0; i < N_WORDS; i++)
		if (uses_words[i].uses == uses)
			return uses_words[i].word;
	return "none";
}

unsigned
conf_secret_uses(enum conf_secret_kind kind, const char *text)
{
	if (kind == SECRET_NONE || text == NULL)
		return 0;
	if (kind != SECRET_HASH)
		return conf_uses_parse("clear");
	if (strncmp(text, "SCRAM-SHA-256$", 14) == 0)
		return conf_uses_parse("SCRAM-SHA-256");
	if (strncmp(text, "SCRAM-SHA-1$", 12) == 0)
		return conf_uses_parse("SCRAM-SHA-1");
	return conf_uses_parse("hash");
}

unsigned
conf_mechanism_uses(const char *mechanism)
{
	static const struct {
		const char *name;
		unsigned uses;
	} known[] = {
		{ "SCRAM-SHA-256-PLUS", LOGIN_USE_SCRAM_SHA_256 },
		{ "SCRAM-SHA-256", LOGIN_USE_SCRAM_SHA_256 },
		{ "SCRAM-SHA-1-PLUS", LOGIN_USE_SCRAM_SHA_1 },
		{ "SCRAM-SHA-1", LOGIN_USE_SCRAM_SHA_1 },
		{ "CRAM-MD5", LOGIN_USE_CLEAR },
		{ "PLAIN", LOGIN_USE_PASSWORD },
		{ "LOGIN", LOGIN_USE_PASSWORD },
	};
	size_t i;

	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(known[i].name, mechanism) == 0)
			return known[i].uses;
	return 0;
}

/* ---- blocks ---- */

static void
check_hash(struct build *b, const struct conf_stmt *s, struct slice hash)
{
	const char *costly = conf_hash_costly(hash);

	if (!login_hash_good(hash))
		build_warning(b, s, "what stands behind `password hash` is "
		    "no hash (relayctl passwd makes one): nobody can log in "
		    "with it");
	else if (costly != NULL)
		build_error(b, s, NULL, "%s", costly);
}

static void
set_login_password(struct build *b, void *obj, const struct conf_stmt *s,
    const struct conf_directive *d)
{
	struct conf_login *l = obj;

	if (s->hidden) {
		l->uses = s->n > 1 ? conf_uses_parse(s->w[1].s) : 0;
		return;
	}
	set_secret(b, obj, s, d);
	if (build_is_main(b) && l->password.kind == SECRET_HASH)
		check_hash(b, s, slice_cstr(l->password.text));
	l->uses = conf_secret_uses(l->password.kind, l->password.text);
}

static void
set_login_account(struct build *b, void *obj, const struct conf_stmt *s,
    const struct conf_directive *d)
{
	struct conf_login *l = obj;

	(void)d;
	l->account = conf_arena_strdup(b->arena, s->w[1].s);
	build_ref(b, s, &s->w[1], REF_ACCOUNT, NULL);
}

char *
build_name(struct build *b, const struct conf_stmt *s)
{
	if (s->w[1].s[0] == '\0')
		build_error(b, s, &s->w[1], "%s: the name is empty",
		    s->w[0].s);
	return conf_arena_strdup(b->arena, s->w[1].s);
}

static void
add_login(struct build *b, void *conf_obj, const struct conf_login *l)
{
	struct conf *conf = conf_obj;

	*(struct conf_login *)conf_arena_push(b->arena, &conf->logins,
	    &conf->n_logins, sizeof(*l)) = *l;
}

void
set_login(struct build *b, void *obj, const struct conf_stmt *s,
    const struct conf_directive *d)
{
	size_t errors = b->notes->n_errors;
	struct conf_login l;

	memset(&l, 0, sizeof(l));
	l.where = build_where(b, s);
	l.name = build_name(b, s);
	build_block(b, s, d->block, &l, CTX_NONE, NULL);
	l.flawed = b->notes->n_errors > errors;
	add_login(b, obj, &l);
}

/* ---- login-file ---- */

static char *
dup_slice(struct build *b, struct slice s)
{
	return conf_arena_strndup(b->arena, s.p, s.n);
}

static void
take_line(struct build *b, void *obj, const struct conf_stmt *s,
    const char *path, const struct login_line *line)
{
	struct conf_word account = { .line = s->line };
	struct conf_login l;

	if (line->mistake != NULL) {
		build_error(b, s, NULL, "%s:%u: %s", path, line->line,
		    line->mistake);
		return;
	}
	memset(&l, 0, sizeof(l));
	l.where.file = path;
	l.where.line = line->line;
	l.name = dup_slice(b, line->name);
	l.password.kind = SECRET_HASH;
	l.password.text = dup_slice(b, line->hash);
	l.uses = conf_secret_uses(SECRET_HASH, l.password.text);
	if (line->account.n > 0) {
		l.account = dup_slice(b, line->account);
		account.s = l.account;
		build_ref(b, s, &account, REF_ACCOUNT, NULL);
	}
	add_login(b, obj, &l);
}

/* A role finds the lines in its view as blocks. */
void
set_login_file(struct build *b, void *obj, const struct conf_stmt *s,
    const struct conf_directive *d)
{
	struct strbuf text = STRBUF_INIT;
	struct login_line line;
	struct err e = { 0 };
	struct slice rest;
	unsigned number = 0;
	char *path;

	(void)d;
	if (!build_is_main(b))
		return;
	path = build_path(b, s, &s->w[1]);
	((struct conf *)obj)->login_file = path;
	check_file(b, s, path, true, true);
	if (conf_read_file(b->tree, path, &text, &e) == 0) {
		rest = strbuf_slice(&text);
		while (login_file_next(&rest, &number, &line))
			take_line(b, obj, s, path, &line);
	}
	strbuf_wipe(&text);
}
