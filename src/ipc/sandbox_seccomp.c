/*
 * Seccomp: a short list of system calls that no role needs, and of those that
 * landlock leaves open.  Run by every role but monitor.  What is on the list
 * fails with EPERM and kills nobody; everything else goes through, so that no
 * library's next version is a surprise.
 *
 * Calls whose arguments do not matter are answered by the kernel from a table
 * that it makes of the filter: the list costs the calls of mail nothing.
 */
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include "ipc/sandbox_private.h"

#if defined(__x86_64__) && defined(__LP64__)
#define THIS_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__) && !defined(__AARCH64EB__)
#define THIS_ARCH AUDIT_ARCH_AARCH64
#endif

#ifndef THIS_ARCH

bool
sandbox_seccomp_known(void)
{
	return false;
}

int
sandbox_seccomp(enum role role, bool network, struct err *e)
{
	(void)role;
	(void)network;
	(void)e;
	return 0;
}

#else

#define ALLOW SECCOMP_RET_ALLOW
#define REFUSE (SECCOMP_RET_ERRNO | EPERM)
/* glibc falls back to clone, whose flags can be looked at. */
#define UNKNOWN (SECCOMP_RET_ERRNO | ENOSYS)
#define X32_BIT 0x40000000u

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))
#define FIELD(f) ((uint32_t)offsetof(struct seccomp_data, f))
/* Both machines are little-endian. */
#define LOW(i) (FIELD(args) + 8 * (uint32_t)(i))
#define HIGH(i) (LOW(i) + 4)

static const int of_nobody[] = {
	/* other processes, their memory, their descriptors */
	SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev, SYS_kcmp,
	SYS_process_madvise, SYS_pidfd_getfd, SYS_pidfd_send_signal,
	SYS_tkill, SYS_rt_tgsigqueueinfo,
	/* programs */
	SYS_execve, SYS_execveat,
#ifdef SYS_fork
	SYS_fork, SYS_vfork,
#endif
	/* file systems and namespaces */
	SYS_mount, SYS_umount2, SYS_pivot_root, SYS_chroot, SYS_open_tree,
	SYS_move_mount, SYS_fsopen, SYS_fsconfig, SYS_fsmount, SYS_fspick,
	SYS_mount_setattr, SYS_unshare, SYS_setns, SYS_open_by_handle_at,
	SYS_swapon, SYS_swapoff, SYS_quotactl, SYS_fanotify_init,
	/* owners and attributes, which landlock does not guard */
	SYS_fchown, SYS_fchownat, SYS_setxattr, SYS_lsetxattr,
	SYS_fsetxattr, SYS_removexattr, SYS_lremovexattr, SYS_fremovexattr,
	SYS_mknodat,
#ifdef SYS_chown
	SYS_chown, SYS_lchown, SYS_mknod,
#endif
	/* the kernel itself */
	SYS_init_module, SYS_finit_module, SYS_delete_module,
	SYS_kexec_load, SYS_kexec_file_load, SYS_reboot, SYS_bpf,
	SYS_perf_event_open, SYS_userfaultfd, SYS_keyctl, SYS_add_key,
	SYS_request_key, SYS_personality, SYS_acct, SYS_syslog,
	SYS_io_uring_setup, SYS_io_uring_enter, SYS_io_uring_register,
	SYS_settimeofday, SYS_clock_settime, SYS_adjtimex,
	SYS_clock_adjtime, SYS_sethostname, SYS_setdomainname,
#ifdef SYS_iopl
	SYS_iopl, SYS_ioperm, SYS_modify_ldt,
#endif
};

/* For who works with no files at all. */
static const int of_queue_only[] = {
	SYS_fchmod, SYS_fchmodat, SYS_utimensat,
#ifdef SYS_chmod
	SYS_chmod, SYS_utime, SYS_utimes, SYS_futimesat,
#endif
};

/* For who lives on the sockets that it was given. */
static const int of_the_network[] = {
	SYS_socket, SYS_socketpair, SYS_connect, SYS_bind, SYS_listen,
};

/* For who calls and is not called. */
static const int of_servers[] = { SYS_listen, SYS_accept, SYS_accept4 };

/* ---- the filter's making ---- */

struct filter {
	struct sock_filter v[512];	/* far more than the lists need */
	unsigned short n;
};

static void
put(struct filter *f, int code, uint32_t k, size_t yes, size_t no)
{
	if (f->n < COUNT(f->v))
		f->v[f->n++] = (struct sock_filter){ (uint16_t)code,
		    (uint8_t)yes, (uint8_t)no, k };
}

static void
load(struct filter *f, uint32_t field)
{
	put(f, BPF_LD | BPF_W | BPF_ABS, field, 0, 0);
}

static void
give(struct filter *f, uint32_t answer)
{
	put(f, BPF_RET | BPF_K, answer, 0, 0);
}

/* The call's number is loaded between all the following. */
static void
call(struct filter *f, int nr, size_t skip)
{
	put(f, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)nr, 0, skip);
}

static void
answer(struct filter *f, int nr, uint32_t with)
{
	call(f, nr, 1);
	give(f, with);
}

static void
refuse_all(struct filter *f, const int *list, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		answer(f, list[i], REFUSE);
}

/* By the low half of an argument, which is all that the kernel takes of an
 * int: one answer where it is one of n values, the other where it is not. */
static void
by_value(struct filter *f, int nr, unsigned arg, const uint32_t *values,
    size_t n, uint32_t match, uint32_t otherwise)
{
	size_t i;

	call(f, nr, n + 3);
	load(f, LOW(arg));
	for (i = 0; i < n; i++)
		put(f, BPF_JMP | BPF_JEQ | BPF_K, values[i], n - i, 0);
	give(f, otherwise);
	give(f, match);
}

static void
by_bit(struct filter *f, int nr, unsigned arg, uint32_t bit, uint32_t set,
    uint32_t otherwise)
{
	call(f, nr, 4);
	load(f, LOW(arg));
	put(f, BPF_JMP | BPF_JSET | BPF_K, bit, 0, 1);
	give(f, set);
	give(f, otherwise);
}

/* ---- the rules ---- */

/* A socket that was shut down can be connected by sending, too. */
static void
rules_send(struct filter *f)
{
	by_bit(f, SYS_sendmsg, 2, MSG_FASTOPEN, REFUSE, ALLOW);
	by_bit(f, SYS_sendmmsg, 3, MSG_FASTOPEN, REFUSE, ALLOW);
	call(f, SYS_sendto, 8);
	load(f, LOW(3));
	put(f, BPF_JMP | BPF_JSET | BPF_K, MSG_FASTOPEN, 5, 0);
	load(f, LOW(4));		/* the address: none */
	put(f, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 3);
	load(f, HIGH(4));
	put(f, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1);
	give(f, ALLOW);
	give(f, REFUSE);
}

static void
rules_network(struct filter *f, enum role role, bool network)
{
	static const uint32_t families[] = { AF_INET, AF_INET6 };

	if (!network) {
		rules_send(f);
		refuse_all(f, of_the_network, COUNT(of_the_network));
		return;
	}
	/* libunbound talks to its thread through a socketpair. */
	by_value(f, SYS_socket, 0, families, COUNT(families), ALLOW, REFUSE);
	/* auth accepts on sockets that it was given. */
	if (role == ROLE_DELIVERY)
		refuse_all(f, of_servers, COUNT(of_servers));
	else
		answer(f, SYS_listen, REFUSE);
}

/* Signals and limits for nobody but itself; threads, but no processes. */
static void
rules_processes(struct filter *f)
{
	const uint32_t self[] = { (uint32_t)getpid(), 0 };

	by_value(f, SYS_kill, 0, self, 1, ALLOW, REFUSE);
	by_value(f, SYS_tgkill, 0, self, 1, ALLOW, REFUSE);
	by_value(f, SYS_rt_sigqueueinfo, 0, self, 1, ALLOW, REFUSE);
	by_value(f, SYS_prlimit64, 0, self, 2, ALLOW, REFUSE);
	by_bit(f, SYS_clone, 0, CLONE_THREAD, ALLOW, REFUSE);
	answer(f, SYS_clone3, UNKNOWN);
}

/* Signals by way of a descriptor, and what is typed at a terminal. */
static void
rules_descriptors(struct filter *f)
{
	static const uint32_t owner[] = { F_SETOWN, F_SETOWN_EX, F_SETSIG };
	static const uint32_t requests[] = { FIOSETOWN, SIOCSPGRP, TIOCSTI,
		TIOCLINUX };

	by_value(f, SYS_fcntl, 1, owner, COUNT(owner), REFUSE, ALLOW);
	by_value(f, SYS_ioctl, 1, requests, COUNT(requests), REFUSE, ALLOW);
}

static void
make(struct filter *f, enum role role, bool network)
{
	load(f, FIELD(arch));
	put(f, BPF_JMP | BPF_JEQ | BPF_K, THIS_ARCH, 1, 0);
	give(f, REFUSE);
	load(f, FIELD(nr));
#ifdef __x86_64__
	put(f, BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1);
	give(f, REFUSE);
#endif
	rules_network(f, role, network);
	rules_descriptors(f);
	rules_processes(f);
	refuse_all(f, of_nobody, COUNT(of_nobody));
	if (role != ROLE_QUEUE)
		refuse_all(f, of_queue_only, COUNT(of_queue_only));
	give(f, ALLOW);
}

bool
sandbox_seccomp_known(void)
{
	uint32_t action = SECCOMP_RET_ERRNO;

	return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) ==
	    0;
}

int
sandbox_seccomp(enum role role, bool network, struct err *e)
{
	struct filter f = { .n = 0 };
	struct sock_fprog program;
	long rc;

	if (!sandbox_seccomp_known())
		return 0;
	make(&f, role, network);
	program.len = f.n;
	program.filter = f.v;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_errno(e, "seccomp");
	rc = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
	    SECCOMP_FILTER_FLAG_TSYNC, &program);
	if (rc < 0)
		return err_errno(e, "seccomp");
	if (rc > 0)
		return err_set(e, ESRCH, "seccomp: thread %ld cannot be "
		    "confined", rc);
	return 1;
}

#endif
