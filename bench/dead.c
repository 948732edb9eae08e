/* Hosts that take no mail, for `make bench-queue`: on 127.0.NET.1 and up, one
 * port for all of them (it is told in the first line that is printed), until
 * the end of standard input.  Each line there is answered by one line: how
 * many connections they have seen by now, -1 where that cannot be known.
 *
 *	dead [-n net] [-a addresses] refuse|421|silent PORT
 *
 * refuse: the ports are bound and nobody listens; attempts are counted as the
 * kernel sees them on the loopback interface, which takes CAP_NET_RAW.
 * 421: that instead of a greeting.  silent: accepts and never says a word.
 */
#include <sys/epoll.h>
#include <sys/socket.h>

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ADDRESSES_MAX 200

enum mode { REFUSE, CLOSING, SILENT };

static struct {
	enum mode mode;
	int ep, sniffer;
	int listener[ADDRESSES_MAX];
	unsigned addresses;
	int64_t seen;
} dead = { .addresses = 1, .sniffer = -1 };

static void
die(const char *what)
{
	fprintf(stderr, "dead: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void
watch(int fd)
{
	struct epoll_event e = { .events = EPOLLIN, .data.fd = fd };

	if (epoll_ctl(dead.ep, EPOLL_CTL_ADD, fd, &e) < 0)
		die("epoll_ctl");
}

/* The first packet of each connection to that port: IPv4, TCP, SYN alone. */
static void
sniff(uint16_t port)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 9),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_TCP, 0, 7),
		BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
		BPF_STMT(BPF_LD | BPF_H | BPF_IND, 2),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, port, 0, 4),
		BPF_STMT(BPF_LD | BPF_B | BPF_IND, 13),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0x12),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x02, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 64),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog filter = { sizeof(code) / sizeof(code[0]), code };
	struct sockaddr_ll a = { .sll_family = AF_PACKET,
	    .sll_protocol = htons(ETHERTYPE_IP),
	    .sll_ifindex = (int)if_nametoindex("lo") };
	int fd;

	/* No protocol before the filter is there: nothing else gets in. */
	fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter,
	    sizeof(filter)) < 0 ||
	    bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		close(fd);
		return;
	}
	dead.sniffer = fd;
	watch(fd);
}

/* The loopback interface shows each packet when it leaves and when it comes
 * in. */
static void
on_packet(void)
{
	struct sockaddr_ll from;
	socklen_t n = sizeof(from);
	char octets[64];

	if (recvfrom(dead.sniffer, octets, sizeof(octets), MSG_DONTWAIT,
	    (struct sockaddr *)&from, &n) > 0 &&
	    from.sll_pkttype != PACKET_OUTGOING)
		dead.seen++;
}

static void
on_connection(int listener)
{
	static const char bye[] = "421 4.3.2 closed for today\r\n";
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	dead.seen++;
	if (dead.mode == CLOSING) {
		(void)!send(fd, bye, sizeof(bye) - 1, MSG_NOSIGNAL);
		close(fd);
	} else {
		watch(fd);
	}
}

static void
on_input(int fd)
{
	char octets[512];
	ssize_t n = recv(fd, octets, sizeof(octets), MSG_DONTWAIT);

	if (n == 0 || (n < 0 && errno != EAGAIN))
		close(fd);
}

/* false: the end. */
static bool
on_control(void)
{
	char octets[64];
	ssize_t i, n = read(STDIN_FILENO, octets, sizeof(octets));

	for (i = 0; i < n; i++) {
		if (octets[i] != '\n')
			continue;
		printf("%lld\n", dead.mode == REFUSE && dead.sniffer < 0 ?
		    -1LL : (long long)dead.seen);
		fflush(stdout);
	}
	return n > 0;
}

static void
bind_all(unsigned net, uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t n = sizeof(a);
	const int one = 1;
	unsigned i;
	int fd;

	for (i = 0; i < dead.addresses; i++) {
		a.sin_port = htons(port);
		a.sin_addr.s_addr = htonl(INADDR_LOOPBACK + net * 256 + i);
		fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK |
		    SOCK_CLOEXEC, 0);
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
		if (fd < 0 || bind(fd, (struct sockaddr *)&a,
		    sizeof(a)) < 0 ||
		    getsockname(fd, (struct sockaddr *)&a, &n) < 0)
			die("bind");
		port = ntohs(a.sin_port);
		dead.listener[i] = fd;
		if (dead.mode != REFUSE && listen(fd, 1024) < 0)
			die("listen");
		if (dead.mode != REFUSE)
			watch(fd);
	}
	if (dead.mode == REFUSE)
		sniff(port);
	printf("%u\n", port);
	fflush(stdout);
}

static bool
is_listener(int fd)
{
	unsigned i;

	for (i = 0; i < dead.addresses; i++)
		if (dead.listener[i] == fd)
			return true;
	return false;
}

static void
serve(void)
{
	struct epoll_event ev[64];
	bool more = true;
	int i, n;

	while (more) {
		n = epoll_wait(dead.ep, ev, 64, -1);
		for (i = 0; i < n; i++) {
			int fd = ev[i].data.fd;

			if (fd == STDIN_FILENO)
				more = on_control();
			else if (fd == dead.sniffer)
				on_packet();
			else if (is_listener(fd))
				on_connection(fd);
			else
				on_input(fd);
		}
	}
}

int
main(int argc, char **argv)
{
	unsigned net = 0;
	int o;

	while ((o = getopt(argc, argv, "n:a:")) != -1) {
		if (o == 'n')
			net = (unsigned)atoi(optarg);
		else if (o == 'a')
			dead.addresses = (unsigned)atoi(optarg);
		else
			dead.addresses = 0;
	}
	if (optind + 2 != argc || dead.addresses == 0 ||
	    dead.addresses > ADDRESSES_MAX || net > 255) {
		fprintf(stderr, "usage: dead [-n net] [-a addresses] "
		    "refuse|421|silent PORT\n");
		return 64;
	}
	dead.mode = strcmp(argv[optind], "refuse") == 0 ? REFUSE :
	    strcmp(argv[optind], "421") == 0 ? CLOSING : SILENT;
	signal(SIGPIPE, SIG_IGN);
	dead.ep = epoll_create1(EPOLL_CLOEXEC);
	watch(STDIN_FILENO);
	bind_all(net, (uint16_t)atoi(argv[optind + 1]));
	serve();
	return 0;
}
