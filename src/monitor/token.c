/*
 * Token files are read and replaced here: auth, which knows what stands in
 * them, may open nothing, and monitor has the rights of whoever started it.
 * Which file a transport has stands in the configuration alone.
 *
 * A lock (flock(2) of the file itself) spans reading and replacing, so that
 * two programs never use one refresh token at once; it lies on the file that
 * is replaced, so whoever gets it looks whether that is still the one with
 * the name.  Directories may be others', so what was opened to read is what is
 * written into.  A new file is written beside the old one, gets its owner and
 * mode, is synced and renamed, and the directory is synced: after that alone
 * auth is answered.  What fails is told to auth in words, and changes
 * nothing.
 */
#include "monitor/token.h"

#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/fs.h"
#include "base/json_reader.h"
#include "base/mem.h"
#include "monitor/open_dir.h"

struct token_lock {
	TAILQ_ENTRY(token_lock) link;
	uint32_t slot;			/* of the auth */
	uint8_t holder;			/* its own number for it */
	char *name;			/* of the transport */
	int fd;				/* the locked file */
	int dir;			/* where it was found */
	struct stat was;		/* when it was read */
};

/* ---- which file ---- */

static const struct conf_oauth2 *
find_oauth2(const struct conf *conf, const char *name)
{
	size_t i = conf_transport_find(conf, name);

	return i == SIZE_MAX ? NULL : conf->transports[i].oauth2;
}

/* A name may hold anything: what is no plain character is written in hex. */
static char *
path_in_spool(const struct conf *conf, const char *name)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@.-_+";
	struct strbuf b = STRBUF_INIT;
	const char *p;

	strbuf_printf(&b, "%s/tokens/", conf->spool_directory);
	for (p = name; *p != '\0'; p++) {
		if (strchr(plain, *p) != NULL && (*p != '.' || p > name))
			strbuf_putc(&b, *p);
		else
			strbuf_printf(&b, "%%%02x", (unsigned char)*p);
	}
	return strbuf_take(&b);
}

static char *
path_of(const struct conf *conf, const char *name)
{
	const struct conf_oauth2 *o = find_oauth2(conf, name);

	if (o == NULL)
		return NULL;
	if (o->source == OAUTH2_TOKEN_FILE)
		return mem_strdup(o->path);
	return o->source == OAUTH2_FLOW ? path_in_spool(conf, name) : NULL;
}

int
token_dir_make(struct monitor *m, struct err *e)
{
	char *dir = mem_printf("%s/tokens", m->conf->spool_directory);
	int rc = fs_make_dir(dir, 0700, (uid_t)-1, (gid_t)-1, e);

	free(dir);
	return rc;
}

/* ---- locks ---- */

static struct token_lock *
find_lock(struct monitor *m, uint32_t slot, const struct msg_token *t)
{
	struct token_lock *l;

	TAILQ_FOREACH(l, &m->tokens, link)
		if (l->slot == slot && l->holder == t->holder &&
		    strcmp(l->name, t->name) == 0)
			return l;
	return NULL;
}

static void
lock_free(struct monitor *m, struct token_lock *l)
{
	if (l == NULL)
		return;
	TAILQ_REMOVE(&m->tokens, l, link);
	close(l->fd);
	close(l->dir);
	free(l->name);
	free(l);
}

void
token_forget(struct monitor *m, uint32_t slot)
{
	struct token_lock *l, *next;

	for (l = TAILQ_FIRST(&m->tokens); l != NULL; l = next) {
		next = TAILQ_NEXT(l, link);
		if (l->slot == slot)
			lock_free(m, l);
	}
}

void
token_forget_all(struct monitor *m)
{
	while (!TAILQ_EMPTY(&m->tokens))
		lock_free(m, TAILQ_FIRST(&m->tokens));
}

struct opened {
	int dir, fd;			/* -1: it is not */
	const char *name;		/* in dir; borrowed of the path */
	struct stat st;
};

static void
opened_close(struct opened *o)
{
	if (o->fd >= 0)
		close(o->fd);
	if (o->dir >= 0)
		close(o->dir);
	o->fd = o->dir = -1;
}

/* Takes what is open. */
static void
lock_keep(struct monitor *m, uint32_t slot, const struct msg_token *t,
    const struct opened *o)
{
	struct token_lock *l = mem_zalloc(sizeof(*l));

	lock_free(m, find_lock(m, slot, t));
	l->slot = slot;
	l->holder = t->holder;
	l->name = mem_strdup(t->name);
	l->fd = o->fd;
	l->dir = o->dir;
	l->was = o->st;
	TAILQ_INSERT_TAIL(&m->tokens, l, link);
}

/* What is above SPOOL/tokens belongs to queue: ours must be the one that we
 * have made. */
static int
open_dir(const char *path, bool in_spool, const char **name, struct err *e)
{
	int fd = open_dir_of(path, name, e);
	struct stat st;

	if (fd >= 0 && in_spool && (fstat(fd, &st) < 0 ||
	    st.st_uid != geteuid())) {
		err_set(e, EPERM, "%s is in a directory of somebody else",
		    path);
		close(fd);
		fd = -1;
	}
	return fd;
}

static bool
is_named(int dir, const char *name, const struct stat *st)
{
	struct stat named;

	return fstatat(dir, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
	    named.st_dev == st->st_dev && named.st_ino == st->st_ino;
}

/* -1: there is none, or *state says TOKEN_BUSY. */
static int
open_locked(const char *path, bool in_spool, bool lock, struct opened *o,
    enum token_state *state, struct err *e)
{
	*state = TOKEN_FAILED;
	o->fd = -1;
	o->dir = open_dir(path, in_spool, &o->name, e);
	if (o->dir < 0)
		return -1;
	o->fd = openat(o->dir, o->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW |
	    O_NONBLOCK | O_NOCTTY);
	if (o->fd < 0) {
		*state = errno == ENOENT ? TOKEN_NONE : TOKEN_FAILED;
		if (errno == ELOOP)
			err_set(e, ELOOP, "%s is a symbolic link: name the "
			    "file itself", path);
		else
			err_errno(e, "%s", path);
	} else if (fstat(o->fd, &o->st) < 0 || !S_ISREG(o->st.st_mode)) {
		err_set(e, EINVAL, "%s is not a regular file", path);
	} else if ((o->st.st_mode & (S_IROTH | S_IWOTH)) != 0) {
		err_set(e, EPERM, "%s holds a secret and others can read or "
		    "change it: chmod 600 it", path);
	} else if (lock && flock(o->fd, LOCK_EX | LOCK_NB) < 0) {
		err_errno(e, "lock %s", path);
		*state = errno == EWOULDBLOCK ? TOKEN_BUSY : TOKEN_FAILED;
	} else if (lock && (!is_named(o->dir, o->name, &o->st) ||
	    fstat(o->fd, &o->st) < 0)) {
		err_set(e, EAGAIN, "%s was replaced", path);
		*state = TOKEN_BUSY;
	} else {
		*state = TOKEN_OK;
		return 0;
	}
	opened_close(o);
	return -1;
}

/* ---- reading ---- */

static void
answer(struct process *p, uint64_t ref, enum token_state state,
    struct slice text, int fd)
{
	struct msg_token_done d = { (uint8_t)state, text };
	struct strbuf b = STRBUF_INIT;

	msg_token_done_encode(&b, &d);
	if (fd >= 0)
		port_reply_fd(p->port, MSG_TOKEN_DONE, ref, strbuf_slice(&b),
		    fd);
	else
		port_send_reply(p->port, MSG_TOKEN_DONE, ref,
		    strbuf_slice(&b));
	strbuf_wipe(&b);
}

static int
read_text(int fd, const char *path, struct strbuf *text, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_errno(e, "%s", path);
	if (st.st_size > MSG_TOKEN_FILE_MAX)
		return err_set(e, EFBIG, "%s is too large", path);
	if (fs_pread_all(fd, strbuf_room(text, (size_t)st.st_size + 1),
	    (size_t)st.st_size, 0) < 0)
		return err_errno(e, "read %s", path);
	text->n = (size_t)st.st_size;
	return 0;
}

/* The CAs that the file names.  Its owner is not who we are: only what
 * anybody may read is opened for him. */
static int
open_ca(struct slice text)
{
	char *path = NULL;
	struct stat st;
	struct err e;
	int fd = -1;

	if (json_object_check(text, &e) == 0)
		path = json_text_of(text, "ca_bundle_file");
	if (path != NULL && path[0] == '/')
		fd = open_regular(path);
	if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
	    (geteuid() == 0 && (st.st_mode & S_IROTH) == 0))) {
		close(fd);
		fd = -1;
	}
	free(path);
	return fd;
}

static void
do_read(struct process *p, uint64_t ref, const struct msg_token *t,
    const char *path, bool in_spool)
{
	struct strbuf text = STRBUF_INIT;
	struct err e = { 0, "" };
	enum token_state state;
	struct opened o;
	int rc = open_locked(path, in_spool, t->lock, &o, &state, &e);

	if (rc == 0 && read_text(o.fd, path, &text, &e) < 0) {
		opened_close(&o);
		rc = -1;
		state = TOKEN_FAILED;
	}
	if (rc < 0) {
		answer(p, ref, state, slice_cstr(e.text), -1);
		goto out;
	}
	answer(p, ref, TOKEN_OK, strbuf_slice(&text),
	    open_ca(strbuf_slice(&text)));
	if (t->lock)
		lock_keep(p->m, p->slot, t, &o);
	else
		opened_close(&o);
out:
	strbuf_wipe(&text);
}

/* ---- replacing ---- */

/* Owner, group and mode of the one before; a new one is ours alone. */
static int
like_before(int fd, int before, struct err *e)
{
	struct stat st, mine;

	if (before < 0)
		return 0;
	if (fstat(before, &st) < 0 || fstat(fd, &mine) < 0)
		return err_errno(e, "fstat");
	if ((st.st_uid != mine.st_uid || st.st_gid != mine.st_gid) &&
	    fchown(fd, st.st_uid, st.st_gid) < 0)
		return err_errno(e, "its owner is uid %u: chown",
		    (unsigned)st.st_uid);
	if (fchmod(fd, st.st_mode & 0777 & ~(mode_t)(S_IROTH | S_IWOTH)) < 0)
		return err_errno(e, "chmod");
	return 0;
}

static int
write_beside(int dir, const char *temp, int before, struct slice text,
    struct err *e)
{
	int fd = openat(dir, temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC |
	    O_NOFOLLOW, 0600);
	int rc = -1;

	if (fd < 0)
		return err_errno(e, "create a file beside it");
	if (fs_write_all(fd, text.p, text.n) < 0)
		err_errno(e, "write");
	else if (like_before(fd, before, e) < 0)
		;
	else if (FAULT("monitor.token_sync") != 0 || fsync(fd) < 0)
		err_errno(e, "sync");
	else
		rc = 0;
	close(fd);
	return rc;
}

/* Whoever has changed it meanwhile knows more than we do. */
static bool
is_as_read(const struct token_lock *l, const char *name)
{
	struct stat st;

	return is_named(l->dir, name, &l->was) && fstat(l->fd, &st) == 0 &&
	    st.st_size == l->was.st_size &&
	    st.st_mtim.tv_sec == l->was.st_mtim.tv_sec &&
	    st.st_mtim.tv_nsec == l->was.st_mtim.tv_nsec;
}

/* before: the file itself, or -1. */
static int
replace(int dir, const char *name, int before, struct slice text,
    struct err *e)
{
	/* Always the same, so that none stays for long if we die here. */
	char *temp = mem_printf(".%.200s.smarthostd", name);
	int rc = -1;

	(void)unlinkat(dir, temp, 0);
	if (write_beside(dir, temp, before, text, e) < 0) {
		unlinkat(dir, temp, 0);
	} else if (FAULT("monitor.token_rename") != 0 ||
	    renameat(dir, temp, dir, name) < 0) {
		err_errno(e, "rename");
		unlinkat(dir, temp, 0);
	} else if (FAULT("monitor.token_dir_sync") != 0 || fsync(dir) < 0) {
		err_errno(e, "sync of its directory");
	} else {
		rc = 0;
	}
	free(temp);
	return rc;
}

static int
replace_locked(const struct token_lock *l, const char *path,
    struct slice text, struct err *e)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash == NULL ? path : slash + 1;

	if (!is_as_read(l, name))
		return err_set(e, EAGAIN, "it was changed by somebody else");
	return replace(l->dir, name, l->fd, text, e);
}

/* One of ours that is not there, or is damaged. */
static int
make_in_spool(const char *path, struct slice text, struct err *e)
{
	const char *name;
	int dir = open_dir(path, true, &name, e), rc = -1;

	if (dir >= 0) {
		rc = replace(dir, name, -1, text, e);
		close(dir);
	}
	return rc;
}

static int
remove_file(const char *path, struct err *e)
{
	const char *name;
	int dir = open_dir(path, true, &name, e), rc = 0;

	if (dir < 0)
		return -1;
	if (unlinkat(dir, name, 0) < 0 && errno != ENOENT)
		rc = err_errno(e, "remove %s", path);
	else if (fsync(dir) < 0)
		rc = err_errno(e, "sync of the directory of %s", path);
	close(dir);
	return rc;
}

static void
do_write(struct process *p, uint64_t ref, const struct msg_token *t,
    const char *path)
{
	const struct conf_oauth2 *o = find_oauth2(p->m->conf, t->name);
	struct token_lock *lock = find_lock(p->m, p->slot, t);
	bool in_spool = o != NULL && o->source == OAUTH2_FLOW;
	struct err e = { 0, "" };
	int rc;

	if (t->text.n == 0)
		rc = in_spool ? remove_file(path, &e) : err_set(&e, EPERM,
		    "%s is not ours to remove", path);
	else if (lock != NULL)
		rc = replace_locked(lock, path, t->text, &e);
	else if (in_spool)
		rc = make_in_spool(path, t->text, &e);
	else
		rc = err_set(&e, ENOENT, "it is not there any more");
	if (rc < 0 && t->text.n > 0)
		err_prefix(&e, "%s cannot be replaced", path);
	lock_free(p->m, lock);
	answer(p, ref, rc == 0 ? TOKEN_OK : TOKEN_FAILED,
	    slice_cstr(rc == 0 ? "" : e.text), -1);
}

/* ---- CMS sockets ---- */

static void
do_connect(struct process *p, uint64_t ref, const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct err e = { 0, "" };
	int fd = -1;

	if (strlen(path) >= sizeof(sun.sun_path)) {
		err_set(&e, ENAMETOOLONG, "%s is too long for a socket",
		    path);
	} else {
		memcpy(sun.sun_path, path, strlen(path) + 1);
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC |
		    SOCK_NONBLOCK, 0);
		if (fd < 0 || connect(fd, (struct sockaddr *)&sun,
		    sizeof(sun)) < 0) {
			err_errno(&e, "cms-socket %s", path);
			if (fd >= 0)
				close(fd);
			fd = -1;
		}
	}
	answer(p, ref, fd >= 0 ? TOKEN_OK : TOKEN_FAILED, slice_cstr(e.text),
	    fd);
}

/* ---- messages ---- */

static void
serve(struct process *p, uint16_t type, uint64_t ref,
    const struct msg_token *t)
{
	const struct conf_oauth2 *o = find_oauth2(p->m->conf, t->name);
	char *path = path_of(p->m->conf, t->name);

	if (type == MSG_TOKEN_CONNECT && o != NULL && o->source == OAUTH2_CMS)
		do_connect(p, ref, o->path);
	else if (type == MSG_TOKEN_READ && path != NULL)
		do_read(p, ref, t, path, o != NULL &&
		    o->source == OAUTH2_FLOW);
	else if (type == MSG_TOKEN_WRITE && path != NULL)
		do_write(p, ref, t, path);
	else
		answer(p, ref, TOKEN_FAILED, SLICE_LIT("it is not in the "
		    "configuration any more"), -1);
	free(path);
}

int
token_message(struct process *p, struct port_message *msg, struct err *e)
{
	struct msg_token t;

	if (msg->fd >= 0)
		close(msg->fd);
	if (msg_token_decode(msg->data, &t) < 0)
		return err_set(e, EPROTO, "a token's request is garbage");
	if (msg->type == MSG_TOKEN_RELEASE)
		lock_free(p->m, find_lock(p->m, p->slot, &t));
	else
		serve(p, msg->type, msg->ref, &t);
	msg_token_clear(&t);
	return 0;
}
