/*
 * A connection that fails for want of a route may fail because its network is
 * elsewhere, or because this machine has none: the kernel is asked for a route
 * to the world.  Run by delivery.
 *
 * A UDP socket that is connected sends nothing.  What cannot be asked counts
 * as a network that is there: then the next hop is unreachable, as before.
 */
#include "delivery/network.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/sockaddr.h"

/* Addresses of the world that nobody has (documentation and benchmarking are
 * routed like any other). */
static const char *const world[] = { "192.0.2.1", "2001:db8::1" };

static bool
has_route(const char *ip)
{
	struct sockaddr_storage sa;
	bool there;
	int fd;

	if (!sockaddr_from_ip(slice_cstr(ip), 9, &sa))
		return true;
	fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    0);
	if (fd < 0)
		return errno != EAFNOSUPPORT;
	there = connect(fd, (const struct sockaddr *)&sa,
	    sockaddr_len(&sa)) == 0 || (errno != ENETUNREACH &&
	    errno != ENETDOWN && errno != EADDRNOTAVAIL);
	close(fd);
	return there;
}

bool
network_is_there(void)
{
	size_t i;

	for (i = 0; i < sizeof(world) / sizeof(world[0]); i++)
		if (has_route(world[i]))
			return true;
	return false;
}
