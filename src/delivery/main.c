/* The program smarthostd-delivery: started by monitor, never by hand. */
#include "delivery/delivery.h"
#include "io/tls_context.h"
#include "ipc/role.h"

static void *
create(struct loop *loop, int fd)
{
	return delivery_new(loop, fd);
}

static void
destroy(void *role)
{
	struct delivery *d = role;

	delivery_free(&d);
}

int
main(int argc, char **argv)
{
	tls_start();
	return role_main(ROLE_DELIVERY, argc, argv, create, destroy);
}
