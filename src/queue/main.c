/*
 * The program `queue`: the role in a process of its own, started by monitor.
 * Run by hand it says so and ends.
 */
#include "queue/queue.h"

#include "ipc/role.h"

static void *
create(struct loop *loop, int fd)
{
	return queue_new(loop, fd);
}

static void
destroy(void *role)
{
	struct queue *q = role;

	queue_free(&q);
}

int
main(int argc, char **argv)
{
	return role_main(ROLE_QUEUE, argc, argv, create, destroy);
}
