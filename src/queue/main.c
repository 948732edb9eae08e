/*
 * The program `queue`: the role in a process of its own, started by monitor.
 * Run by hand it says so and ends.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "ipc/role.h"
#include "queue/control.h"
#include "queue/queue.h"

struct program {
	struct queue *queue;
	struct control *control;
};

static void *
create(struct loop *loop, int fd)
{
	struct program *p = mem_zalloc(sizeof(*p));

	p->queue = queue_new(loop, fd);
	p->control = control_new(p->queue, loop);
	return p;
}

static void
destroy(void *role)
{
	struct program *p = role;

	queue_free(&p->queue);
	control_free(&p->control);
	free(p);
}

int
main(int argc, char **argv)
{
	return role_main(ROLE_QUEUE, argc, argv, create, destroy);
}
