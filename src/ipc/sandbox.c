/*
 * The sandbox of a role: landlock against files, ports and signals, seccomp
 * against what landlock does not know.  Run by listener, queue, delivery and
 * auth at their start; monitor reports what the kernel lacks.  A wall that
 * the kernel has but that cannot be raised ends the role.
 */
#include <sys/stat.h>

#include <errno.h>

#include "base/log.h"
#include "ipc/sandbox_private.h"

/* Sanitizers and coverage counters open files at any time. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer) || \
    __has_feature(thread_sanitizer)
#define WITHOUT_SANDBOX 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || \
    defined(COVERAGE)
#define WITHOUT_SANDBOX 1
#endif

#ifdef WITHOUT_SANDBOX
static const bool in_this_build = false;
#else
static const bool in_this_build = true;
#endif

/* Landlock binds the calling thread and those that come from it.  (A
 * directory has two links and one for each that lies in it.) */
static bool
is_alone(void)
{
	struct stat st;

	return stat("/proc/self/task", &st) < 0 || st.st_nlink == 3;
}

int
sandbox_enter(enum role role, const char *spool, bool network, struct err *e)
{
	int landlock, seccomp;

	if (!in_this_build) {
		log_msg(LL_DEBUG, "sandbox", "not in a build with sanitizers "
		    "or coverage");
		return 0;
	}
	if (!is_alone())
		return err_set(e, EBUSY, "sandbox: another thread runs "
		    "already");
	landlock = sandbox_landlock(role, spool, network, e);
	if (landlock < 0)
		return -1;
	seccomp = sandbox_seccomp(role, network, e);
	if (seccomp < 0)
		return -1;
	log_begin(LL_DEBUG, "sandbox");
	log_num("landlock", landlock);
	log_num("seccomp", seccomp);
	log_end();
	return 0;
}

void
sandbox_report(void)
{
	int version = sandbox_landlock_version();

	if (!in_this_build)
		return;
	if (version == 0)
		log_msg(LL_WARN, "sandbox", "this kernel has no landlock: "
		    "roles may open what their users may");
	else if (version < SANDBOX_LANDLOCK_QUEUE)
		log_msg(LL_WARN, "sandbox", "the landlock of this kernel is "
		    "too old for queue: it may open what its user may");
	if (!sandbox_seccomp_known())
		log_msg(LL_WARN, "sandbox", "no seccomp on this kernel or "
		    "machine: roles may make system calls that they do not "
		    "need");
}
