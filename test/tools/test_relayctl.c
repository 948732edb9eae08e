/* relayctl as a program, without a daemon: exit statuses, what it says, and
 * what it can do on its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crc.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/strbuf.h"
#include "store/store.h"
#include "support/tree.h"

#define ID(n) (((uint64_t)1795000000000 << 22) + (n))

struct world {
	char dir[80];
	char *program;
	int status;			/* of the last run */
	struct strbuf out, err;
};

static void
put(const struct world *w, const char *name, const char *text)
{
	char *path = mem_printf("%s/%s", w->dir, name);
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	assert_int_equal(chmod(path, 0600), 0);
	free(path);
}

static void
put_conf(const struct world *w, const char *more)
{
	char *text = mem_printf("hostname relay.test\n"
	    "spool-directory %s/spool\nruntime-directory %s/run\n"
	    "listen 127.0.0.1:2525 { }\n"
	    "transport up { smarthost 192.0.2.1:2526; tls required }\n"
	    "transport backup { discard }\n"
	    "route to up.test attempts 3 via backup\n"
	    "route to up.test via up backup\n%s", w->dir, w->dir, more);

	put(w, "conf", text);
	free(text);
}

static int
setup(void **state)
{
	struct world *w = mem_zalloc(sizeof(*w));
	const char *tmp = getenv("TMPDIR"), *build = getenv("BUILD");
	char self[512];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	self[n > 0 ? n : 0] = 0;
	if (build != NULL)
		w->program = mem_printf("%s/bin/relayctl", build);
	else	/* BUILD/test/tools/test_relayctl */
		w->program = mem_printf("%.*s/../../bin/relayctl",
		    (int)(strrchr(self, '/') - self), self);
	snprintf(w->dir, sizeof(w->dir), "%.50s/relayctl.XXXXXX",
	    tmp != NULL ? tmp : "/tmp");
	assert_non_null(mkdtemp(w->dir));
	put_conf(w, "");
	clock_update();
	*state = w;
	return access(w->program, X_OK);
}

static int
teardown(void **state)
{
	struct world *w = *state;

	tree_remove(w->dir);
	free(w->program);
	strbuf_free(&w->out);
	strbuf_free(&w->err);
	free(w);
	return 0;
}

static void
slurp(const struct world *w, const char *name, struct strbuf *out)
{
	char *path = mem_printf("%s/%s", w->dir, name);
	FILE *f = fopen(path, "re");

	strbuf_clear(out);
	assert_non_null(f);
	out->n += fread(strbuf_room(out, 1 << 20), 1, 1 << 20, f);
	strbuf_putc(out, '\0');
	fclose(f);
	free(path);
}

/* "relayctl -f DIR/conf ARGS" by the shell; returns its exit status. */
static int
run(struct world *w, const char *args)
{
	char *line = mem_printf("cd %s && %s -f %s/conf %s >out 2>err",
	    w->dir, w->program, w->dir, args);
	int rc = system(line);

	free(line);
	slurp(w, "out", &w->out);
	slurp(w, "err", &w->err);
	assert_true(WIFEXITED(rc));
	return WEXITSTATUS(rc);
}

#define RUN(status, args) do {						\
	int rc_ = run(w, args);						\
	if (rc_ != (status))						\
		fail_msg("%s: exit %d: %s%s", args, rc_, w->out.p,	\
		    w->err.p);						\
} while (0)
#define SAYS(text) do {							\
	if (strstr(w->out.p, text) == NULL)				\
		fail_msg("no %s in: %s|%s", text, w->out.p, w->err.p);	\
} while (0)
#define TELLS(text) do {						\
	if (strstr(w->err.p, text) == NULL)				\
		fail_msg("no %s in: %s", text, w->err.p);		\
} while (0)

/* ---- the command line ---- */

static void
usage_errors_are_64(void **state)
{
	static const char *const t[] = {
		"", "nosuch", "queue", "queue nosuch", "queue list --nosuch",
		"queue list --older soon", "queue list --larger big",
		"queue list --status odd", "queue list --limit 0",
		"queue list --content", "queue show", "queue show a b",
		"queue retry", "queue move", "queue move --all",
		"queue import", "queue import a --maildir b",
		"queue show x --json --content", "why",
		"why --if from=a@b.test", "why --if to=a@b.test",
		"why --if colour=red", "why a b", "passwd", "log",
		"history --since soon", "history --status odd",
		"transport pause", "-x",
	};
	struct world *w = *state;
	size_t i;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		RUN(64, t[i]);
		if (strncmp(w->err.p, "relayctl: ", 10) != 0)
			fail_msg("%s: %s", t[i], w->err.p);
	}
}

static void
help_and_version_are_everywhere(void **state)
{
	struct world *w = *state;

	RUN(0, "--help");
	SAYS("queue list");
	RUN(0, "--version");
	SAYS("relayctl ");
	RUN(0, "queue hold --help");
	SAYS("usage: relayctl queue hold");
	RUN(0, "queue list --version");
	RUN(0, "queue --help");
	RUN(0, "clients --help");
}

static void
without_a_daemon_commands_that_need_it_are_69(void **state)
{
	static const char *const t[] = {
		"status", "queue retry --all", "queue remove --all",
		"queue move --all --transport up", "transport pause up",
		"account resume x", "transport list", "why last", "log -f",
		"clients", "metrics",
	};
	struct world *w = *state;
	size_t i;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		RUN(69, t[i]);
		TELLS("relayctl: ");
		assert_string_equal(w->out.p, "");
	}
}

static void
what_does_not_exist_is_1(void **state)
{
	struct world *w = *state;

	RUN(1, "transport test nosuch");
	RUN(1, "oauth status nosuch");
	RUN(1, "providers nosuch");
	RUN(69, "transport test up");
	RUN(0, "providers");
	SAYS("smtp.gmail.com:465");
}

/* ---- the configuration ---- */

static void
config_is_checked_and_shown(void **state)
{
	struct world *w = *state;

	RUN(0, "config check");
	SAYS("configuration ok");
	put_conf(w, "login l { password geheim }\n");
	RUN(0, "config show");
	SAYS("login l");
	assert_null(strstr(w->out.p, "geheim"));
	put_conf(w, "expyre 4d\n");
	RUN(78, "config check");
	TELLS("conf:9: ");
	RUN(78, "config show");
	RUN(78, "config test");
	RUN(78, "why --if from=a@b.test to=c@d.test");
	RUN(78, "config check /nonexistent/conf");
}

static void
a_configuration_with_an_error_keeps_nobody_from_the_daemon(void **state)
{
	struct world *w = *state;

	put_conf(w, "expyre 4d\n");
	RUN(69, "status");
	TELLS("not running");
	RUN(69, "queue list");
	TELLS("/spool");
}

static void
expectations_are_compared(void **state)
{
	struct world *w = *state;

	RUN(1, "config test");
	put(w, "conf.expect", "expect from=a@b.test to=u@up.test -> up\n"
	    "expect from=<> to=u@up.test attempts=3 -> backup\n");
	RUN(0, "config test");
	SAYS("2 as expected");
	put(w, "conf.expect", "expect from=a@b.test to=u@up.test -> up\n"
	    "expect from=<> to=u@up.test attempts=2 -> backup\n");
	RUN(1, "config test");
	TELLS("conf.expect:2: ");
}

/* ---- why --if ---- */

static void
why_tells_route_transport_and_next_hop(void **state)
{
	struct world *w = *state;

	RUN(0, "why --if from=a@b.test to=u@up.test --json");
	SAYS("\"transport\":\"up\",\"transports\":[\"up\",\"backup\"],"
	    "\"host\":\"192.0.2.1\",\"port\":2526,\"tls\":\"required\","
	    "\"username\":null");
	SAYS("conf:8\",\"matched\":true");
	SAYS("conf:7\",\"matched\":false,\"reason\":\"attempts\"");
	RUN(0, "why --if from='<>' to=u@up.test attempts=3");
	SAYS("conf:7");
	SAYS("backup");
	RUN(0, "why --if from=a@b.test to=u@else.test --json");
	SAYS("\"route\":null,\"transport\":\"direct\"");
	RUN(0, "why --if from=a@b.test to='<u@up.test>'");
	SAYS("192.0.2.1:2526, TLS required, without a login");
}

static void
a_local_recipient_goes_to_local_or_to_the_postmaster(void **state)
{
	struct world *w = *state;

	put_conf(w, "local-domains here.test\npostmaster pm@here.test\n");
	RUN(0, "why --if from=a@b.test to=u@here.test");
	SAYS("no such local user");
	put_conf(w, "local-domains here.test\npostmaster pm@up.test\n");
	RUN(0, "why --if from=a@b.test to=u@here.test --json");
	SAYS("\"transport\":\"up\"");
	put_conf(w, "local-domains here.test\n"
	    "transport local { maildir /tmp/%u }\n");
	RUN(0, "why --if from=a@b.test to=u@here.test --json");
	SAYS("\"route\":null,\"transport\":\"local\"");
}

/* ---- passwd ---- */

static void
decode(const char *text, size_t n, unsigned char *out, int want)
{
	unsigned char buf[64];

	assert_int_equal(EVP_DecodeBlock(buf, (const unsigned char *)text,
	    (int)n) - (want % 3 == 0 ? 0 : 3 - want % 3), want);
	memcpy(out, buf, (size_t)want);
}

/* RFC 5802, 3. */
static void
passwd_prints_a_scram_hash_of_the_password(void **state)
{
	struct world *w = *state;
	unsigned char salt[16], stored[32], server[32], salted[32], key[32];
	const char *p, *dollar, *colon;

	RUN(1, "passwd dora </dev/null");
	put(w, "pw", "some pw\n");
	RUN(0, "passwd dora <pw");
	p = w->out.p;
	assert_memory_equal(p, "SCRAM-SHA-256$4096:", 19);
	assert_null(strstr(p, "some pw"));
	p += 19;
	dollar = strchr(p, '$');
	colon = strchr(dollar, ':');
	decode(p, (size_t)(dollar - p), salt, 16);
	decode(dollar + 1, (size_t)(colon - dollar - 1), stored, 32);
	decode(colon + 1, strcspn(colon + 1, "\n"), server, 32);
	assert_int_equal(PKCS5_PBKDF2_HMAC("some pw", 7, salt, 16, 4096,
	    EVP_sha256(), 32, salted), 1);
	HMAC(EVP_sha256(), salted, 32, (const unsigned char *)"Server Key",
	    10, key, NULL);
	assert_memory_equal(key, server, 32);
	HMAC(EVP_sha256(), salted, 32, (const unsigned char *)"Client Key",
	    10, key, NULL);
	EVP_Digest(key, 32, key, NULL, EVP_sha256(), NULL);
	assert_memory_equal(key, stored, 32);
}

/* ---- the queue on disk ---- */

static void
note(void *arg, int code, const char *text)
{
	(void)text;
	*(int *)arg = code;
}

static void
nobody(void *arg)
{
	(void)arg;
}

static void
add(struct store *s, uint64_t id, const char *from, struct slice body,
    bool held)
{
	struct store_change *c = store_change_new(s);
	struct envelope *env = envelope_new();
	struct record *r;
	int code = -1;

	env->id = id;
	env->received_ms = clock_real_ms() - 60000;
	env->size = body.n;
	env->crc = crc32c(0, body.p, body.n);
	envelope_set(&env->from, slice_cstr(from));
	envelope_add_recipient(env, slice_cstr("to@up.test"), 0,
	    slice_of(NULL, 0));
	r = record_new(env);
	r->held = held;
	store_new_message(c, r, body);
	if (!held) {
		r->rcpt[0].lane = 2;
		r->rcpt[0].due = clock_real_ms() + 60000;
		store_put_state(c, r);
		store_put_lane(c, 2, slice_of("up", 3), slice_of("", 0));
		store_due_add(c, 2, r->rcpt[0].due, id);
	}
	store_put_history(c, clock_real_ms() - 1000 + id % 100, ID(50 + id %
	    100), SLICE_LIT("{\"id\":\"0000000000001\",\"from\":\"h@x.test\","
	    "\"status\":\"delivered\",\"recipients\":[]}"));
	store_commit(s, &c, false, note, &code);
	while (code == -1) {
		usleep(500);
		store_complete(s);
	}
	assert_int_equal(code, 0);
	record_free(&r);
}

static void
fill(const struct world *w)
{
	char *spool = mem_printf("%s/spool", w->dir);
	struct store_options o = { .spool = spool, .wake = nobody };
	struct err e = { 0, "" };
	struct store *s;

	assert_int_equal(mkdir(spool, 0711), 0);
	s = store_open(&o, &e);
	if (s == NULL)
		fail_msg("%s", e.text);
	add(s, ID(1), "one@x.test", SLICE_LIT("Subject: a\r\n\r\nhello\r\n"),
	    false);
	add(s, ID(2), "two@x.test", SLICE_LIT("Subject: b\r\n\r\n\r\n"),
	    true);
	store_close(&s);
	free(spool);
}

static void
a_stopped_queue_is_read(void **state)
{
	struct world *w = *state;
	char id[NUM_ID_LEN + 1], args[64];

	RUN(69, "queue list");
	fill(w);
	RUN(0, "queue list");
	SAYS("2 messages");
	RUN(0, "queue list --json");
	assert_memory_equal(w->out.p, "[\n{\"id\":\"", 9);
	SAYS("\"status\":\"held\",\"from\":\"two@x.test\"");
	RUN(0, "queue list --json --status queued --from one@x.test");
	SAYS("one@x.test");
	assert_null(strstr(w->out.p, "two@x.test"));
	RUN(0, "queue list --json --limit 1");
	assert_null(strstr(w->out.p, "two@x.test"));
	RUN(0, "queue list --json 0000000000nosuch");
	assert_string_equal(w->out.p, "[]\n");
	num_id_text(ID(1), id);
	snprintf(args, sizeof(args), "queue show %s", id);
	RUN(0, args);
	SAYS("one@x.test");
	snprintf(args, sizeof(args), "queue show %s --content", id);
	RUN(0, args);
	SAYS("Subject: a\r\n\r\nhello\r\n");
	snprintf(args, sizeof(args), "queue show %s --headers", id);
	RUN(0, args);
	SAYS("Received: ");
	assert_null(strstr(w->out.p, "hello"));
	RUN(1, "queue show 0000000000nosuch");
	RUN(0, "queue verify");
	SAYS("2 messages, all is well");
}

static void
a_stopped_history_is_read(void **state)
{
	struct world *w = *state;

	fill(w);
	RUN(0, "history --jsonl");
	assert_memory_equal(w->out.p, "{\"id\":", 6);
	RUN(0, "history --json --from h@x.test --limit 1");
	assert_null(strstr(w->out.p, "},"));
	RUN(0, "history --from other@x.test");
	SAYS("no finished deliveries");
	RUN(0, "history --json --status bounced");
	assert_string_equal(w->out.p, "[]\n");
	RUN(0, "history --since 1h");
	SAYS("h@x.test");
}

static void
mailq_says_empty_only_when_it_knows(void **state)
{
	struct world *w = *state;
	char *dir = mem_printf("%s/spool/drop", w->dir);

	RUN(69, "queue list --mailq");
	assert_null(strstr(w->out.p, "empty"));
	fill(w);
	RUN(0, "queue list --mailq");
	SAYS("one@x.test");
	SAYS("in 2 Requests");
	assert_int_equal(mkdir(dir, 0700), 0);
	put(w, "spool/drop/1.2.3", "MAIL FROM:<d@x.test> BODY=8BITMIME\r\n"
	    "RCPT TO:<e@x.test>\r\nDATA\r\n\r\n.\r\n");
	RUN(0, "queue list --mailq");
	SAYS("d@x.test");
	SAYS("e@x.test");
	RUN(69, "queue retry --mailq");
	free(dir);
}

static void
a_backup_unpacks_to_the_same_queue(void **state)
{
	struct world *w = *state;

	fill(w);
	RUN(0, "queue backup bk");
	RUN(0, "--version; mkdir copy && tar -xf bk -C copy");
	RUN(0, "--spool copy queue list --json");
	SAYS("one@x.test");
	SAYS("two@x.test");
	RUN(0, "--spool copy queue verify");
	RUN(1, "queue backup /nonexistent/bk");
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(usage_errors_are_64),
		T(help_and_version_are_everywhere),
		T(without_a_daemon_commands_that_need_it_are_69),
		T(what_does_not_exist_is_1),
		T(config_is_checked_and_shown),
		T(a_configuration_with_an_error_keeps_nobody_from_the_daemon),
		T(expectations_are_compared),
		T(why_tells_route_transport_and_next_hop),
		T(a_local_recipient_goes_to_local_or_to_the_postmaster),
		T(passwd_prints_a_scram_hash_of_the_password),
		T(a_stopped_queue_is_read),
		T(a_stopped_history_is_read),
		T(mailq_says_empty_only_when_it_knows),
		T(a_backup_unpacks_to_the_same_queue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
