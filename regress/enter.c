/*
 * Enters a running process: stops one of its threads, has that thread make
 * system calls as if it had been taken over, and lets it go on.
 *
 *   enter TID VICTIM FILE
 *
 * VICTIM is another process, FILE a file that the process has no business
 * with.  Prints "WHAT ok" or "WHAT ERRNO" for each attempt.  What is attempted
 * does no harm where it succeeds.  Needs the right to trace (root).
 */
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/user.h>
#include <sys/wait.h>

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROOM 512			/* octets of its stack that we borrow */

static pid_t tid;
static struct user_regs_struct saved;
static unsigned char stack[ROOM];

static void
fail(const char *what)
{
	perror(what);
	exit(2);
}

#if defined(__x86_64__)
#define STACK(r) ((r)->rsp)
#define RESULT(r) ((long)(r)->rax)
#define CALL_LENGTH 2

static int
after_call(const unsigned char *code)
{
	return code[0] == 0x0f && code[1] == 0x05;
}

static uint64_t
place(const struct user_regs_struct *r)
{
	return r->rip;
}

static void
prepare(struct user_regs_struct *r, long nr, const uint64_t a[6])
{
	r->rip -= CALL_LENGTH;
	r->orig_rax = (unsigned long)-1;
	r->rax = (unsigned long)nr;
	r->rdi = a[0];
	r->rsi = a[1];
	r->rdx = a[2];
	r->r10 = a[3];
	r->r8 = a[4];
	r->r9 = a[5];
}
#elif defined(__aarch64__)
#define STACK(r) ((r)->sp)
#define RESULT(r) ((long)(r)->regs[0])
#define CALL_LENGTH 4

static int
after_call(const unsigned char *code)
{
	return memcmp(code, "\x01\x00\x00\xd4", 4) == 0;
}

static uint64_t
place(const struct user_regs_struct *r)
{
	return r->pc;
}

static void
prepare(struct user_regs_struct *r, long nr, const uint64_t a[6])
{
	r->pc -= CALL_LENGTH;
	memcpy(r->regs, a, 6 * sizeof(a[0]));
	r->regs[8] = (unsigned long)nr;
}
#else
#error "not for this machine"
#endif

static void
registers(int request, struct user_regs_struct *r)
{
	struct iovec v = { r, sizeof(*r) };

	if (ptrace(request, tid, NT_PRSTATUS, &v) < 0)
		fail("registers");
}

static void
memory(uint64_t at, void *p, size_t n, int put)
{
	struct iovec here = { p, n }, there = { (void *)(uintptr_t)at, n };
	ssize_t r = put ? process_vm_writev(tid, &here, 1, &there, 1, 0) :
	    process_vm_readv(tid, &here, 1, &there, 1, 0);

	if (r != (ssize_t)n)
		fail("memory");
}

static void
wait_stop(void)
{
	int status;

	if (waitpid(tid, &status, __WALL) != tid || !WIFSTOPPED(status)) {
		fprintf(stderr, "the process has ended\n");
		exit(3);
	}
}

/* Stops it where it waits in a system call. */
static void
enter(void)
{
	unsigned char code[CALL_LENGTH];
	int tries;

	if (ptrace(PTRACE_SEIZE, tid, NULL, NULL) < 0)
		fail("trace");
	for (tries = 0; tries < 1000; tries++) {
		if (ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) < 0)
			fail("interrupt");
		wait_stop();
		registers(PTRACE_GETREGSET, &saved);
		memory(place(&saved) - CALL_LENGTH, code, CALL_LENGTH, 0);
		if (after_call(code)) {
			memory(STACK(&saved), stack, ROOM, 0);
			return;
		}
		ptrace(PTRACE_CONT, tid, NULL, NULL);
		usleep(1000);
	}
	fprintf(stderr, "it is never in a system call\n");
	exit(2);
}

static void
leave(void)
{
	memory(STACK(&saved), stack, ROOM, 1);
	registers(PTRACE_SETREGSET, &saved);
	if (ptrace(PTRACE_DETACH, tid, NULL, NULL) < 0)
		fail("detach");
}

static long
call(long nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e)
{
	const uint64_t args[6] = { a, b, c, d, e, 0 };
	struct user_regs_struct r = saved;

	prepare(&r, nr, args);
	registers(PTRACE_SETREGSET, &r);
	if (ptrace(PTRACE_SINGLESTEP, tid, NULL, NULL) < 0)
		fail("step");
	wait_stop();
	registers(PTRACE_GETREGSET, &r);
	return RESULT(&r);
}

static long
say(const char *what, long result)
{
	if (result < 0 && result > -4096)
		printf("%s %s\n", what, strerrorname_np((int)-result));
	else
		printf("%s ok\n", what);
	return result;
}

/* Puts octets into its stack; their address there. */
static uint64_t
lay(const void *p, size_t n, size_t at)
{
	memory(STACK(&saved) + at, (void *)(uintptr_t)p, n, 1);
	return STACK(&saved) + at;
}

static uint64_t
text(const char *s)
{
	return lay(s, strlen(s) + 1, 0);
}

static void
close_there(long fd)
{
	if (fd >= 0)
		call(SYS_close, (uint64_t)fd, 0, 0, 0, 0);
}

#define HERE ((uint64_t)(int64_t)AT_FDCWD)

static void
files(pid_t victim, const char *file)
{
	char path[64];

	close_there(say("open", call(SYS_openat, HERE, text(file), O_RDONLY,
	    0, 0)));
	close_there(say("open-passwd", call(SYS_openat, HERE,
	    text("/etc/passwd"), O_RDONLY, 0, 0)));
	close_there(say("create", call(SYS_openat, HERE,
	    text("/tmp/smarthostd-entered"), O_WRONLY | O_CREAT, 0600, 0)));
	snprintf(path, sizeof(path), "/proc/%d/mem", (int)victim);
	close_there(say("open-memory", call(SYS_openat, HERE, text(path),
	    O_RDWR, 0, 0)));
	say("chmod", call(SYS_fchmodat, HERE, text(file), 0777, 0, 0));
	say("chown", call(SYS_fchownat, HERE, text(file), 0, 0, 0));
	close_there(say("urandom", call(SYS_openat, HERE,
	    text("/dev/urandom"), O_RDONLY, 0, 0)));
}

static void
network(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
	    .sin_port = htons(9), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	uint64_t there = lay(&sa, sizeof(sa), 0);
	long fd;

	fd = say("socket", call(SYS_socket, AF_INET, SOCK_STREAM, 0, 0, 0));
	close_there(fd);
	close_there(say("socket-unix", call(SYS_socket, AF_UNIX, SOCK_STREAM,
	    0, 0, 0)));
	close_there(say("socket-netlink", call(SYS_socket, AF_NETLINK,
	    SOCK_RAW, 0, 0, 0)));
	/* No descriptor at all: refused before that is looked at, or not. */
	say("connect", call(SYS_connect, 4095, there, sizeof(sa), 0, 0));
	say("bind", call(SYS_bind, 4095, there, sizeof(sa), 0, 0));
	say("listen", call(SYS_listen, 4095, 1, 0, 0, 0));
	say("accept", call(SYS_accept4, 4095, 0, 0, 0, 0));
}

static void
processes(pid_t victim)
{
	struct iovec v = { (void *)(uintptr_t)STACK(&saved), 8 };
	uint64_t iov = lay(&v, sizeof(v), 64);

	say("signal", call(SYS_kill, (uint64_t)victim, 0, 0, 0, 0));
	say("signal-thread", call(SYS_tgkill, (uint64_t)victim,
	    (uint64_t)victim, 0, 0, 0));
	say("trace", call(SYS_ptrace, PTRACE_SEIZE, (uint64_t)victim, 0, 0,
	    0));
	say("read-memory", call(SYS_process_vm_readv, (uint64_t)victim, iov,
	    1, iov, 1));
	say("exec", call(SYS_execve, text("/nowhere/at/all"), 0, 0, 0, 0));
	/* Flags that exclude each other: no process comes of it. */
	say("fork", call(SYS_clone, CLONE_NEWNS | CLONE_FS, 0, 0, 0, 0));
}

static void
kernel(void)
{
	say("mount", call(SYS_mount, 0, text("/nowhere/at/all"), 0, 0, 0));
	say("unshare", call(SYS_unshare, 0, 0, 0, 0, 0));
	say("setns", call(SYS_setns, (uint64_t)-1, 0, 0, 0, 0));
	say("bpf", call(SYS_bpf, 0, 0, 0, 0, 0));
	say("perf", call(SYS_perf_event_open, 0, 0, (uint64_t)-1,
	    (uint64_t)-1, 0));
	say("userfaultfd", call(SYS_userfaultfd, 0x7fffffff, 0, 0, 0, 0));
	say("keyctl", call(SYS_keyctl, 0x7fffffff, 0, 0, 0, 0));
	say("module", call(SYS_finit_module, (uint64_t)-1, text(""), 0, 0,
	    0));
	say("kexec", call(SYS_kexec_load, 0, 0, 0, 0x7fffffff, 0));
	say("io_uring", call(SYS_io_uring_setup, 0, 0, 0, 0, 0));
	say("handle", call(SYS_open_by_handle_at, (uint64_t)-1, 0, 0, 0, 0));
	say("getpid", call(SYS_getpid, 0, 0, 0, 0, 0));
}

int
main(int argc, char **argv)
{
	pid_t victim;

	if (argc != 4) {
		fprintf(stderr, "usage: enter TID VICTIM FILE\n");
		return 64;
	}
	tid = atoi(argv[1]);
	victim = atoi(argv[2]);
	enter();
	files(victim, argv[3]);
	network();
	processes(victim);
	kernel();
	leave();
	return 0;
}
