/*
 * Landlock: no file but those named here, no TCP port, no signal to anybody
 * outside.  Run by every role but monitor.  The kernel says which version it
 * speaks; what came later than that is left out, and a kernel without any is
 * no error.  Its own structures and numbers stand here, because headers are
 * older than kernels.
 */
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "ipc/sandbox_private.h"

/* The same number on every machine. */
#define CALL_CREATE_RULESET 444
#define CALL_ADD_RULE 445
#define CALL_RESTRICT_SELF 446

#define CREATE_VERSION 1u
#define RULE_PATH 1
#define RULE_PORT 2

/* Version 1 knows the first 13. */
#define FS_EXECUTE (1ull << 0)
#define FS_WRITE_FILE (1ull << 1)
#define FS_READ_FILE (1ull << 2)
#define FS_READ_DIR (1ull << 3)
#define FS_REMOVE_DIR (1ull << 4)
#define FS_REMOVE_FILE (1ull << 5)
#define FS_MAKE_DIR (1ull << 7)
#define FS_MAKE_REG (1ull << 8)
#define FS_REFER (1ull << 13)		/* version 2 */
#define FS_TRUNCATE (1ull << 14)	/* version 3 */
#define FS_IOCTL_DEV (1ull << 15)	/* version 5 */
#define FS_FIRST ((1ull << 13) - 1)
#define NET_BIND_TCP (1ull << 0)	/* version 4 */
#define NET_CONNECT_TCP (1ull << 1)
#define SCOPE_ABSTRACT_UNIX (1ull << 0)	/* version 6 */
#define SCOPE_SIGNAL (1ull << 1)

/* What queue does in its spool: no program, link or socket lies there. */
#define FS_SPOOL (FS_WRITE_FILE | FS_READ_FILE | FS_READ_DIR | \
    FS_REMOVE_DIR | FS_REMOVE_FILE | FS_MAKE_DIR | FS_MAKE_REG | FS_REFER | \
    FS_TRUNCATE)

struct ruleset_attr {
	uint64_t fs, net, scoped;
};

struct path_attr {
	uint64_t allowed;
	int32_t fd;
} __attribute__((packed));

struct port_attr {
	uint64_t allowed;
	uint64_t port;
};

int
sandbox_landlock_version(void)
{
	long version = syscall(CALL_CREATE_RULESET, NULL, (size_t)0,
	    CREATE_VERSION);

	return version > 0 ? (int)version : 0;
}

/* Everything that this version can forbid; returns the structure's size. */
static size_t
handled(int version, bool network, struct ruleset_attr *a)
{
	memset(a, 0, sizeof(*a));
	a->fs = FS_FIRST;
	if (version >= 2)
		a->fs |= FS_REFER;
	if (version >= 3)
		a->fs |= FS_TRUNCATE;
	if (version >= 5)
		a->fs |= FS_IOCTL_DEV;
	if (version < 4)
		return sizeof(a->fs);
	/* A next hop's port may be any. */
	a->net = NET_BIND_TCP | (network ? 0 : NET_CONNECT_TCP);
	if (version < 6)
		return sizeof(a->fs) + sizeof(a->net);
	a->scoped = SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL;
	return sizeof(*a);
}

static int
add_rule(int rules, int type, const void *attr, const char *what,
    struct err *e)
{
	if (syscall(CALL_ADD_RULE, rules, type, attr, 0u) < 0)
		return err_errno(e, "landlock: rule for %s", what);
	return 0;
}

/* A path that is not there gets no rule: who needs it says so better. */
static int
allow_path(int rules, const char *path, uint64_t allowed, struct err *e)
{
	struct path_attr p = { allowed, open(path, O_PATH | O_CLOEXEC) };
	int rc;

	if (p.fd < 0)
		return 0;
	rc = add_rule(rules, RULE_PATH, &p, path, e);
	close(p.fd);
	return rc;
}

static int
allow(int rules, const struct ruleset_attr *a, enum role role,
    const char *spool, struct err *e)
{
	struct port_attr any = { NET_BIND_TCP, 0 };

	switch (role) {
	case ROLE_QUEUE:
		return spool != NULL ?
		    allow_path(rules, spool, FS_SPOOL & a->fs, e) : 0;
	case ROLE_DELIVERY:
		/* `source-address` binds the address, the kernel chooses the
		 * port. */
		return a->net != 0 ? add_rule(rules, RULE_PORT, &any,
		    "port 0", e) : 0;
	case ROLE_AUTH:
		/* libsasl2 opens it for each exchange. */
		return allow_path(rules, "/dev/urandom", FS_READ_FILE, e);
	default:
		return 0;
	}
}

int
sandbox_landlock(enum role role, const char *spool, bool network,
    struct err *e)
{
	int version = sandbox_landlock_version(), rules, rc = -1;
	struct ruleset_attr a;
	size_t size;

	if (version == 0 ||
	    (role == ROLE_QUEUE && version < SANDBOX_LANDLOCK_QUEUE))
		return 0;
	size = handled(version, network, &a);
	rules = (int)syscall(CALL_CREATE_RULESET, &a, size, 0u);
	if (rules < 0)
		return err_errno(e, "landlock");
	if (allow(rules, &a, role, spool, e) < 0)
		goto out;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    syscall(CALL_RESTRICT_SELF, rules, 0u) < 0) {
		err_errno(e, "landlock");
		goto out;
	}
	rc = version;
out:
	close(rules);
	return rc;
}
