/* Inside the sandbox of each role: what it must not do is refused, what it
 * lives by goes on. */
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
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

#include "base/log.h"
#include "ipc/sandbox.h"
#include "ipc/sandbox_world.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const enum role roles[] = { ROLE_LISTENER, ROLE_QUEUE, ROLE_DELIVERY,
	ROLE_AUTH };

struct attempt {
	const char *what;
	long (*try)(void);
};

/* Fails with all that is not as it should be, at once. */
static void
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

#define EXPECT(role, list, want) expect(role, list, COUNT(list), want)

/* A kernel without the wall, or a build without the sandbox: said so by the
 * daemon itself. */
static void
need(bool wall)
{
	if (!wall)
		skip();
}

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

/* ---- other processes, the kernel ---- */

static long
signal_victim(void)
{
	return kill(out.victim, 0);
}

static long
signal_group(void)
{
	return kill(0, 0);
}

static long
signal_thread_of_victim(void)
{
	return syscall(SYS_tgkill, out.victim, out.victim, 0);
}

static long
signal_tid(void)
{
	return syscall(SYS_tkill, out.victim, 0);
}

static long
queue_signal(void)
{
	siginfo_t si = { .si_code = SI_QUEUE };

	return syscall(SYS_rt_sigqueueinfo, out.victim, SIGUSR1, &si);
}

static long
signal_by_descriptor(void)
{
	return fcntl(out.pair[0], F_SETOWN, out.victim);
}

static long
signal_by_ioctl(void)
{
	int pid = out.victim;

	return ioctl(out.pair[0], FIOSETOWN, &pid);
}

static long
trace_victim(void)
{
	return ptrace(PTRACE_ATTACH, out.victim, NULL, NULL);
}

static long
read_victim(void)
{
	char c;
	struct iovec to = { &c, 1 }, from = { &out, 1 };

	return process_vm_readv(out.victim, &to, 1, &from, 1, 0);
}

static long
write_victim(void)
{
	char c = 0;
	struct iovec from = { &c, 1 }, to = { &out, 1 };

	return process_vm_writev(out.victim, &from, 1, &to, 1, 0);
}

static long
take_descriptor(void)
{
	return syscall(SYS_pidfd_getfd,
	    (int)syscall(SYS_pidfd_open, out.victim, 0), 0, 0);
}

static long
limit_victim(void)
{
	struct rlimit r = { 0, 0 };

	return prlimit(out.victim, RLIMIT_CORE, &r, NULL);
}

static long
run_program(void)
{
	char *argv[] = { (char *)(uintptr_t)"true", NULL };

	return execv("/bin/true", argv);
}

static long
make_process(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return pid;
}

static long
type_at_terminal(void)
{
	return ioctl(out.pair[0], TIOCSTI, "x");
}

static void
other_processes_are_out_of_reach(void **state)
{
	static const struct attempt list[] = {
		{ "kill", signal_victim }, { "kill a group", signal_group },
		{ "tgkill", signal_thread_of_victim },
		{ "tkill", signal_tid }, { "sigqueue", queue_signal },
		{ "F_SETOWN", signal_by_descriptor },
		{ "FIOSETOWN", signal_by_ioctl }, { "trace", trace_victim },
		{ "read memory", read_victim },
		{ "write memory", write_victim },
		{ "take a descriptor", take_descriptor },
		{ "set limits", limit_victim }, { "exec", run_program },
		{ "fork", make_process }, { "TIOCSTI", type_at_terminal },
	};
	size_t i;

	(void)state;
	need(has_seccomp);
	for (i = 0; i < COUNT(roles); i++)
		EXPECT(roles[i], list, EPERM);
}

static long
call_mount(void)
{
	return mount("none", "/nowhere/at/all", "tmpfs", 0, NULL);
}

static long
call_unshare(void)
{
	return unshare(CLONE_NEWUSER);
}

static long
call_setns(void)
{
	return setns(0, 0);
}

static long
call_bpf(void)
{
	return syscall(SYS_bpf, 0, NULL, 0);
}

static long
call_perf(void)
{
	return syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0);
}

static long
call_userfaultfd(void)
{
	return syscall(SYS_userfaultfd, 0);
}

static long
call_keyctl(void)
{
	return syscall(SYS_keyctl, 0, 0, 0, 0, 0);
}

static long
call_module(void)
{
	return syscall(SYS_finit_module, -1, "", 0);
}

static long
call_kexec(void)
{
	return syscall(SYS_kexec_load, 0, 0, NULL, 0);
}

static long
call_by_handle(void)
{
	return syscall(SYS_open_by_handle_at, AT_FDCWD, NULL, 0);
}

static long
call_io_uring(void)
{
	return syscall(SYS_io_uring_setup, 1, NULL);
}

#ifdef __x86_64__
/* getpid by the table of another machine */
static long
call_x32(void)
{
	return syscall(0x40000000 | SYS_getpid);
}
#endif

static void
the_kernel_is_not_played_with(void **state)
{
	static const struct attempt list[] = {
		{ "mount", call_mount }, { "unshare", call_unshare },
		{ "setns", call_setns }, { "bpf", call_bpf },
		{ "perf_event_open", call_perf },
		{ "userfaultfd", call_userfaultfd },
		{ "keyctl", call_keyctl }, { "finit_module", call_module },
		{ "kexec_load", call_kexec },
		{ "open_by_handle_at", call_by_handle },
		{ "io_uring_setup", call_io_uring },
#ifdef __x86_64__
		{ "x32", call_x32 },
#endif
	};
	size_t i;

	(void)state;
	need(has_seccomp);
	for (i = 0; i < COUNT(roles); i++)
		EXPECT(roles[i], list, EPERM);
}

/* ---- what goes on ---- */

static void *
thread(void *arg)
{
	/* Threads are behind the same walls. */
	*(int *)arg = open(out.file, O_RDONLY) < 0 &&
	    syscall(SYS_ptrace, PTRACE_ATTACH, out.victim, 0, 0) < 0;
	return NULL;
}

static long
run_thread(void)
{
	int confined = 0;
	pthread_t t;

	errno = pthread_create(&t, NULL, thread, &confined);
	if (errno != 0)
		return -1;
	pthread_join(t, NULL);
	return confined || walls < 2 ? 0 : -1;
}

static long
signal_self(void)
{
	signal(SIGUSR1, SIG_IGN);
	return kill(getpid(), SIGUSR1) < 0 ? -1 : raise(SIGUSR1);
}

static long
own_limits(void)
{
	struct rlimit r;

	return getrlimit(RLIMIT_NOFILE, &r) < 0 ? -1 :
	    prlimit(getpid(), RLIMIT_NOFILE, NULL, &r);
}

static long
own_memory_works(void)
{
	size_t n = 32u << 20;
	char *p = malloc(n);

	if (p == NULL)
		return -1;
	memset(p, 1, n);
	free(p);
	return memfd_create("x", MFD_CLOEXEC);
}

static void
what_a_role_lives_by_goes_on(void **state)
{
	static const struct attempt list[] = {
		{ "threads", run_thread }, { "signals to itself", signal_self },
		{ "limits", own_limits }, { "memory", own_memory_works },
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(roles); i++)
		EXPECT(roles[i], list, 0);
}

static long
enter_with_thread(void)
{
	struct err e = { 0, "" };
	pthread_t t;

	pthread_create(&t, NULL, (void *(*)(void *))(void (*)(void))pause,
	    NULL);
	errno = EBUSY;
	return sandbox_enter(ROLE_LISTENER, NULL, &e) < 0 ? -1 : 0;
}

/* A thread that runs already would stay outside. */
static void
a_thread_before_is_an_error(void **state)
{
	(void)state;
	need(walls > 0);
	assert_int_equal(attempt_as(ROLE_LISTENER, enter_with_thread), EBUSY);
}

static long
no_new_privileges(void)
{
	return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : -1;
}

static void
no_program_gives_privileges_back(void **state)
{
	static const struct attempt list[] = {
		{ "no_new_privs", no_new_privileges },
	};
	size_t i;

	(void)state;
	need(walls > 0);
	for (i = 0; i < COUNT(roles); i++)
		EXPECT(roles[i], list, 0);
}

/* ---- kernels that lack something ---- */

/* As if the kernel did not know the calls of landlock. */
static int
forget_landlock(void)
{
	struct sock_filter v[] = {
		{ BPF_LD | BPF_W | BPF_ABS, 0, 0,
		    offsetof(struct seccomp_data, nr) },
		{ BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 444 },
		{ BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | ENOSYS },
		{ BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW },
	};
	struct sock_fprog p = { COUNT(v), v };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -1;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &p);
}

static void
count_line(void *arg, struct slice json)
{
	*(int *)arg += memmem(json.p, json.n, "landlock", 8) != NULL;
}

static int
old_kernel(void)
{
	struct err e = { 0, "" };
	int lines = 0;

	if (forget_landlock() < 0)
		return 1;
	log_tap(count_line, &lines);
	sandbox_report();
	if (lines != (walls > 0))
		return 2;
	if (sandbox_enter(ROLE_LISTENER, NULL, &e) < 0)
		return 3;
	/* The other wall stands. */
	if (has_seccomp && socket_inet() >= 0)
		return 4;
	return open("/dev/null", O_RDONLY) >= 0 ? 0 : 5;
}

static void
without_landlock_the_rest_is_done_and_told(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		_exit(old_kernel());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static long
queue_without_spool(void)
{
	return 0;
}

/* store.c tells of it in better words. */
static void
a_spool_that_is_missing_is_no_error_here(void **state)
{
	char spool[sizeof(out.spool)];

	(void)state;
	memcpy(spool, out.spool, sizeof(spool));
	snprintf(out.spool, sizeof(out.spool), "/nowhere/at/all");
	assert_int_equal(attempt_as(ROLE_QUEUE, queue_without_spool), 0);
	memcpy(out.spool, spool, sizeof(spool));
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
		cmocka_unit_test(delivery_calls_and_is_not_called),
		cmocka_unit_test(other_processes_are_out_of_reach),
		cmocka_unit_test(the_kernel_is_not_played_with),
		cmocka_unit_test(what_a_role_lives_by_goes_on),
		cmocka_unit_test(a_thread_before_is_an_error),
		cmocka_unit_test(no_program_gives_privileges_back),
		cmocka_unit_test(without_landlock_the_rest_is_done_and_told),
		cmocka_unit_test(a_spool_that_is_missing_is_no_error_here),
	};

	return cmocka_run_group_tests(tests, sandbox_world_start,
	    sandbox_world_stop);
}
