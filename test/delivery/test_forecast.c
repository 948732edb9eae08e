/* SPF of our own mail: asked once for all who wait, kept, and given up in
 * time.  DNS is a socket that says nothing, and /etc/hosts is never asked. */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "delivery/forecast.h"
#include "io/sockaddr.h"

struct world {
	struct loop *loop;
	struct resolver *resolver;
	struct forecast *f;
	int dumb;		/* a name server that never answers */
};

struct asker {
	struct forecast_wait wait;
	struct world *w;
	unsigned calls;
	enum spf_result result;
	struct asker *also;	/* taken back in the call */
	bool again;		/* asks again in the call */
};

static const struct mail_literal ip = { AF_INET, { 192, 0, 2, 1 } };

static void
begin(struct world *w)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	char server[64];
	const char *servers[] = { server };
	struct resolver_options o = { .servers = servers, .server_count = 1 };
	struct err e;

	memset(w, 0, sizeof(*w));
	w->loop = loop_new(&e);
	assert_non_null(w->loop);
	w->dumb = socket(AF_INET, SOCK_DGRAM, 0);
	sockaddr_from_ip(SLICE_LIT("127.0.0.1"), 0, &sa);
	assert_int_equal(bind(w->dumb, (struct sockaddr *)&sa,
	    sockaddr_len(&sa)), 0);
	getsockname(w->dumb, (struct sockaddr *)&sa, &len);
	snprintf(server, sizeof(server), "127.0.0.1:%u",
	    (unsigned)sockaddr_port(&sa));
	w->resolver = resolver_new(w->loop, &o, &e);
	assert_non_null(w->resolver);
	w->f = forecast_new(w->loop, w->resolver);
}

static void
end(struct world *w)
{
	forecast_free(&w->f);
	forecast_free(&w->f);
	resolver_free(&w->resolver);
	loop_free(&w->loop);
	close(w->dumb);
}

static const struct forecast_answer *ask(struct asker *a,
    const char *domain);

static void
on_answer(void *arg, const struct forecast_answer *answer)
{
	struct asker *a = arg;

	a->calls++;
	a->result = answer->result;
	if (a->also != NULL)
		forecast_cancel(&a->also->wait);
	if (a->again)
		assert_ptr_equal(ask(a, "label"), answer);
}

static const struct forecast_answer *
ask(struct asker *a, const char *domain)
{
	return forecast_get(a->w->f, domain, &ip, "h.test", &a->wait,
	    on_answer, a);
}

static void
one_answer_for_all_who_wait(void **state)
{
	struct world w;
	struct asker a = { .w = &w, .again = true }, b = { .w = &w },
	    c = { .w = &w };
	const struct forecast_answer *known;

	(void)state;
	begin(&w);
	a.also = &c;
	/* a single label is no domain: no DNS is needed to say so */
	assert_null(ask(&a, "label"));
	assert_null(ask(&b, "label"));
	assert_null(ask(&c, "label"));
	while (b.calls == 0)
		loop_turn(w.loop, true);
	assert_int_equal(a.calls, 1);
	assert_int_equal(b.calls, 1);
	assert_int_equal(c.calls, 0);		/* taken back */
	assert_int_equal(b.result, SPF_NONE);
	known = ask(&b, "label");
	assert_non_null(known);
	assert_string_equal(known->text,
	    "none: label: not the name of a domain");
	assert_int_equal(b.calls, 1);
	end(&w);
}

static void
a_dumb_server_is_given_up(void **state)
{
	struct world w;
	struct asker a = { .w = &w }, b = { .w = &w };

	(void)state;
	begin(&w);
	assert_null(ask(&a, "slow.example.org"));
	assert_null(ask(&b, "slow.example.org"));
	forecast_cancel(&b.wait);
	forecast_cancel(&b.wait);
	while (a.calls == 0)
		loop_turn(w.loop, true);
	assert_int_equal(a.result, SPF_TEMPERROR);
	assert_int_equal(b.calls, 0);
	assert_non_null(ask(&b, "slow.example.org"));
	end(&w);
}

static void
it_may_end_while_somebody_waits(void **state)
{
	struct world w;
	struct asker a = { .w = &w };

	(void)state;
	begin(&w);
	assert_null(ask(&a, "slow.example.org"));
	loop_turn(w.loop, false);
	end(&w);
	assert_int_equal(a.calls, 0);
	forecast_cancel(&a.wait);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_answer_for_all_who_wait),
		cmocka_unit_test(a_dumb_server_is_given_up),
		cmocka_unit_test(it_may_end_while_somebody_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
