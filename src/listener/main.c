/* The program `listener`, started by monitor. */
#include "ipc/role.h"
#include "listener/listener.h"

static void *
create(struct loop *loop, int fd)
{
	return listener_new(loop, fd);
}

static void
destroy(void *role)
{
	struct listener *l = role;

	listener_free(&l);
}

int
main(int argc, char **argv)
{
	return role_main(ROLE_LISTENER, argc, argv, create, destroy);
}
