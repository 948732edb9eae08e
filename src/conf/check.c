/* Checks across statements: names that are used are defined, names are
 * defined once, what is odd is warned about.  monitor and tools; the look-up
 * of names by every role. */
#include <ctype.h>
#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/htab.h"
#include "base/mem.h"
#include "base/num.h"
#include "conf/aliases.h"
#include "conf/directives.h"
#include "conf/local_choice.h"
#include "mail/address.h"
#include "mail/pattern.h"

/* ---- names ---- */

struct names {
	struct htab *index;		/* name to index + 1 */
	const char **v;			/* for suggestions */
	size_t n;
};

static void
names_add(struct names *names, const char *name, size_t index)
{
	const char **slot = mem_push(&names->v, &names->n, sizeof(*slot));

	*slot = name;
	htab_put(names->index, slice_cstr(name), (void *)(index + 1));
}

static size_t
names_find(const struct names *names, const char *name)
{
	size_t i = (size_t)htab_get(names->index, slice_cstr(name));

	return i == 0 ? SIZE_MAX : i - 1;
}

static void
names_free(struct names *names)
{
	htab_free(&names->index);
	free(names->v);
}

static unsigned
file_index(const struct build *b, const char *path)
{
	unsigned i;

	for (i = 0; i < b->tree->n_files; i++)
		if (b->paths[i] == path)
			return i;
	return 0;
}

static void
collect_login(struct build *b, struct names *names, size_t i)
{
	const struct conf_login *l = &b->conf->logins[i], *other;
	size_t found = names_find(names, l->name);

	if (found == SIZE_MAX) {
		names_add(names, l->name, i);
		return;
	}
	other = &b->conf->logins[found];
	conf_error(b->notes, file_index(b, l->where.file), l->where.line,
	    "login `%s` is defined already, in %s:%u", l->name,
	    other->where.file, other->where.line);
}

static void
collect(struct build *b, struct names names[3])
{
	const struct conf *conf = b->conf;
	const struct conf_transport *t;
	size_t i, other;

	for (i = 0; i < conf->n_accounts; i++)
		names_add(&names[REF_ACCOUNT], conf->accounts[i].name, i);
	for (i = 0; i < conf->n_logins; i++)
		collect_login(b, &names[REF_LOGIN], i);
	for (i = 0; i < conf->n_transports; i++) {
		t = &conf->transports[i];
		other = names_find(&names[REF_TRANSPORT], t->name);
		if (other != SIZE_MAX)
			conf_error(b->notes, file_index(b, t->where.file),
			    t->where.line, "transport `%s` is defined "
			    "already, in %s:%u", t->name,
			    conf->transports[other].where.file,
			    conf->transports[other].where.line);
		else
			names_add(&names[REF_TRANSPORT], t->name, i);
	}
}

void
conf_resolve(struct build *b)
{
	static const char *const kinds[] = {
		[REF_ACCOUNT] = "account", [REF_TRANSPORT] = "transport",
		[REF_LOGIN] = "login"
	};
	struct names names[3];
	const struct conf_ref *r;
	char buf[512];
	size_t i, found;

	memset(names, 0, sizeof(names));
	for (i = 0; i < 3; i++)
		names[i].index = htab_new();
	collect(b, names);
	for (i = 0; i < b->n_refs; i++) {
		r = &b->refs[i];
		found = names_find(&names[r->kind], r->name);
		if (r->index != NULL)
			*r->index = found;
		if (found != SIZE_MAX || (r->kind == REF_TRANSPORT &&
		    strcmp(r->name, "direct") == 0))
			continue;
		conf_error(b->notes, r->file, r->line,
		    "there is no %s `%s`%s", kinds[r->kind], r->name,
		    conf_suggestion(r->name, names[r->kind].v,
		    names[r->kind].n, buf, sizeof(buf)));
	}
	for (i = 0; i < 3; i++)
		names_free(&names[i]);
}

/* ---- errors that need more than one statement ---- */

static void
check_secret_files(struct build *b)
{
	struct stat st;
	size_t i;

	for (i = 0; b->check_files && i < b->tree->n_files; i++) {
		if (b->secret_line[i] == 0 ||
		    stat(b->paths[i], &st) == -1 ||
		    (st.st_mode & (S_IRWXG | S_IRWXO) & 0066) == 0)
			continue;
		conf_error(b->notes, (unsigned)i, b->secret_line[i],
		    "a secret stands in this file and others can read or "
		    "change it (mode %04o): chmod 600 it, or put the secret "
		    "into a file of its own",
		    (unsigned)(st.st_mode & 07777));
	}
}

/* Only a client's certificate does without a password. */
static void
check_logins(struct build *b)
{
	const struct conf *conf = b->conf;
	const struct conf_login *l;
	size_t i;

	for (i = 0; i < conf->n_listens; i++)
		if (conf->listens[i].client_ca != NULL)
			return;
	for (i = 0; i < conf->n_logins; i++) {
		l = &conf->logins[i];
		if (l->password.kind == SECRET_NONE && !l->flawed)
			conf_error(b->notes, file_index(b, l->where.file),
			    l->where.line, "login `%s` has no password, and "
			    "no `listen` has a `client-ca`", l->name);
	}
}

/* Line of a global statement, 1 where it is not written. */
static unsigned
line_of(const struct build *b, const char *keyword, unsigned *file)
{
	const struct conf_stmt *s;
	size_t i;

	*file = 0;
	for (i = 0; i < b->tree->root.n_kids; i++) {
		s = &b->tree->root.kids[i];
		if (word_is(&s->w[0], keyword)) {
			*file = s->file;
			return s->line;
		}
	}
	return 1;
}

void
conf_check_errors(struct build *b)
{
	const struct conf *conf = b->conf;
	char a[32], z[32];
	unsigned file, line;

	check_secret_files(b);
	check_logins(b);
	if (conf->expire > conf->expire_max) {
		line = line_of(b, "expire", &file);
		conf_error(b->notes, file, line, "expire %s is longer than "
		    "expire-max %s",
		    num_duration_text(conf->expire, a, sizeof(a)),
		    num_duration_text(conf->expire_max, z, sizeof(z)));
	}
}

/* ---- what is odd ---- */

/* A user of this machine, as written or in lower case. */
static bool
is_user(const char *address)
{
	struct slice local, domain;
	struct strbuf name = STRBUF_INIT;
	const char *p;
	size_t i;
	bool yes;

	mail_address_split(slice_cstr(address), &local, &domain);
	mail_local_unquote(local, &name);
	p = strbuf_cstr(&name);
	yes = getpwnam(p) != NULL;
	if (!yes) {
		for (i = 0; i < name.n; i++)
			name.p[i] = (char)tolower((unsigned char)name.p[i]);
		yes = getpwnam(p) != NULL;
	}
	strbuf_free(&name);
	return yes;
}

static void
warn_nowhere(struct build *b, const struct local_answer *a)
{
	const struct conf *conf = b->conf;
	size_t i = conf_transport_find(conf, "local");
	unsigned file, line = line_of(b, "local-domains", &file);

	if (i == SIZE_MAX && a->result != LOCAL_FOUND)
		conf_warning(b->notes, file, line, "mail for local users "
		    "(%s) has nowhere to go: define a transport `local`, or "
		    "name a `postmaster` elsewhere",
		    conf->local_domains.v[0]);
	else if (i != SIZE_MAX && b->check_files && a->n == 1 &&
	    a->v[0].here && (conf->transports[i].mda != NULL ||
	    (conf->transports[i].maildir != NULL &&
	    conf->transports[i].maildir[0] == '~')) &&
	    !is_user(a->v[0].address))
		conf_warning(b->notes, file, line, "mail for the postmaster "
		    "(%s) has nowhere to go: there is no such user, so give "
		    "`postmaster` or `root` an alias, or name a `postmaster` "
		    "elsewhere", a->v[0].address);
}

/* Whatever becomes of others, the postmaster's mail must go somewhere. */
static void
warn_local(struct build *b)
{
	const struct conf *conf = b->conf;
	struct strbuf text = STRBUF_INIT, name = STRBUF_INIT;
	struct local_answer a;
	struct conf_local *l;

	if (conf->local_domains.n == 0)
		return;
	conf_aliases_text(b->tree, conf, &text);
	l = conf_local_new(conf, strbuf_slice(&text));
	strbuf_printf(&name, "postmaster@%s", conf->local_domains.v[0]);
	conf_local_resolve(l, strbuf_cstr(&name), conf->max_recipients, &a);
	warn_nowhere(b, &a);
	local_answer_clear(&a);
	conf_local_free(&l);
	strbuf_free(&name);
	strbuf_free(&text);
}

/* Does any login have a secret for any mechanism of this listener? */
static bool
login_is_possible(const struct conf *conf, const struct conf_listen *l)
{
	size_t i, j;

	for (i = 0; i < l->auth_mechanisms.n; i++) {
		if (strcmp(l->auth_mechanisms.v[i], "EXTERNAL") == 0 &&
		    l->client_ca != NULL)
			return true;
		for (j = 0; j < conf->n_logins; j++)
			if ((conf->logins[j].uses & conf_mechanism_uses(
			    l->auth_mechanisms.v[i])) != 0)
				return true;
	}
	return false;
}

static void
warn_mechanisms(struct build *b)
{
	const struct conf *conf = b->conf;
	const struct conf_listen *l;
	size_t i;

	for (i = 0; i < conf->n_listens; i++) {
		l = &conf->listens[i];
		if (l->auth != AUTH_OFF && conf->n_logins > 0 &&
		    !login_is_possible(conf, l))
			conf_warning(b->notes, file_index(b, l->where.file),
			    l->where.line, "listen %s: no `login` can use "
			    "any of its `auth-mechanisms`", l->name);
	}
}

static void
warn_logins(struct build *b)
{
	const struct conf *conf = b->conf;
	size_t i;

	for (i = 0; i < conf->n_listens; i++)
		if (conf->listens[i].auth == AUTH_REQUIRED &&
		    conf->n_logins == 0)
			conf_warning(b->notes, file_index(b,
			    conf->listens[i].where.file),
			    conf->listens[i].where.line, "listen %s wants "
			    "authentication, but there is no `login`",
			    conf->listens[i].name);
}

static void
warn_credentials(struct build *b)
{
	const struct conf *conf = b->conf;
	const struct conf_transport *t;
	size_t i;

	for (i = 0; i < conf->n_transports; i++) {
		t = &conf->transports[i];
		if (t->kind == TRANSPORT_SUBMISSION && !t->has_credential &&
		    t->certificate == NULL)
			conf_warning(b->notes, file_index(b, t->where.file),
			    t->where.line, "submission `%s` without "
			    "`username` and `password`: nothing will be "
			    "shown to the server", t->name);
	}
}

void
conf_check(struct build *b)
{
	warn_local(b);
	warn_logins(b);
	warn_mechanisms(b);
	warn_credentials(b);
}
