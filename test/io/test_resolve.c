/* Names to addresses: from memory, and from a name server that a thread here
 * plays over loopback UDP. */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "io/fixture.h"
#include "io/resolve.h"
#include "io/resolve_private.h"
#include "io/sockaddr.h"

/* ---- a name server ---- */

struct server {
	pthread_t thread;
	int fd;
	char address[64];
	int queries;		/* atomic */
};

/* What it knows; type 0: every type is refused with the rcode. */
static const struct record {
	const char *name;
	int type;
	int rcode;
	const char *rdata;
	size_t len;
} records[] = {
	{ "both.lan.test", 1, 0, "\xc0\x00\x02\x01", 4 },
	{ "both.lan.test", 28, 0, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01",
	    16 },
	{ "four.lan.test", 1, 0, "\xc0\x00\x02\x04", 4 },
	{ "half.lan.test", 1, 0, "\xc0\x00\x02\x05", 4 },
	{ "half.lan.test", 28, 2, "", 0 },
	{ "gone.lan.test", 0, 3, "", 0 },
	{ "broken.lan.test", 0, 2, "", 0 },
	{ "silent.lan.test", 0, -1, "", 0 },
	{ "mail.lan.test", 15, 0, "\x00\x14\x02mx\x03lan\x04test\x00", 15 },
	{ "mail.lan.test", 15, 0, "\x00\x0a\x03mx1\x03lan\x04test\x00", 16 },
	{ "mail.lan.test", 15, 0, "\x00\x0a\x03mx2\x03lan\x04test\x00", 16 },
	{ "null.lan.test", 15, 0, "\x00\x00\x00", 3 },
	{ "both.lan.test", 15, 0, "", 0 },
	{ NULL, 0, 0, NULL, 0 }
};

static size_t
question(const uint8_t *p, size_t n, char *name, int *type)
{
	size_t at = 12, used = 0, i;

	while (at < n && p[at] != 0) {
		for (i = 1; i <= p[at]; i++)
			name[used++] = (char)tolower(p[at + i]);
		name[used++] = '.';
		at += p[at] + 1u;
	}
	name[used > 0 ? used - 1 : 0] = '\0';
	*type = p[at + 1] << 8 | p[at + 2];
	return at + 5;
}

/* The length of the answer; 0: none. */
static size_t
answer(uint8_t *p, size_t n)
{
	const struct record *r;
	char name[512];
	int type, rcode = 0, count = 0;
	size_t end = question(p, n, name, &type);
	bool known = false;

	for (r = records; r->name != NULL; r++) {
		if (strcmp(r->name, name) != 0)
			continue;
		known = true;
		if (r->type != 0 && r->type != type)
			continue;
		if (r->rcode != 0)
			rcode = r->rcode;
		if (r->rcode != 0 || r->len == 0)
			continue;
		memcpy(p + end, "\xc0\x0c\x00", 3);
		p[end + 3] = (uint8_t)r->type;
		memcpy(p + end + 4, "\x00\x01\x00\x00\x01\x2c\x00", 7);
		p[end + 11] = (uint8_t)r->len;
		memcpy(p + end + 12, r->rdata, r->len);
		end += 12 + r->len;
		count++;
	}
	if (rcode < 0)
		return 0;
	if (!known)
		rcode = 3;
	p[2] = 0x85;
	p[3] = (uint8_t)(0x80 | rcode);
	memcpy(p + 6, "\0\0\0\0\0\0", 6);
	p[7] = (uint8_t)count;
	return end;
}

static void *
serve(void *arg)
{
	struct server *s = arg;
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	uint8_t buf[4096];
	ssize_t n;

	while ((n = recvfrom(s->fd, buf, 1024, 0, (struct sockaddr *)&from,
	    &len)) > 1) {
		__atomic_add_fetch(&s->queries, 1, __ATOMIC_RELAXED);
		n = (ssize_t)answer(buf, (size_t)n);
		if (n > 0)
			sendto(s->fd, buf, (size_t)n, 0,
			    (struct sockaddr *)&from, len);
		len = sizeof(from);
	}
	return NULL;
}

static struct server server;

static int
start_server(void **state)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	(void)state;
	server.fd = socket(AF_INET, SOCK_DGRAM, 0);
	sockaddr_from_ip(SLICE_LIT("127.0.0.1"), 0, &sa);
	if (bind(server.fd, (struct sockaddr *)&sa, sockaddr_len(&sa)) < 0)
		return -1;
	getsockname(server.fd, (struct sockaddr *)&sa, &len);
	snprintf(server.address, sizeof(server.address), "127.0.0.1:%u",
	    sockaddr_port(&sa));
	return pthread_create(&server.thread, NULL, serve, &server);
}

static int
stop_server(void **state)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	(void)state;
	getsockname(server.fd, (struct sockaddr *)&sa, &len);
	sendto(server.fd, "", 0, 0, (struct sockaddr *)&sa, len);
	pthread_join(server.thread, NULL);
	close(server.fd);
	return 0;
}

/* ---- asking ---- */

struct outcome {
	struct resolver *resolver;
	int calls;
	enum resolve_status status;
	bool secure;
	uint32_t ttl;
	size_t count;
	char text[512];		/* addresses or exchangers, blank between */
	struct err why;
	struct resolve_query *also;	/* cancelled in the callback */
	bool end;		/* the resolver is freed in the callback */
};

static void
on_answer(void *arg, const struct resolve_answer *a)
{
	struct outcome *o = arg;
	char buf[SOCKADDR_TEXT_MAX];
	size_t i, n;

	o->calls++;
	o->status = a->status;
	o->secure = a->secure;
	o->ttl = a->ttl;
	o->count = a->count;
	o->why = a->why;
	o->text[0] = '\0';
	for (i = 0; i < a->count; i++) {
		n = strlen(o->text);
		if (a->mx != NULL)
			snprintf(o->text + n, sizeof(o->text) - n, "%u:%s ",
			    a->mx[i].preference, a->mx[i].name);
		else
			snprintf(o->text + n, sizeof(o->text) - n, "%s ",
			    sockaddr_ip_text(&a->addrs[i], buf));
	}
	resolve_cancel(&o->also);
	if (o->end)
		resolver_free(&o->resolver);
}

static const char hosts_file[] =
    "127.0.0.1\tlocalhost\n"
    "# a comment\n"
    "192.0.2.7  Printer.LAN printer # the grey one\r\n"
    "2001:db8::7 printer\n"
    "2001:db8::7 printer\n"
    "not-an-address name\n"
    "192.0.2.8";

struct world {
	struct loop *loop;
	struct resolver *resolver;
};

static void
begin(struct world *w, const char *name_server)
{
	const char *servers[1] = { name_server };
	struct resolver_options o = { .hosts = slice_cstr(hosts_file),
	    .servers = servers, .server_count = name_server != NULL };
	struct err e;

	w->loop = fx_loop();
	w->resolver = resolver_new(w->loop, &o, &e);
	assert_non_null(w->resolver);
}

static void
end(struct world *w)
{
	resolver_free(&w->resolver);
	loop_free(&w->loop);
}

static struct outcome
host(struct world *w, const char *name, unsigned flags, uint64_t ms)
{
	struct outcome o = { 0 };

	resolve_host(w->resolver, name, flags, ms, on_answer, &o);
	assert_int_equal(o.calls, 0);	/* never from inside */
	WAIT_FOR(w->loop, o.calls);
	return o;
}

static struct outcome
mx(struct world *w, const char *name)
{
	struct outcome o = { 0 };

	resolve_mx(w->resolver, name, 0, on_answer, &o);
	WAIT_FOR(w->loop, o.calls);
	return o;
}

#define BOTH (RESOLVE_V4 | RESOLVE_V6)

static void
literals_and_localhost_need_no_dns(void **state)
{
	struct world w;
	struct outcome o;

	(void)state;
	begin(&w, NULL);
	o = host(&w, "192.0.2.1", BOTH, 0);
	assert_int_equal(o.status, RESOLVE_OK);
	assert_string_equal(o.text, "192.0.2.1 ");
	o = host(&w, "2001:db8::1", BOTH, 0);
	assert_string_equal(o.text, "2001:db8::1 ");
	o = host(&w, "LocalHost.", BOTH, 0);
	assert_string_equal(o.text, "::1 127.0.0.1 ");
	o = host(&w, "me.localhost", RESOLVE_V4, 0);
	assert_string_equal(o.text, "127.0.0.1 ");
	o = host(&w, "192.0.2.1", RESOLVE_V6, 0);
	assert_int_equal(o.status, RESOLVE_NODATA);
	assert_string_equal(o.why.text,
	    "192.0.2.1: no address of this family");
	end(&w);
}

static void
the_hosts_file_comes_first(void **state)
{
	struct world w;
	struct outcome o;

	(void)state;
	begin(&w, server.address);
	o = host(&w, "printer.lan", BOTH, 0);
	assert_string_equal(o.text, "192.0.2.7 ");
	o = host(&w, "PRINTER", BOTH, 0);
	assert_string_equal(o.text, "2001:db8::7 192.0.2.7 ");
	o = host(&w, "printer", BOTH | RESOLVE_NO_HOSTS, 5000);
	assert_int_not_equal(o.status, RESOLVE_OK);
	end(&w);
}

static void
names_that_cannot_be_are_answered_at_once(void **state)
{
	static const char *const bad[] = { "", ".", "a..b", ".a", "a b",
	    "a/b", "\xc3\xa4.example", NULL };
	struct world w;
	struct outcome o;
	char longest[300];
	int i;

	(void)state;
	begin(&w, NULL);
	for (i = 0; bad[i] != NULL; i++) {
		o = host(&w, bad[i], BOTH, 0);
		assert_int_equal(o.status, RESOLVE_NXDOMAIN);
	}
	memset(longest, 'a', sizeof(longest));
	longest[64] = '\0';
	o = host(&w, longest, BOTH, 0);
	assert_int_equal(o.status, RESOLVE_NXDOMAIN);
	assert_int_equal(mx(&w, longest).status, RESOLVE_NXDOMAIN);
	end(&w);
}

static void
addresses_come_from_dns_ipv6_first(void **state)
{
	struct world w;
	struct outcome o;

	(void)state;
	begin(&w, server.address);
	o = host(&w, "both.lan.test", BOTH, 0);
	assert_int_equal(o.status, RESOLVE_OK);
	assert_string_equal(o.text, "2001:db8::1 192.0.2.1 ");
	assert_false(o.secure);
	assert_in_range(o.ttl, 290, 300);
	o = host(&w, "both.lan.test.", RESOLVE_V4, 0);
	assert_string_equal(o.text, "192.0.2.1 ");
	o = host(&w, "four.lan.test", BOTH, 0);
	assert_string_equal(o.text, "192.0.2.4 ");
	o = host(&w, "four.lan.test", RESOLVE_V6, 0);
	assert_int_equal(o.status, RESOLVE_NODATA);
	assert_string_equal(o.why.text,
	    "four.lan.test: no record of this type");
	end(&w);
}

static void
failures_are_told_apart(void **state)
{
	struct world w;
	struct outcome o;

	(void)state;
	begin(&w, server.address);
	o = host(&w, "gone.lan.test", BOTH, 0);
	assert_int_equal(o.status, RESOLVE_NXDOMAIN);
	assert_string_equal(o.why.text, "gone.lan.test: no such name");
	assert_int_equal(o.why.code, ENOENT);
	o = host(&w, "broken.lan.test", BOTH, 0);
	assert_int_equal(o.status, RESOLVE_FAILED);
	assert_int_equal(o.why.code, EAGAIN);
	assert_non_null(strstr(o.why.text, "server failure"));
	/* one family answered is enough */
	o = host(&w, "half.lan.test", BOTH, 0);
	assert_int_equal(o.status, RESOLVE_OK);
	assert_string_equal(o.text, "192.0.2.5 ");
	end(&w);
}

static void
a_silent_server_is_not_waited_for(void **state)
{
	struct world w;
	struct outcome o;
	uint64_t t = clock_mono_us();

	(void)state;
	begin(&w, server.address);
	o = host(&w, "silent.lan.test", BOTH, 300);
	assert_in_range((clock_mono_us() - t) / 1000, 290, 3000);
	assert_int_equal(o.status, RESOLVE_FAILED);
	assert_string_equal(o.why.text,
	    "silent.lan.test: no answer from DNS in time");
	end(&w);
}

static void
mail_exchangers_are_sorted(void **state)
{
	struct world w;
	struct outcome o;
	int first = 0, i;

	(void)state;
	begin(&w, server.address);
	for (i = 0; i < 64; i++) {
		o = mx(&w, "mail.lan.test");
		assert_int_equal(o.status, RESOLVE_OK);
		if (strcmp(o.text, "10:mx1.lan.test 10:mx2.lan.test "
		    "20:mx.lan.test ") == 0)
			first++;
		else
			assert_string_equal(o.text, "10:mx2.lan.test "
			    "10:mx1.lan.test 20:mx.lan.test ");
	}
	/* equals in random order: 64 times the same would be strange */
	assert_in_range(first, 1, 63);
	o = mx(&w, "null.lan.test");
	assert_string_equal(o.text, "0: ");
	o = mx(&w, "both.lan.test");
	assert_int_equal(o.status, RESOLVE_NODATA);
	end(&w);
}

static void
texts_are_put_together_from_their_strings(void **state)
{
	struct strbuf text = STRBUF_INIT;

	(void)state;
	assert_int_equal(resolve_txt(SLICE_LIT("\2ab\0\3c d"), &text), 0);
	assert_string_equal(text.p, "abc d");
	assert_int_equal(resolve_txt(SLICE_LIT("\2xx\3ab"), &text), -1);
	assert_string_equal(strbuf_cstr(&text), "abc d");
	strbuf_free(&text);
}

static void
a_cancelled_query_is_silent(void **state)
{
	struct world w;
	struct outcome a = { 0 }, b = { 0 }, c = { 0 };
	struct resolve_query *q;

	(void)state;
	begin(&w, server.address);
	q = resolve_host(w.resolver, "silent.lan.test", BOTH, 0, on_answer,
	    &a);
	resolve_cancel(&q);
	resolve_cancel(&q);
	q = resolve_host(w.resolver, "127.0.0.1", BOTH, 0, on_answer, &a);
	resolve_cancel(&q);
	c.also = resolve_host(w.resolver, "silent.lan.test", BOTH, 200,
	    on_answer, &b);
	resolve_host(w.resolver, "four.lan.test", BOTH, 0, on_answer, &c);
	WAIT_FOR(w.loop, c.calls);
	loop_turn(w.loop, false);
	assert_int_equal(a.calls + b.calls, 0);
	end(&w);
}

static void
the_resolver_may_go_inside_a_callback(void **state)
{
	struct world w;
	struct outcome a = { 0 }, b = { 0 };

	(void)state;
	begin(&w, server.address);
	a.resolver = w.resolver;
	a.end = true;
	resolve_host(w.resolver, "four.lan.test", BOTH, 0, on_answer, &a);
	resolve_host(w.resolver, "silent.lan.test", BOTH, 0, on_answer, &b);
	WAIT_FOR(w.loop, a.calls);
	assert_null(a.resolver);
	w.resolver = NULL;
	loop_turn(w.loop, false);
	assert_int_equal(b.calls, 0);
	end(&w);
}

static void
servers_come_from_resolv_conf_too(void **state)
{
	struct loop *l = fx_loop();
	struct resolver_options o = { .resolv_conf = SLICE_LIT(
	    "search example\n# nameserver 192.0.2.1\nnameserver 127.0.0.1\n"
	    "nameserver nonsense\nnameserver") };
	struct resolver *r;
	struct err e;

	(void)state;
	r = resolver_new(l, &o, &e);
	assert_non_null(r);
	resolver_free(&r);
	assert_null(r);
	loop_free(&l);
}

static void
a_bad_server_is_refused(void **state)
{
	struct loop *l = fx_loop();
	const char *bad[] = { "192.0.2.1", "ns.example" };
	struct resolver_options o = { .servers = bad, .server_count = 2 };
	struct err e;

	(void)state;
	assert_null(resolver_new(l, &o, &e));
	assert_string_equal(e.text,
	    "resolver: \"ns.example\" is no IP address");
	loop_free(&l);
}

static void
a_bad_anchor_fails_the_query_not_the_process(void **state)
{
	struct loop *l = fx_loop();
	struct resolver_options o = { .dnssec = true,
	    .anchors = SLICE_LIT("; comment\n\nthis is no key\n") };
	struct outcome out = { 0 };
	struct resolver *r;
	struct err e;

	(void)state;
	r = resolver_new(l, &o, &e);
	assert_non_null(r);
	resolve_host(r, "four.lan.test", BOTH, 2000, on_answer, &out);
	WAIT_FOR(l, out.calls);
	assert_int_equal(out.status, RESOLVE_FAILED);
	resolver_free(&r);
	loop_free(&l);
}

static void
names_in_wire_form_are_checked(void **state)
{
	char out[256];
	uint8_t big[300];

	(void)state;
	assert_int_equal(dns_name_text((const uint8_t *)"\x01" "a\x02" "bc\0",
	    6, out), 0);
	assert_string_equal(out, "a.bc");
	assert_int_equal(dns_name_text((const uint8_t *)"", 1, out), 0);
	assert_string_equal(out, "");
	assert_int_equal(dns_name_text((const uint8_t *)"\x02" "a", 2, out),
	    -1);
	assert_int_equal(dns_name_text((const uint8_t *)"\x01" "a", 2, out),
	    -1);
	assert_int_equal(dns_name_text((const uint8_t *)"\x01.", 3, out), -1);
	assert_int_equal(dns_name_text((const uint8_t *)"\xc0\x00", 2, out),
	    -1);
	memset(big, 1, sizeof(big));
	assert_int_equal(dns_name_text(big, sizeof(big), out), -1);
	memset(big, 'a', sizeof(big));
	for (size_t i = 0; i < sizeof(big); i += 2)
		big[i] = 1;
	assert_int_equal(dns_name_text(big, sizeof(big), out), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(literals_and_localhost_need_no_dns),
		cmocka_unit_test(the_hosts_file_comes_first),
		cmocka_unit_test(names_that_cannot_be_are_answered_at_once),
		cmocka_unit_test(addresses_come_from_dns_ipv6_first),
		cmocka_unit_test(failures_are_told_apart),
		cmocka_unit_test(a_silent_server_is_not_waited_for),
		cmocka_unit_test(mail_exchangers_are_sorted),
		cmocka_unit_test(texts_are_put_together_from_their_strings),
		cmocka_unit_test(a_cancelled_query_is_silent),
		cmocka_unit_test(the_resolver_may_go_inside_a_callback),
		cmocka_unit_test(servers_come_from_resolv_conf_too),
		cmocka_unit_test(a_bad_server_is_refused),
		cmocka_unit_test(a_bad_anchor_fails_the_query_not_the_process),
		cmocka_unit_test(names_in_wire_form_are_checked),
	};

	return cmocka_run_group_tests(tests, start_server, stop_server);
}
