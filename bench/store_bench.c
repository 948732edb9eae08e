/* How many messages a second the store takes and settles durably, by the
 * number that share a commit, with the CPU time of the whole process.
 *
 *	store_bench [DIRECTORY [SECONDS]]
 *
 * A message is 4 KiB; taking it is its record and a due entry, settling it is
 * its deletion, that of the due entry, and a line of history.  SECONDS is the
 * time for each line of the table.
 */
#include <ftw.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crc.h"
#include "base/mem.h"
#include "store/store.h"

#define BODY 4096
#define LARGE (1024u * 1024)
#define LANE 7

struct bench {
	struct store *s;
	int event;
	uint64_t next_id;
	size_t waiting;
	char body[BODY];
	char *large;
};

static void
die(const char *what, const char *text)
{
	fprintf(stderr, "store_bench: %s: %s\n", what, text);
	exit(1);
}

static void
wake(void *arg)
{
	const struct bench *b = arg;
	uint64_t one = 1;

	if (write(b->event, &one, sizeof(one)) < 0)
		die("eventfd", "cannot write");
}

static void
done(void *arg, int code, const char *text)
{
	struct bench *b = arg;

	if (code != 0)
		die("commit", text);
	b->waiting--;
}

static void
wait_all(struct bench *b)
{
	struct pollfd p = { .fd = b->event, .events = POLLIN };
	uint64_t n;

	while (b->waiting > 0) {
		if (poll(&p, 1, 10000) != 1)
			die("commit", "no answer within 10 s");
		if (read(b->event, &n, sizeof(n)) < 0)
			die("eventfd", "cannot read");
		store_complete(b->s);
	}
}

static struct record *
make_record(uint64_t id, size_t size, uint32_t crc)
{
	struct envelope *env = envelope_new();
	struct record *r;

	env->id = id;
	env->received_ms = 1795000000000;
	env->size = size;
	env->crc = crc;
	envelope_set(&env->from, slice_cstr("sender@device.example"));
	envelope_set(&env->helo, slice_cstr("device.example"));
	envelope_set(&env->client, slice_cstr("192.0.2.17"));
	envelope_add_recipient(env, slice_cstr("somebody@example.org"), 0,
	    slice_of(NULL, 0));
	r = record_new(env);
	r->rcpt[0].lane = LANE;
	r->rcpt[0].due = id;
	r->rcpt[0].attempts = 1;
	return r;
}

static void
take(struct bench *b, struct record *r)
{
	struct store_change *c = store_change_new(b->s);

	store_new_message(c, r, slice_of(b->body, BODY));
	store_due_add(c, LANE | STORE_LEASED, r->env->id, r->env->id);
	store_count(c, COUNT_QUEUED, 1);
	b->waiting++;
	store_commit(b->s, &c, false, done, b);
}

static void
settle(struct bench *b, const struct record *r)
{
	static const char line[] = "to=<somebody@example.org> relay=mx."
	    "example.org[192.0.2.1]:25 dsn=2.0.0 status=sent (250 2.0.0 Ok: "
	    "queued as 4Zg5Xk0xyzz9rr)";
	struct store_change *c = store_change_new(b->s);

	store_delete(c, r);
	store_due_del(c, LANE | STORE_LEASED, r->env->id, r->env->id);
	store_put_history(c, r->env->received_ms, r->env->id,
	    slice_of(line, sizeof(line) - 1));
	store_count(c, COUNT_QUEUED, -1);
	b->waiting++;
	store_commit(b->s, &c, false, done, b);
}

static uint64_t
cpu_us(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 +
	    (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static void
report(const char *what, uint64_t n, uint64_t us, uint64_t cpu)
{
	printf("%-28s %8" PRIu64 " messages/s  %6.1f us of CPU each\n", what,
	    n * 1000000 / (us ? us : 1), (double)cpu / (double)(n ? n : 1));
	fflush(stdout);
}

static void
run_batches(struct bench *b, size_t batch, double seconds)
{
	struct record **r = mem_zarray(batch, sizeof(*r));
	uint64_t start = clock_mono_us(), cpu = cpu_us(), n = 0, now;
	uint32_t crc = crc32c(0, b->body, BODY);
	char what[64];
	size_t i;

	do {
		store_cork(b->s, true);
		for (i = 0; i < batch; i++) {
			r[i] = make_record(b->next_id++, BODY, crc);
			take(b, r[i]);
		}
		store_cork(b->s, false);
		wait_all(b);
		store_cork(b->s, true);
		for (i = 0; i < batch; i++) {
			settle(b, r[i]);
			record_free(&r[i]);
		}
		store_cork(b->s, false);
		wait_all(b);
		n += batch;
		now = clock_mono_us();
	} while ((double)(now - start) < seconds * 1e6);
	snprintf(what, sizeof(what), "4 KiB, %zu per commit", batch);
	report(what, n, now - start, cpu_us() - cpu);
	free(r);
}

static void
take_file(struct bench *b, struct record *r)
{
	struct store_change *c = store_change_new(b->s);
	struct err e;
	int fd = store_body_file(b->s, &e);

	if (fd < 0)
		die("file", e.text);
	if (write(fd, b->large, LARGE) != LARGE)
		die("file", "cannot write");
	store_new_message_file(c, r, fd);
	store_due_add(c, LANE | STORE_LEASED, r->env->id, r->env->id);
	b->waiting++;
	store_commit(b->s, &c, false, done, b);
}

static void
run_files(struct bench *b, size_t batch, double seconds)
{
	struct record **r = mem_zarray(batch, sizeof(*r));
	uint64_t start = clock_mono_us(), cpu = cpu_us(), n = 0, now;
	uint32_t crc = crc32c(0, b->large, LARGE);
	char what[64];
	size_t i;

	do {
		for (i = 0; i < batch; i++) {
			r[i] = make_record(b->next_id++, LARGE, crc);
			take_file(b, r[i]);
		}
		wait_all(b);
		for (i = 0; i < batch; i++) {
			settle(b, r[i]);
			record_free(&r[i]);
		}
		wait_all(b);
		n += batch;
		now = clock_mono_us();
	} while ((double)(now - start) < seconds * 1e6);
	snprintf(what, sizeof(what), "1 MiB files, %zu at a time", batch);
	report(what, n, now - start, cpu_us() - cpu);
	free(r);
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

int
main(int argc, char **argv)
{
	static const size_t sizes[] = { 1, 10, 100, 1000 };
	struct bench b = { .event = eventfd(0, EFD_CLOEXEC) };
	struct store_options o = { .wake = wake, .wake_arg = &b };
	double seconds = argc > 2 ? atof(argv[2]) : 1.0;
	char tmp[] = "store_bench.XXXXXX";
	struct err e;
	size_t i;

	o.spool = argc > 1 ? argv[1] : mkdtemp(tmp);
	if (o.spool == NULL)
		die("directory", "cannot make a temporary one");
	b.s = store_open(&o, &e);
	if (b.s == NULL)
		die("open", e.text);
	b.next_id = (clock_real_ms() << 22) + 1;
	memset(b.body, 'x', sizeof(b.body));
	b.large = mem_alloc(LARGE);
	memset(b.large, 'y', LARGE);
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		run_batches(&b, sizes[i], seconds);
	run_files(&b, 1, seconds);
	run_files(&b, 32, seconds);
	store_close(&b.s);
	free(b.large);
	close(b.event);
	if (argc <= 1)
		nftw(tmp, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return 0;
}
