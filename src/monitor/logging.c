/*
 * Where the log goes: standard error, a file, or syslog's datagram socket.
 * monitor opens it and hands the descriptor to the roles; USR1 opens a file
 * anew.  A log that cannot be opened is an error at the start, and is told in
 * the old log later.
 */
#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "monitor/monitor.h"

static int
open_syslog(struct err *e)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return err_errno(e, "socket");
	strcpy(sun.sun_path, "/dev/log");
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0) {
		err_errno(e, "log syslog: connect to /dev/log");
		close(fd);
		return -1;
	}
	return fd;
}

/* A file of the log belongs to whom it was started by, and others may not
 * read who writes to whom. */
static int
open_file(const char *path, struct err *e)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);

	if (fd < 0)
		err_errno(e, "log %s", path);
	return fd;
}

int
logging_open(struct monitor *m, struct err *e)
{
	const struct conf *c = m->conf;
	int fd = -1, to = (int)c->log_to;

	if (!c->log_set)
		to = m->opt.foreground ? CONF_LOG_STDERR : CONF_LOG_SYSLOG;
	switch (to) {
	case CONF_LOG_SYSLOG:
		fd = open_syslog(e);
		break;
	case CONF_LOG_FILE:
		fd = open_file(c->log_file, e);
		break;
	default:
		fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
		if (fd < 0)
			err_errno(e, "dup of standard error");
		break;
	}
	if (fd < 0)
		return -1;
	m->log.sink = to == CONF_LOG_SYSLOG ? LOG_SYSLOG : LOG_STREAM;
	m->log.format = (uint8_t)c->log_format;
	m->log.level = m->opt.verbose ? LL_DEBUG : (uint8_t)c->log_level;
	log_flush();
	log_open("monitor", fd, m->log.sink, m->log.format, m->log.level);
	if (m->log_fd >= 0)
		close(m->log_fd);
	m->log_fd = fd;
	return 0;
}
