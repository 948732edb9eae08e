/* Inside the sandbox of each role: other processes, the kernel, and what the
 * sandbox itself needs. */
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

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
	return sandbox_enter(ROLE_LISTENER, NULL, false, &e) < 0 ? -1 : 0;
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
	if (sandbox_enter(ROLE_LISTENER, NULL, false, &e) < 0)
		return 3;
	/* The other wall stands. */
	if (has_seccomp && socket(AF_INET, SOCK_STREAM, 0) >= 0)
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
