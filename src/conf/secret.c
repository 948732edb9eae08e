/* Secrets and keys: `password`, `client-secret`, `certificate`.  What they
 * hold is never part of a message.  monitor and tools look at the files;
 * roles find the contents in their view. */
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "conf/command_line.h"
#include "conf/directives.h"

const struct conf_choice conf_secret_login[] = {
	{ "file", SECRET_FILE, NOW },
	{ "hash", SECRET_HASH, NOW },
	{ "command", SECRET_COMMAND, NOW },
	{ NULL, 0, NOW }
};

const struct conf_choice conf_secret_transport[] = {
	{ "file", SECRET_FILE, NOW },
	{ "credential", SECRET_CREDENTIAL, NOW },
	{ "command", SECRET_COMMAND, NOW },
	{ NULL, 0, NOW }
};

const struct conf_choice conf_secret_other[] = {
	{ "file", SECRET_FILE, NOW },
	{ "command", SECRET_COMMAND, LATER },
	{ NULL, 0, NOW }
};

int
conf_secret_file(const struct conf_tree *tree, const char *path,
    struct strbuf *out, struct err *e)
{
	struct strbuf text = STRBUF_INIT;
	const char *nl;
	size_t n;
	int rc = -1;

	if (conf_read_file(tree, path, &text, e) == -1)
		return -1;
	nl = text.n > 0 ? memchr(text.p, '\n', text.n) : NULL;
	n = nl != NULL ? (size_t)(nl - text.p) : text.n;
	if (n > 0 && text.p[n - 1] == '\r')
		n--;
	if (n == 0) {
		err_set(e, -1, "%s: its first line is empty", path);
	} else if (memchr(text.p, '\0', n) != NULL) {
		err_set(e, -1, "%s: its first line holds a NUL", path);
	} else {
		strbuf_add(out, text.p, n);
		rc = 0;
	}
	strbuf_wipe(&text);
	return rc;
}

char *
conf_credential_path(struct conf_arena *arena, const char *name)
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY");
	struct strbuf b = STRBUF_INIT;
	char *path;

	if (dir == NULL || strchr(name, '/') != NULL || name[0] == '.' ||
	    name[0] == '\0')
		return NULL;
	strbuf_printf(&b, "%s/%s", dir, name);
	path = conf_arena_strndup(arena, strbuf_cstr(&b), b.n);
	strbuf_free(&b);
	return path;
}

static const struct conf_choice *
find_kind(const struct conf_directive *d, const struct conf_word *w)
{
	const struct conf_choice *c;

	for (c = d->choices; c->name != NULL; c++)
		if (word_is(w, c->name))
			return c;
	return NULL;
}

static void
check_secret_text(struct build *b, const struct conf_stmt *s, const char *path)
{
	struct strbuf text = STRBUF_INIT;
	struct err e = { 0 };
	size_t before = b->notes->n_errors;

	check_file(b, s, path, true, false);
	if (b->notes->n_errors == before && b->check_files &&
	    conf_secret_file(b->tree, path, &text, &e) == -1)
		build_error(b, s, NULL, "%s", e.text);
	strbuf_wipe(&text);
}

/* The line can be split, and its program is there. */
static void
check_command(struct build *b, const struct conf_stmt *s,
    const struct conf_word *w)
{
	struct err e = { 0, "" };
	char **argv = conf_command_split(w->s, &e), *path = NULL;

	if (argv != NULL && b->check_files)
		path = conf_command_find(argv[0], &e);
	if (e.code != 0)
		build_error(b, s, w, "%s command: %s", s->w[0].s, e.text);
	free(path);
	conf_command_free(&argv);
}

static void
check_as_user(struct build *b, const struct conf_stmt *s,
    const struct conf_word *w)
{
	const struct passwd *pw = getpwnam(w->s);

	if (pw == NULL)
		build_error(b, s, w, "%s command: there is no user `%s`",
		    s->w[0].s, w->s);
	else if (b->check_files && geteuid() != 0 && pw->pw_uid != geteuid())
		build_warning(b, s, "%s command: `as %s` works only where "
		    "smarthostd is started as root", s->w[0].s, w->s);
}

static void
secret_by_kind(struct build *b, const struct conf_stmt *s,
    const struct conf_choice *kind, struct conf_secret *secret)
{
	const struct conf_word *w = &s->w[2];
	char *path;

	secret->kind = (enum conf_secret_kind)kind->value;
	secret->text = conf_arena_strdup(b->arena, w->s);
	switch (secret->kind) {
	case SECRET_FILE:
		secret->text = build_path(b, s, w);
		check_secret_text(b, s, secret->text);
		break;
	case SECRET_CREDENTIAL:
		path = conf_credential_path(b->arena, w->s);
		if (path == NULL)
			build_error(b, s, w, "%s credential: systemd gave us "
			    "no credential of this name", s->w[0].s);
		else if (b->check_files)
			check_file(b, s, path, false, true);
		break;
	case SECRET_HASH:
		if (build_is_main(b) && !w->env &&
		    b->secret_line[s->file] == 0)
			b->secret_line[s->file] = w->line;
		break;
	case SECRET_COMMAND:
		if (build_is_main(b))
			check_command(b, s, w);
		break;
	default:
		break;
	}
	if (w->s[0] == '\0')
		build_error(b, s, w, "%s: the secret is empty", s->w[0].s);
}

static void
secret_value(struct build *b, const struct conf_stmt *s,
    struct conf_secret *secret)
{
	const struct conf_word *w = &s->w[1];

	secret->kind = SECRET_VALUE;
	secret->text = conf_arena_strdup(b->arena, w->s);
	if (w->s[0] == '\0')
		build_error(b, s, w, "%s: the secret is empty", s->w[0].s);
	if (build_is_main(b) && !w->env && b->secret_line[s->file] == 0)
		b->secret_line[s->file] = w->line;
}

void
set_secret(struct build *b, void *obj, const struct conf_stmt *s,
    const struct conf_directive *d)
{
	struct conf_secret nowhere, *secret = &nowhere;
	const struct conf_choice *kind;

	if (d->offset != NO_FIELD)
		secret = (void *)((unsigned char *)obj + d->offset);
	if (s->hidden)
		return;
	kind = find_kind(d, &s->w[1]);
	if (kind != NULL && kind->when == LATER) {
		build_error(b, s, &s->w[1], "%s %s: not supported yet",
		    d->name, kind->name);
		return;
	}
	if (kind == NULL && s->n == 2) {
		secret_value(b, s, secret);
		return;
	}
	if (kind != NULL && s->n == 3) {
		secret_by_kind(b, s, kind, secret);
		return;
	}
	if (kind != NULL && kind->value == SECRET_COMMAND && s->n == 5 &&
	    word_is(&s->w[3], "as")) {
		secret_by_kind(b, s, kind, secret);
		secret->as_user = conf_arena_strdup(b->arena, s->w[4].s);
		if (build_is_main(b))
			check_as_user(b, s, &s->w[4]);
		return;
	}
	build_error(b, s, NULL, "%s is written %s %s, a value with blanks in "
	    "quotes", d->name, d->name, d->args);
}

static void
build_passphrase(struct build *b, const struct conf_stmt *s,
    const struct conf_word *w, struct conf_secret *passphrase)
{
	if (!build_is_main(b)) {
		passphrase->kind = SECRET_VALUE;
		passphrase->text = conf_arena_strdup(b->arena, w->s);
		return;
	}
	passphrase->kind = SECRET_FILE;
	passphrase->text = build_path(b, s, w);
	check_secret_text(b, s, passphrase->text);
}

void
build_certificate(struct build *b, const struct conf_stmt *s,
    char **certificate, char **key, struct conf_secret *passphrase)
{
	const struct conf_word *pass = NULL, *k = NULL;
	size_t i = 2;

	if (i + 1 < s->n && word_is(&s->w[i], "key")) {
		k = &s->w[i + 1];
		i += 2;
	}
	if (passphrase != NULL && i + 2 < s->n &&
	    word_is(&s->w[i], "passphrase") && word_is(&s->w[i + 1], "file")) {
		pass = &s->w[i + 2];
		i += 3;
	}
	if (i != s->n) {
		build_error(b, s, NULL, "certificate is written certificate "
		    "FILE [key FILE]%s", passphrase != NULL ?
		    " [passphrase file FILE]" : "");
		return;
	}
	if (!build_is_main(b)) {
		*certificate = conf_arena_strdup(b->arena, s->w[1].s);
		*key = conf_arena_strdup(b->arena, k != NULL ? k->s : NULL);
	} else {
		*certificate = build_path(b, s, &s->w[1]);
		/* Without a key of its own it holds the key. */
		check_file(b, s, *certificate, k == NULL, true);
		if (k != NULL) {
			*key = build_path(b, s, k);
			check_file(b, s, *key, true, true);
		}
	}
	if (pass != NULL)
		build_passphrase(b, s, pass, passphrase);
}
