/*
 * Every socket that is listened on.  At the start a socket that cannot be
 * bound ends the program; at a reload the old configuration goes on.  Those
 * that a reload keeps are taken over, so that no connection is refused
 * meanwhile.
 */
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <netinet/in.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/sockaddr.h"
#include "monitor/monitor.h"

#define BACKLOG 1024

static struct socket_bound *
bound_find(struct monitor *m, uint8_t kind, const char *name)
{
	size_t i;

	for (i = 0; i < m->n_sockets; i++) {
		if (m->sockets[i].kind == kind &&
		    strcmp(m->sockets[i].name, name) == 0)
			return &m->sockets[i];
	}
	return NULL;
}

static int
bind_inet(const struct sockaddr_storage *sa, struct err *e)
{
	int one = 1, fd;

	fd = socket(sa->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    0);
	if (fd < 0)
		return err_errno(e, "socket");
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (sa->ss_family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one,
		    sizeof(one));
	if (bind(fd, (const struct sockaddr *)sa, sockaddr_len(sa)) < 0 ||
	    listen(fd, BACKLOG) < 0) {
		err_errno(e, "bind");
		close(fd);
		return -1;
	}
	return fd;
}

/* mode 0: as umask leaves it.
 * The lock on the runtime directory says that no daemon of ours is behind a
 * socket that lies there; elsewhere only a dead one is taken away. */
static int
bind_unix(const char *path, mode_t mode, struct err *e)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct stat st;
	int fd;

	if (strlen(path) >= sizeof(sun.sun_path))
		return err_set(e, ENAMETOOLONG, "the path of a socket may "
		    "have %zu octets at most", sizeof(sun.sun_path) - 1);
	strcpy(sun.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_errno(e, "socket");
	if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode)) {
		/* Anything but this is somebody who lives: EAGAIN, a full
		 * backlog. */
		if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0 ||
		    errno != ECONNREFUSED) {
			err_set(e, EADDRINUSE, "another program listens "
			    "there");
			goto fail;
		}
		(void)unlink(path);
	}
	if (bind(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0 ||
	    (mode != 0 && chmod(path, mode) < 0) || listen(fd, BACKLOG) < 0) {
		err_errno(e, "bind");
		goto fail;
	}
	return fd;
fail:
	close(fd);
	return -1;
}

/* Appends; takes over the socket of the same name where there is one. */
static int
bind_one(struct monitor *m, uint8_t kind, uint32_t index, const char *name,
    const struct sockaddr_storage *sa, struct socket_bound **out, size_t *n,
    struct err *e)
{
	struct socket_bound *old = bound_find(m, kind, name), *b;
	int fd;

	if (old != NULL)
		fd = old->fd;
	else if (sa != NULL)
		fd = bind_inet(sa, e);
	else
		fd = bind_unix(name, kind == LISTEN_TOKEN ? 0 : 0666, e);
	if (fd < 0)
		return err_prefix(e, "listen %s", name);
	b = mem_push(out, n, sizeof(*b));
	b->kind = kind;
	b->index = index;
	b->name = mem_strdup(name);
	b->fd = fd;
	return 0;
}

/* All addresses that the name of a directive's socket stands for. */
static int
bind_name(struct monitor *m, uint8_t kind, uint32_t index,
    const char *directive, const char *name, struct socket_bound **out,
    size_t *n, struct err *e)
{
	struct sockaddr_storage sa[2];
	char text[SOCKADDR_TEXT_MAX];
	size_t count, i;

	if (sockaddr_parse(slice_cstr(name), 0, sa, &count, e) < 0)
		return err_prefix(e, "%s %s", directive, name);
	for (i = 0; i < count; i++) {
		if (bind_one(m, kind, index, sockaddr_text(&sa[i], text),
		    &sa[i], out, n, e) == 0)
			continue;
		/* A machine without IPv6 may still say `*:25`. */
		if (count == 2 && sa[i].ss_family == AF_INET6 &&
		    (e->code == EAFNOSUPPORT || e->code == EADDRNOTAVAIL))
			continue;
		return -1;
	}
	return 0;
}

static int
bind_listen(struct monitor *m, const struct conf_listen *l, uint32_t index,
    struct socket_bound **out, size_t *n, struct err *e)
{
	if (l->is_unix)
		return bind_one(m, LISTEN_SMTP, index, l->path, NULL, out, n,
		    e);
	return bind_name(m, LISTEN_SMTP, index, "listen", l->name, out, n, e);
}

/* Of the socket itself: in a directory of somebody else's the name may lead
 * elsewhere by now. */
static int
give(const struct conf_token_server *t, struct err *e)
{
	int fd = open(t->path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	char *itself = mem_printf("/proc/self/fd/%d", fd);
	struct stat st;
	int rc = 0;

	if (fd < 0 || fstat(fd, &st) < 0)
		rc = err_errno(e, "token-server %s", t->path);
	else if (!S_ISSOCK(st.st_mode))
		rc = err_set(e, ENOTSOCK, "token-server %s: no socket any "
		    "more", t->path);
	else if ((t->has_group &&
	    fchownat(fd, "", (uid_t)-1, t->group, AT_EMPTY_PATH) < 0) ||
	    chmod(itself, t->mode) < 0)
		rc = err_errno(e, "token-server %s", t->path);
	if (fd >= 0)
		close(fd);
	free(itself);
	return rc;
}

/* Nobody may connect before its mode and group are set, and these follow the
 * configuration when the socket is taken over. */
static int
bind_token(struct monitor *m, const struct conf_token_server *t,
    const char *group, uint32_t index, struct socket_bound **out, size_t *n,
    struct err *e)
{
	mode_t mask = umask(0177);
	struct socket_bound *b;
	int rc = bind_one(m, LISTEN_TOKEN, index, t->path, NULL, out, n, e);

	umask(mask);
	if (rc < 0)
		return -1;
	b = &(*out)[*n - 1];
	b->has_group = t->has_group;
	b->group = t->group;
	if (!t->has_group && group != NULL)
		b->has_group = identity_group(group, &b->group);
	return give(t, e);
}

int
bind_all(struct monitor *m, const struct conf *conf,
    struct socket_bound **out, size_t *n, struct err *e)
{
	char *submit = mem_printf("%s/submit.sock", conf->runtime_directory);
	char *control = mem_printf("%s/control.sock",
	    conf->runtime_directory);
	uint32_t i;
	int rc = 0;

	*out = NULL;
	*n = 0;
	for (i = 0; rc == 0 && i < conf->n_listens; i++)
		rc = bind_listen(m, &conf->listens[i], i, out, n, e);
	if (rc == 0)
		rc = bind_one(m, LISTEN_SUBMIT, 0, submit, NULL, out, n, e);
	if (rc == 0)
		rc = bind_one(m, LISTEN_CONTROL, 0, control, NULL, out, n, e);
	for (i = 0; rc == 0 && i < conf->n_token_servers; i++)
		rc = bind_token(m, &conf->token_servers[i], conf->group,
		    i, out, n, e);
	if (rc == 0 && conf->metrics != NULL)
		rc = bind_name(m, LISTEN_METRICS, 0, "metrics", conf->metrics,
		    out, n, e);
	if (rc < 0) {
		bind_close(*out, *n, m->sockets, m->n_sockets);
		*out = NULL;
		*n = 0;
	}
	free(submit);
	free(control);
	return rc;
}

void
bind_close(struct socket_bound *v, size_t n, const struct socket_bound *keep,
    size_t n_keep)
{
	size_t i, k;

	for (i = 0; i < n; i++) {
		for (k = 0; k < n_keep && keep[k].fd != v[i].fd; k++)
			;
		if (k == n_keep) {
			if (v[i].name[0] == '/')
				(void)unlink(v[i].name);
			close(v[i].fd);
		}
		free(v[i].name);
	}
	free(v);
}
