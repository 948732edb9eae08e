/* The program `auth`, started by monitor.  It holds every secret: nobody may
 * trace it or dump its memory. */
#include <sys/prctl.h>
#include <sys/resource.h>

#include "auth/auth.h"
#include "ipc/role.h"

static void *
create(struct loop *loop, int fd)
{
	return auth_new(loop, fd);
}

static void
destroy(void *role)
{
	struct auth *a = role;

	auth_free(&a);
}

int
main(int argc, char **argv)
{
	struct rlimit none = { 0, 0 };

	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	setrlimit(RLIMIT_CORE, &none);
	return role_main(ROLE_AUTH, argc, argv, create, destroy);
}
