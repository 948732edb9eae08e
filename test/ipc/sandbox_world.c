/* The world outside of the sandbox: files, sockets, a process to hurt. */
#include "ipc/sandbox_world.h"

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "ipc/sandbox_private.h"

struct outside out;
int walls, landlock_version;
bool has_landlock, has_seccomp;

const enum role roles[CONFINED] = { ROLE_LISTENER, ROLE_QUEUE, ROLE_DELIVERY,
	ROLE_AUTH };

static void
make_files(void)
{
	char path[128];
	int fd;

	strcpy(out.dir, "/tmp/sandbox.XXXXXX");
	assert_non_null(mkdtemp(out.dir));
	snprintf(out.spool, sizeof(out.spool), "%s/spool", out.dir);
	assert_int_equal(mkdir(out.spool, 0700), 0);
	snprintf(path, sizeof(path), "%s/spool/00", out.dir);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/elsewhere", out.dir);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(out.file, sizeof(out.file), "%s/elsewhere/file", out.dir);
	fd = open(out.file, O_WRONLY | O_CREAT, 0600);
	assert_int_equal(write(fd, "outside", 7), 7);
	close(fd);
}

static void
make_sockets(void)
{
	socklen_t n = sizeof(out.tcp);
	int s;

	out.tcp = (struct sockaddr_in){ .sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	out.tcp_listening = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(out.tcp_listening, (struct sockaddr *)&out.tcp,
	    n), 0);
	assert_int_equal(listen(out.tcp_listening, 10), 0);
	assert_int_equal(getsockname(out.tcp_listening,
	    (struct sockaddr *)&out.tcp, &n), 0);
	out.tcp_idle = socket(AF_INET, SOCK_STREAM, 0);
	out.udp_idle = socket(AF_INET, SOCK_DGRAM, 0);
	out.unix_idle = socket(AF_UNIX, SOCK_STREAM, 0);
	out.tcp_shut = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(listen(out.tcp_shut, 1), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, out.pair), 0);
	s = socket(AF_UNIX, SOCK_STREAM, 0);
	out.abstract.sun_family = AF_UNIX;
	out.abstract_n = (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
	    (size_t)snprintf(out.abstract.sun_path + 1,
	    sizeof(out.abstract.sun_path) - 1, "%s", out.dir) + 1);
	assert_int_equal(bind(s, (struct sockaddr *)&out.abstract,
	    out.abstract_n), 0);
	assert_int_equal(listen(s, 10), 0);
}

static void
make_victim(void)
{
	out.victim = fork();
	if (out.victim != 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		pause();
}

#define WALLS 200

static long
walls_here(void)
{
	bool files = open("/dev/null", O_RDONLY) < 0 && errno == EACCES;
	bool calls = prctl(PR_GET_SECCOMP) == SECCOMP_MODE_FILTER;

	/* A message to the one who waits. */
	errno = WALLS + files + 2 * calls;
	return -1;
}

int
sandbox_world_start(void **state)
{
	int found;

	(void)state;
	make_files();
	make_sockets();
	make_victim();
	landlock_version = sandbox_landlock_version();
	found = attempt_as(ROLE_LISTENER, walls_here);
	has_landlock = ((found - WALLS) & 1) != 0;
	has_seccomp = ((found - WALLS) & 2) != 0;
	walls = has_seccomp + has_landlock;
	return 0;
}

int
sandbox_world_stop(void **state)
{
	char *argv[] = { (char *)(uintptr_t)"rm", (char *)(uintptr_t)"-rf",
	    out.dir, NULL };
	pid_t pid;

	(void)state;
	kill(out.victim, SIGKILL);
	waitpid(out.victim, NULL, 0);
	pid = fork();
	if (pid == 0) {
		execvp(argv[0], argv);
		_exit(1);
	}
	waitpid(pid, NULL, 0);
	return 0;
}

bool attempt_with_network;

int
attempt_as(enum role role, long (*attempt)(void))
{
	struct err e = { 0, "" };
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (sandbox_enter(role, role == ROLE_QUEUE ? out.spool : NULL,
		    role == ROLE_DELIVERY || attempt_with_network, &e) < 0) {
			fprintf(stderr, "%s\n", e.text);
			_exit(255);
		}
		errno = 0;
		_exit(attempt() >= 0 ? 0 : errno);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_not_equal(WEXITSTATUS(status), 255);
	return WEXITSTATUS(status);
}

/* Fails with all that is not as it should be, at once. */
void
expect(enum role role, const struct attempt *a, size_t n, int want)
{
	size_t i;
	int bad = 0, got;

	for (i = 0; i < n; i++) {
		got = attempt_as(role, a[i].try);
		if (got == want)
			continue;
		print_error("%s: %s: %s instead of %s\n", role_name(role),
		    a[i].what, got == 0 ? "done" : strerrorname_np(got),
		    want == 0 ? "done" : strerrorname_np(want));
		bad++;
	}
	assert_int_equal(bad, 0);
}

void
need(bool wall)
{
	if (!wall)
		skip();
}
