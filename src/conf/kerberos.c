/* `kerberos`: a credential whose kind is Kerberos, for logins by GSSAPI.  Only
 * monitor and tools know which keytab or cache it is; what it holds is never
 * part of a view or of a message. */
#include <fcntl.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/directives.h"

/* A file of another program, or one that somebody else has configured by this
 * name, is found out before the first login. */
static bool
is_keytab(const char *path)
{
	unsigned char head[2] = { 0, 0 };
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, head, sizeof(head)) : -1;

	if (fd >= 0)
		close(fd);
	return n == sizeof(head) && head[0] == 5 &&
	    (head[1] == 1 || head[1] == 2);
}

static void
check_keytab(struct build *b, const struct conf_stmt *s, const char *path)
{
	size_t before = b->notes->n_errors;

	check_file(b, s, path, true, false);
	if (b->check_files && b->notes->n_errors == before &&
	    !is_keytab(path))
		build_error(b, s, NULL, "%s is no keytab: one is written by "
		    "`ktadd -k FILE PRINCIPAL` of kadmin(1)", path);
}

/* The file of a cache that is one, else NULL. */
static const char *
cache_file(const char *name)
{
	if (name[0] == '/')
		return name;
	return strncmp(name, "FILE:/", 6) == 0 ? name + 5 : NULL;
}

/* Whoever fills it may begin after us: that it is not there yet is no error.
 */
static void
check_cache_file(struct build *b, const struct conf_stmt *s, const char *path)
{
	struct stat st;

	if (!b->check_files)
		return;
	if (stat(path, &st) == -1)
		build_warning(b, s, "%s is not there: mail waits until kinit "
		    "or the like has written it", path);
	else if ((st.st_mode & (S_IRWXG | S_IRWXO) & 0066) != 0)
		build_error(b, s, NULL, "%s holds a secret and others can "
		    "read or change it (mode %04o): chmod 600 it", path,
		    (unsigned)(st.st_mode & 07777));
}

static void
check_cache(struct build *b, const struct conf_stmt *s,
    const struct conf_word *w)
{
	const char *file = cache_file(w->s), *colon = strchr(w->s, ':');

	if (file != NULL)
		check_cache_file(b, s, file);
	else if (strncmp(w->s, "MEMORY:", 7) == 0)
		build_error(b, s, w, "kerberos cache: nobody else could put a "
		    "ticket into `%s`; a keytab needs no cache", w->s);
	else if (colon == NULL || colon == w->s ||
	    strncmp(w->s, "FILE:", 5) == 0)
		build_error(b, s, w, "kerberos cache: `%s` is neither an "
		    "absolute path nor TYPE:NAME (FILE:/PATH, KCM:, ...)",
		    w->s);
}

static void
check_user(struct build *b, const struct conf_stmt *s,
    const struct conf_word *w)
{
	const struct passwd *pw = getpwnam(w->s);

	if (pw == NULL)
		build_error(b, s, w, "kerberos cache: there is no user `%s`",
		    w->s);
	else if (b->check_files && geteuid() != 0 && pw->pw_uid != geteuid())
		build_warning(b, s, "kerberos cache: `as %s` works only where "
		    "smarthostd is started as root", w->s);
}

void
set_kerberos(struct build *b, void *obj, const struct conf_stmt *s,
    const struct conf_directive *d)
{
	struct conf_transport *t = obj;
	bool as;

	t->kerberos = true;
	t->has_credential = true;
	if (s->hidden)
		return;
	as = s->n == 5 && word_is(&s->w[3], "as");
	if (word_is(&s->w[1], "keytab") && s->n == 3) {
		t->keytab = build_path(b, s, &s->w[2]);
		if (build_is_main(b))
			check_keytab(b, s, t->keytab);
	} else if (word_is(&s->w[1], "cache") && (s->n == 3 || as)) {
		t->ticket_cache = conf_arena_strdup(b->arena, s->w[2].s);
		if (as)
			t->ticket_user = conf_arena_strdup(b->arena,
			    s->w[4].s);
		if (build_is_main(b))
			check_cache(b, s, &s->w[2]);
		if (build_is_main(b) && as)
			check_user(b, s, &s->w[4]);
	} else {
		build_error(b, s, NULL, "%s is written %s %s", d->name,
		    d->name, d->args);
	}
}

void
kerberos_finish(struct build *b, const struct conf_stmt *s,
    struct conf_transport *t)
{
	bool named = false;
	size_t i;

	for (i = 0; i < t->auth_mechanisms.n; i++)
		named |= strcmp(t->auth_mechanisms.v[i], "GSSAPI") == 0;
	if (!build_is_main(b))
		return;
	if (named && !t->kerberos)
		build_error(b, s, NULL, "%s `%s`: auth-mechanisms GSSAPI "
		    "needs `kerberos` (a keytab, or a cache with a ticket)",
		    s->w[0].s, t->name);
	if (t->kerberos && t->auth_mechanisms.n > 0 && !named)
		build_error(b, s, NULL, "%s `%s`: with `kerberos` the "
		    "mechanism is GSSAPI, which `auth-mechanisms` leaves out",
		    s->w[0].s, t->name);
	if (t->kerberos && (t->password.kind != SECRET_NONE ||
	    t->oauth2 != NULL))
		build_error(b, s, NULL, "%s `%s`: %s and kerberos; one of them "
		    "is enough", s->w[0].s, t->name,
		    t->oauth2 != NULL ? "oauth2" : "a password");
}
