/* What this machine can do at best, for `make bench`: syncs of a file and of
 * a directory, and round trips over loopback, as one line of JSON.
 *
 *	limits DIRECTORY [SECONDS]	seconds for each of the figures
 */
#include <sys/socket.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

#define BLOCK 4096
#define OVERWRITTEN 1024		/* blocks */

static const char *dir;
static uint64_t each_us = 500000;
static char block[BLOCK];

static void
die(const char *what)
{
	fprintf(stderr, "limits: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void
tell(const char *name, uint64_t n, uint64_t us, bool last)
{
	printf("\"%s\": %.0f%s", name, (double)n * 1e6 / (double)(us ? us : 1),
	    last ? "}\n" : ", ");
}

static int
open_file(const char *name)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		die(path);
	return fd;
}

static void
remove_file(const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	unlink(path);
}

/* blocks: written over and over again; 0: the file grows. */
static void
measure_sync(const char *name, unsigned blocks)
{
	int fd = open_file("limits.data");
	uint64_t start, now, n;

	for (n = 0; n < blocks; n++)
		if (write(fd, block, BLOCK) != BLOCK)
			die("write");
	if (fsync(fd) < 0)
		die("fsync");
	start = now = clock_mono_us();
	for (n = 0; now - start < each_us; n++) {
		off_t at = (off_t)(blocks ? n % blocks : n) * BLOCK;

		if (pwrite(fd, block, BLOCK, at) != BLOCK ||
		    fdatasync(fd) < 0)
			die("fdatasync");
		now = clock_mono_us();
	}
	tell(name, n, now - start, false);
	close(fd);
	remove_file("limits.data");
}

static void
measure_files(const char *name, bool directory)
{
	int at = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	uint64_t start = clock_mono_us(), now = start, n, i;
	char file[64];

	for (n = 0; now - start < each_us; n++) {
		int fd;

		snprintf(file, sizeof(file), "limits.%llu",
		    (unsigned long long)n);
		fd = open_file(file);
		if (write(fd, block, BLOCK) != BLOCK || fsync(fd) < 0 ||
		    (directory && fsync(at) < 0))
			die("fsync");
		close(fd);
		now = clock_mono_us();
	}
	tell(name, n, now - start, false);
	for (i = 0; i < n; i++) {
		snprintf(file, sizeof(file), "limits.%llu",
		    (unsigned long long)i);
		remove_file(file);
	}
	close(at);
}

static int
connected(struct sockaddr_in *a)
{
	const int one = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)a, sizeof(*a)) < 0)
		die("connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

/* One octet there and back, between two processes. */
static void
measure_loopback(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t len = sizeof(a);
	int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fd;
	uint64_t start, now, n;
	char c = 'x';
	pid_t child;

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (l < 0 || bind(l, (struct sockaddr *)&a, len) < 0 ||
	    listen(l, 1) < 0 ||
	    getsockname(l, (struct sockaddr *)&a, &len) < 0)
		die("listen");
	fflush(stdout);
	child = fork();
	if (child < 0)
		die("fork");
	if (child == 0) {
		fd = connected(&a);
		while (read(fd, &c, 1) == 1 && write(fd, &c, 1) == 1)
			;
		_exit(0);
	}
	fd = accept4(l, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0)
		die("accept");
	start = now = clock_mono_us();
	for (n = 0; now - start < each_us; n++) {
		if (write(fd, &c, 1) != 1 || read(fd, &c, 1) != 1)
			die("round trip");
		now = clock_mono_us();
	}
	close(fd);
	close(l);
	waitpid(child, NULL, 0);
	tell("loopback_round_trips", n, now - start, true);
}

int
main(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "usage: limits DIRECTORY [SECONDS]\n");
		return 64;
	}
	dir = argv[1];
	if (argc > 2)
		each_us = (uint64_t)(atof(argv[2]) * 1e6);
	memset(block, 'x', sizeof(block));
	printf("{");
	measure_sync("append_fdatasync", 0);
	measure_sync("overwrite_fdatasync", OVERWRITTEN);
	measure_files("file_fsync", false);
	measure_files("file_fsync_dirsync", true);
	measure_loopback();
	return 0;
}
