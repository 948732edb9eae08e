/* The promise: what was acknowledged is there after any death, and nothing
 * half-done is.  A child takes and settles messages of every size and tells
 * what was acknowledged through a pipe; it is killed, and the queue opened
 * again. */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/mem.h"
#include "support/clock_ahead.h"

#define IN_FLIGHT 20u

/* ---- the child ---- */

enum { ACK_TAKEN = 1, TRY_REMOVE = 2, ACK_REMOVED = 3 };

struct note {
	uint64_t n;
	uint64_t what;
};

struct load {
	struct fixture *f;
	int out;
	uint64_t first;			/* number of this run's first */
};

struct item {
	struct load *l;
	uint64_t n;
	bool removing;
};

static size_t
size_of(uint64_t n)
{
	static const size_t sizes[] = { 300, 4096, 30000, 150000, 9000 };

	return sizes[n % 5];
}

static struct slice
body_of(uint64_t n)
{
	return make_body(size_of(n), (unsigned)n);
}

static void
tell(const struct load *l, uint64_t n, uint64_t what)
{
	struct note note = { n, what };

	if (write(l->out, &note, sizeof(note)) != (ssize_t)sizeof(note))
		_exit(9);
}

static void took(void *arg, int code, const char *text);

static void
take(struct load *l, uint64_t n)
{
	struct store_change *c = store_change_new(l->f->s);
	struct item *it = mem_zalloc(sizeof(*it));

	*it = (struct item){ .l = l, .n = n };
	if (size_of(n) > STORE_INLINE_MAX)
		add_file_message(l->f, c, ID(n), body_of(n));
	else
		add_message(c, ID(n), body_of(n));
	store_commit(l->f->s, &c, n % 7 == 0, took, it);
}

/* Every third message is settled again; the next takes its place. */
static void
took(void *arg, int code, const char *text)
{
	struct item *it = arg;
	struct load *l = it->l;
	struct store_change *c;

	(void)text;
	if (code != 0)
		_exit(8);
	tell(l, it->n, it->removing ? ACK_REMOVED : ACK_TAKEN);
	if (!it->removing && it->n % 3 == 0) {
		tell(l, it->n, TRY_REMOVE);
		c = store_change_new(l->f->s);
		remove_message(l->f, c, ID(it->n));
		store_put_history(c, DUE, ID(it->n), SLICE_LIT("sent"));
		it->removing = true;
		store_commit(l->f->s, &c, it->n % 2 == 0, took, it);
		return;
	}
	take(l, it->n + IN_FLIGHT);
	free(it);
}

static void
child(struct fixture *f, int out, uint64_t first)
{
	struct load l = { f, out, first };
	struct pollfd p = { .fd = f->event, .events = POLLIN };
	struct err e;
	uint64_t n;

	fault_init();
	f->s = fixture_try_open(f, false, 0, &e);
	if (f->s == NULL)
		_exit(7);
	for (n = 0; n < IN_FLIGHT; n++)
		take(&l, first + n);
	for (;;) {
		if (poll(&p, 1, 20000) != 1 ||
		    read(f->event, &n, sizeof(n)) < 0)
			_exit(6);
		store_complete(f->s);
	}
}

/* ---- the parent ---- */

#define NUMBERS 200000u

struct ledger {
	uint8_t what[NUMBERS];		/* the last note of each */
	uint64_t next;			/* number to begin the next run with */
	unsigned runs;
};

static void
note_down(struct ledger *l, const struct note *n)
{
	assert_true(n->n < NUMBERS);
	l->what[n->n] = (uint8_t)n->what;
	if (n->n >= l->next)
		l->next = n->n + 1;
}

/* Kills after so many notes (0: the child dies by itself), reads the rest. */
static void
run_child(struct fixture *f, struct ledger *l, unsigned kill_after)
{
	struct note n;
	int fds[2], status;
	unsigned seen = 0;
	pid_t pid;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		close(fds[0]);
		child(f, fds[1], l->next);
	}
	close(fds[1]);
	while (read(fds[0], &n, sizeof(n)) == (ssize_t)sizeof(n)) {
		note_down(l, &n);
		if (++seen == kill_after)
			kill(pid, SIGKILL);
	}
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGKILL);
	/* Those in flight may be there without a note. */
	l->next += 2 * IN_FLIGHT;
	l->runs++;
}

static void
check_ledger(struct fixture *f, const struct ledger *l)
{
	uint64_t n, unknown = 0;

	for (n = 1; n < l->next; n++) {
		int code = get_code(f, ID(n));

		if (l->what[n] == ACK_TAKEN && code != 0)
			fail_msg("message %d is lost", (int)n);
		if (l->what[n] == ACK_REMOVED && code != ENOENT)
			fail_msg("message %d is back", (int)n);
		if (code == 0)
			expect_message(f, ID(n), body_of(n));
		else
			assert_int_equal(code, ENOENT);
		unknown += l->what[n] == 0 && code == 0;
	}
	/* Durable but not acknowledged: bounded by what was in flight. */
	assert_true(unknown <= l->runs * IN_FLIGHT);
}

/* Opens after a death: all is well at once but for orphans, and after the
 * sweep entirely. */
static void
recover(struct fixture *f, const struct ledger *l)
{
	fixture_open(f, false);
	check_ledger(f, l);
	expect_clean(f);
	clock_ahead(120000);
	while (store_sweep(f->s, 0))
		;
	fixture_reopen(f);
	expect_clean(f);
	clock_ahead(0);
	store_close(&f->s);
}

static void
test_nothing_acknowledged_is_lost_by_a_kill(void **state)
{
	static const unsigned after[] = { 1, 3, 17, 40, 90, 150, 300, 500 };
	struct fixture *f = *state;
	struct ledger *l = mem_zalloc(sizeof(*l));
	unsigned i;

	l->next = 1;
	store_close(&f->s);
	for (i = 0; i < sizeof(after) / sizeof(after[0]); i++) {
		run_child(f, l, after[i]);
		recover(f, l);
	}
	fixture_open(f, false);
	free(l);
}

static void
test_nothing_is_lost_at_any_fault_point(void **state)
{
	static const char *const points[] = {
		"store.before_commit", "store.before_commit:40",
		"store.after_commit", "store.after_commit:40",
		"store.body.before_fsync:3", "store.body.after_fsync:3",
		"store.body.after_link:2", "store.body.after_dirsync:2",
		"store.before_unlink",
	};
	struct fixture *f = *state;
	struct ledger *l = mem_zalloc(sizeof(*l));
	unsigned i;

	l->next = 1;
	store_close(&f->s);
	for (i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
		setenv("SMARTHOSTD_FAULT", points[i], 1);
		run_child(f, l, 0);
		unsetenv("SMARTHOSTD_FAULT");
		recover(f, l);
	}
	fixture_open(f, false);
	free(l);
}

static void
test_a_kill_during_creation_leaves_a_spool_that_opens(void **state)
{
	struct fixture *f = *state;
	char *path = mem_printf("%s/queue/data.mdb", f->dir);
	struct pollfd p = { .fd = -1 };
	struct err e;
	int i, status;
	pid_t pid;

	store_close(&f->s);
	for (i = 0; i < 10; i++) {
		(void)unlink(path);
		fflush(NULL);
		pid = fork();
		if (pid == 0)
			_exit(fixture_try_open(f, false, 0, &e) == NULL);
		poll(&p, 0, 5 * i);
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		fixture_open(f, false);
		assert_int_equal(store_total(f->s), 0);
		store_close(&f->s);
	}
	fixture_open(f, false);
	free(path);
}

/* ---- no room, no disk ---- */

static void
arm(const char *fault)
{
	setenv("SMARTHOSTD_FAULT", fault, 1);
	fault_init();
	unsetenv("SMARTHOSTD_FAULT");
}

/* A settle and a new message in one batch that fails. */
static void
fail_batch(struct fixture *f, const char *fault, int code)
{
	struct result settle = { 0 }, mail = { 0 };
	struct store_change *c;

	put_message(f, ID(1), SLICE_LIT("one"));
	arm(fault);
	store_cork(f->s, true);
	c = store_change_new(f->s);
	add_message(c, ID(2), SLICE_LIT("two"));
	store_commit(f->s, &c, false, note_result, &mail);
	c = store_change_new(f->s);
	remove_message(f, c, ID(1));
	store_commit(f->s, &c, false, note_result, &settle);
	store_cork(f->s, false);
	wait_for(f, &mail);
	wait_for(f, &settle);
	assert_int_equal(mail.code, code);
	assert_int_not_equal(mail.text[0], 0);
	assert_int_equal(settle.code, 0);
	assert_int_equal(get_code(f, ID(1)), ENOENT);
	assert_int_equal(get_code(f, ID(2)), ENOENT);

	put_message(f, ID(2), SLICE_LIT("two"));
	expect_clean(f);
}

static void
test_settling_goes_on_when_new_mail_finds_no_room(void **state)
{
	fail_batch(*state, "store.commit=ENOSPC", ENOSPC);
}

static void
test_settling_goes_on_after_a_failed_write(void **state)
{
	fail_batch(*state, "store.commit=EIO", EIO);
}

static void
test_a_failed_commit_without_new_mail_fails(void **state)
{
	struct fixture *f = *state;
	struct store_change *c = store_change_new(f->s);

	arm("store.before_commit=ENOSPC");
	store_due_add(c, LANE, DUE, ID(1));
	assert_int_equal(commit(f, &c), ENOSPC);
	c = store_change_new(f->s);
	arm("store.commit=EACCES");
	store_due_add(c, LANE, DUE, ID(1));
	assert_int_equal(commit(f, &c), EACCES);
	expect_clean(f);
}

static void
test_a_body_that_cannot_be_synced_is_refused(void **state)
{
	struct fixture *f = *state;
	struct store_change *c = store_change_new(f->s);

	arm("store.body.fsync=EIO");
	add_file_message(f, c, ID(1), SLICE_LIT("body"));
	assert_int_equal(commit(f, &c), EIO);
	assert_int_equal(get_code(f, ID(1)), ENOENT);
	c = store_change_new(f->s);
	add_file_message(f, c, ID(1), SLICE_LIT("body"));
	assert_int_equal(commit(f, &c), 0);
	expect_message(f, ID(1), SLICE_LIT("body"));
}

static void
test_the_file_of_a_failed_commit_is_removed(void **state)
{
	struct fixture *f = *state;
	struct store_change *c = store_change_new(f->s);

	arm("store.commit=ENOSPC");
	add_file_message(f, c, ID(1), SLICE_LIT("body"));
	assert_int_equal(commit(f, &c), ENOSPC);
	fixture_reopen(f);
	clock_ahead(120000);
	expect_clean(f);
	clock_ahead(0);
}

/* The disk is full for real, as far as this process can tell: files may not
 * grow.  What is there can be settled, and then there is room again. */
static void
test_a_full_disk_is_survived(void **state)
{
	struct fixture *f = *state;
	struct rlimit old, rl;
	struct store_change *c;
	uint64_t n;
	int code = 0;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	rl = old;
	rl.rlim_cur = 80u << 20;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &rl), 0);
	for (n = 1; n < 2000 && code == 0; n++) {
		c = store_change_new(f->s);
		add_message(c, ID(n), make_body(100000, (unsigned)n));
		code = commit(f, &c);
	}
	n -= 2;
	assert_true(code == ENOSPC || code == EIO);
	assert_int_equal(store_total(f->s), n);
	expect_message(f, ID(n), make_body(100000, (unsigned)n));
	for (; n > 10; n--) {
		c = store_change_new(f->s);
		remove_message(f, c, ID(n));
		assert_int_equal(commit(f, &c), 0);
	}
	put_message(f, ID(3000), make_body(100000, 1));
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	signal(SIGXFSZ, SIG_DFL);
	fixture_reopen(f);
	assert_int_equal(store_total(f->s), 11);
	expect_clean(f);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_nothing_acknowledged_is_lost_by_a_kill),
		TEST(test_nothing_is_lost_at_any_fault_point),
		TEST(test_a_kill_during_creation_leaves_a_spool_that_opens),
		TEST(test_settling_goes_on_when_new_mail_finds_no_room),
		TEST(test_settling_goes_on_after_a_failed_write),
		TEST(test_a_failed_commit_without_new_mail_fails),
		TEST(test_a_body_that_cannot_be_synced_is_refused),
		TEST(test_the_file_of_a_failed_commit_is_removed),
		TEST(test_a_full_disk_is_survived),
	};

	return cmocka_run_group_tests(tests, clock_ahead_setup,
	    clock_ahead_teardown);
}
