/* Inside the sandbox of each role: files and the network.  What the role must
 * not reach is refused, what it lives by goes on. */
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "ipc/sandbox.h"
#include "ipc/sandbox_world.h"

/* ---- files ---- */

static long
read_file(void)
{
	return open(out.file, O_RDONLY);
}

static long
read_passwd(void)
{
	return open("/etc/passwd", O_RDONLY);
}

static long
make_file(void)
{
	return open("/tmp/sandbox-made", O_WRONLY | O_CREAT, 0600);
}

static long
list_root(void)
{
	return open("/", O_RDONLY | O_DIRECTORY);
}

static long
remove_file(void)
{
	return unlink(out.file);
}

static long
memory_of_victim(void)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/mem", (int)out.victim);
	return open(path, O_RDWR);
}

static long
own_memory(void)
{
	return open("/proc/self/mem", O_RDWR);
}

static void
no_role_opens_a_file(void **state)
{
	static const struct attempt list[] = {
		{ "read a file", read_file },
		{ "read /etc/passwd", read_passwd },
		{ "make a file", make_file },
		{ "list a directory", list_root },
		{ "remove a file", remove_file },
		{ "open another's memory", memory_of_victim },
		{ "open its own memory", own_memory },
	};
	size_t i;

	(void)state;
	need(has_landlock);
	for (i = 0; i < COUNT(roles); i++)
		EXPECT(roles[i], list, EACCES);
}

static long
truncate_file(void)
{
	return truncate(out.file, 0);
}

static void
no_role_empties_a_file(void **state)
{
	static const struct attempt list[] = { { "truncate", truncate_file } };
	size_t i;

	(void)state;
	need(has_landlock && landlock_version >= 3);
	for (i = 0; i < COUNT(roles); i++)
		EXPECT(roles[i], list, EACCES);
}

static char *
in_spool(const char *name)
{
	static char path[4][160];
	static int i;

	i = (i + 1) % 4;
	snprintf(path[i], sizeof(path[i]), "%s/%s", out.spool, name);
	return path[i];
}

static long
use_spool(void)
{
	int fd = open(in_spool("file"), O_RDWR | O_CREAT | O_TRUNC, 0600);
	DIR *d;

	if (fd < 0 || write(fd, "x", 1) != 1 || ftruncate(fd, 0) < 0 ||
	    truncate(in_spool("file"), 0) < 0 || fsync(fd) < 0 ||
	    mkdir(in_spool("new"), 0700) < 0 ||
	    chmod(in_spool("new"), 0750) < 0 ||
	    rename(in_spool("file"), in_spool("new/file")) < 0 ||
	    open(in_spool("new/file"), O_RDONLY) < 0)
		return -1;
	d = opendir(in_spool("new"));
	if (d == NULL || unlink(in_spool("new/file")) < 0)
		return -1;
	return rmdir(in_spool("new"));
}

/* As spool.c does it. */
static long
link_unnamed(void)
{
	int dir = open(out.spool, O_RDONLY | O_DIRECTORY);
	int fd = openat(dir, ".", O_TMPFILE | O_RDWR, 0600);
	char proc[64];

	if (fd < 0)
		return -1;
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	if (linkat(AT_FDCWD, proc, dir, "00/linked", AT_SYMLINK_FOLLOW) < 0)
		return -1;
	return unlinkat(dir, "00/linked", 0);
}

static void
queue_works_in_its_spool(void **state)
{
	static const struct attempt list[] = {
		{ "files and directories", use_spool },
		{ "a body without a name", link_unnamed },
	};
	static const struct attempt spool[] = { { "the spool", use_spool } };
	size_t i;

	(void)state;
	EXPECT(ROLE_QUEUE, list, 0);
	need(has_landlock);
	for (i = 0; i < COUNT(roles); i++)
		if (roles[i] != ROLE_QUEUE)
			EXPECT(roles[i], spool, EACCES);
}

static long
climb_out(void)
{
	return open(in_spool("../elsewhere/file"), O_RDONLY);
}

static long
link_in_spool(void)
{
	return symlink("/etc/passwd", in_spool("link"));
}

static long
socket_in_spool(void)
{
	return mknod(in_spool("fifo"), S_IFIFO | 0600, 0);
}

static void
queue_gets_nothing_else_by_its_spool(void **state)
{
	static const struct attempt list[] = {
		{ "climb out", climb_out },
		{ "make a symbolic link", link_in_spool },
	};

	(void)state;
	need(has_landlock);
	EXPECT(ROLE_QUEUE, list, EACCES);
	assert_int_not_equal(attempt_as(ROLE_QUEUE, socket_in_spool), 0);
}

static long
read_urandom(void)
{
	return open("/dev/urandom", O_RDONLY);
}

static void
auth_may_read_random_octets(void **state)
{
	static const struct attempt list[] = { { "urandom", read_urandom } };

	(void)state;
	EXPECT(ROLE_AUTH, list, 0);
	need(has_landlock);
	EXPECT(ROLE_LISTENER, list, EACCES);
}

static long
change_mode(void)
{
	return chmod(out.file, 0777);
}

static long
change_owner(void)
{
	return chown(out.file, getuid(), getgid());
}

static long
change_attribute(void)
{
	return syscall(SYS_setxattr, out.file, "user.x", "y", 1, 0);
}

static void
modes_and_owners_stay(void **state)
{
	static const struct attempt owner[] = {
		{ "chown", change_owner }, { "setxattr", change_attribute },
	};
	static const struct attempt mode[] = { { "chmod", change_mode } };
	size_t i;

	(void)state;
	need(has_seccomp);
	for (i = 0; i < COUNT(roles); i++) {
		EXPECT(roles[i], owner, EPERM);
		if (roles[i] != ROLE_QUEUE)
			EXPECT(roles[i], mode, EPERM);
	}
}

/* ---- network ---- */

static long
socket_inet(void)
{
	return socket(AF_INET, SOCK_STREAM, 0);
}

static long
socket_unix(void)
{
	return socket(AF_UNIX, SOCK_STREAM, 0);
}

static long
socket_netlink(void)
{
	return socket(AF_NETLINK, SOCK_RAW, 0);
}

static long
socket_pair(void)
{
	int sv[2];

	return socketpair(AF_UNIX, SOCK_STREAM, 0, sv);
}

static long
connect_idle(void)
{
	return connect(out.tcp_idle, (struct sockaddr *)&out.tcp,
	    sizeof(out.tcp));
}

static long
connect_abstract(void)
{
	return connect(out.unix_idle, (struct sockaddr *)&out.abstract,
	    out.abstract_n);
}

static long
bind_idle(void)
{
	struct sockaddr_in any = { .sin_family = AF_INET };

	return bind(out.tcp_idle, (struct sockaddr *)&any, sizeof(any));
}

static long
listen_idle(void)
{
	return listen(out.tcp_idle, 1);
}

static long
send_elsewhere(void)
{
	return sendto(out.udp_idle, "x", 1, 0, (struct sockaddr *)&out.tcp,
	    sizeof(out.tcp));
}

/* A listening socket can be turned into one that connects by sending. */
static long
turn_and_send(void)
{
	(void)shutdown(out.tcp_shut, SHUT_RD);
	return sendto(out.tcp_shut, "x", 1, MSG_FASTOPEN,
	    (struct sockaddr *)&out.tcp, sizeof(out.tcp));
}

static long
turn_and_sendmsg(void)
{
	struct iovec iov = { (char[]){ 'x' }, 1 };
	struct msghdr m = { .msg_name = &out.tcp,
	    .msg_namelen = sizeof(out.tcp), .msg_iov = &iov, .msg_iovlen = 1 };

	(void)shutdown(out.tcp_shut, SHUT_RD);
	return sendmsg(out.tcp_shut, &m, MSG_FASTOPEN);
}

static void
only_delivery_has_a_network(void **state)
{
	static const enum role without[] = { ROLE_LISTENER, ROLE_QUEUE,
		ROLE_AUTH };
	static const struct attempt list[] = {
		{ "make a socket", socket_inet },
		{ "make a local socket", socket_unix },
		{ "make a socket to the kernel", socket_netlink },
		{ "make a pair", socket_pair },
		{ "connect", connect_idle },
		{ "connect to a local socket", connect_abstract },
		{ "bind", bind_idle },
		{ "listen", listen_idle },
		{ "send to an address", send_elsewhere },
		{ "connect by sending", turn_and_send },
		{ "connect by sending a message", turn_and_sendmsg },
	};
	size_t i;

	(void)state;
	need(has_seccomp);
	for (i = 0; i < COUNT(without); i++)
		EXPECT(without[i], list, EPERM);
}

static long
talk(void)
{
	char c;

	if (send(out.pair[0], "x", 1, MSG_NOSIGNAL) != 1)
		return -1;
	return recv(out.pair[1], &c, 1, 0);
}

/* Nobody comes, which is not the same as "may not". */
static long
accept_one(void)
{
	fcntl(out.tcp_listening, F_SETFL, O_NONBLOCK);
	if (accept4(out.tcp_listening, NULL, NULL, SOCK_CLOEXEC) < 0 &&
	    errno != EAGAIN)
		return -1;
	return 0;
}

static void
sockets_that_were_given_work(void **state)
{
	static const struct attempt list[] = {
		{ "send and receive", talk }, { "accept", accept_one },
	};

	(void)state;
	EXPECT(ROLE_LISTENER, list, 0);
	EXPECT(ROLE_QUEUE, list, 0);
	expect(ROLE_DELIVERY, list, 1, 0);
	expect(ROLE_AUTH, list, 1, 0);
}

static long
dial(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	return connect(fd, (struct sockaddr *)&out.tcp, sizeof(out.tcp));
}

static void
auth_with_oauth2_connects_and_serves_what_it_was_given(void **state)
{
	static const struct attempt may[] = {
		{ "dial", dial }, { "accept", accept_one },
		{ "send and receive", talk },
	}, may_not[] = {
		{ "make a local socket", socket_unix },
		{ "make a socket to the kernel", socket_netlink },
		{ "listen", listen_idle },
	};

	(void)state;
	attempt_with_network = true;
	EXPECT(ROLE_AUTH, may, 0);
	if (has_seccomp)
		EXPECT(ROLE_AUTH, may_not, EPERM);
	attempt_with_network = false;
}

/* `source-address` */
static long
dial_from(void)
{
	struct sockaddr_in from = { .sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (bind(fd, (struct sockaddr *)&from, sizeof(from)) < 0)
		return -1;
	return connect(fd, (struct sockaddr *)&out.tcp, sizeof(out.tcp));
}

static long
ask_dns(void)
{
	struct sockaddr_in any = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (bind(fd, (struct sockaddr *)&any, sizeof(any)) < 0)
		return -1;
	return sendto(fd, "x", 1, 0, (struct sockaddr *)&out.tcp,
	    sizeof(out.tcp));
}

static long
bind_port(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
	    .sin_port = htons(40025) };

	return bind(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&sa,
	    sizeof(sa));
}

static void
delivery_calls_and_is_not_called(void **state)
{
	static const struct attempt able[] = {
		{ "dial", dial }, { "dial from an address", dial_from },
		{ "ask a name server", ask_dns }, { "a pair", socket_pair },
	};
	static const struct attempt unable[] = {
		{ "make a local socket", socket_unix },
		{ "make a socket to the kernel", socket_netlink },
		{ "listen", listen_idle }, { "accept", accept_one },
	};
	static const struct attempt port[] = { { "bind a port", bind_port } };
	static const struct attempt local[] = {
		{ "connect to a local socket", connect_abstract },
	};

	(void)state;
	EXPECT(ROLE_DELIVERY, able, 0);
	need(has_seccomp);
	EXPECT(ROLE_DELIVERY, unable, EPERM);
	need(has_landlock && landlock_version >= 4);
	EXPECT(ROLE_DELIVERY, port, EACCES);
	need(landlock_version >= 6);
	EXPECT(ROLE_DELIVERY, local, EPERM);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_role_opens_a_file),
		cmocka_unit_test(no_role_empties_a_file),
		cmocka_unit_test(queue_works_in_its_spool),
		cmocka_unit_test(queue_gets_nothing_else_by_its_spool),
		cmocka_unit_test(auth_may_read_random_octets),
		cmocka_unit_test(modes_and_owners_stay),
		cmocka_unit_test(only_delivery_has_a_network),
		cmocka_unit_test(sockets_that_were_given_work),
		cmocka_unit_test(
		    auth_with_oauth2_connects_and_serves_what_it_was_given),
		cmocka_unit_test(delivery_calls_and_is_not_called),
	};

	return cmocka_run_group_tests(tests, sandbox_world_start,
	    sandbox_world_stop);
}
