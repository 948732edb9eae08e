/* What the crash tests see of a spool, with the store's own code: of one that
 * is at work, of one whose daemon is dead, of one put together from a log of
 * writes.  A process for each look: nothing of it stays in the environment.
 *
 *	look list SPOOL	  m ID KIND SIZE, then a line for each recipient:
 *			  r ID INDEX STATE LEASED ADDRESS; each body is read
 *			  h ID STATE...: a finished delivery, its recipients
 *			  q ID: in quarantine
 *			  bad ID TEXT: what cannot be read
 *	look leased SPOOL r lines of what is in flight; bodies are not read
 *	look verify SPOOL one finding a line
 *	look sweep SPOOL  removes orphans, then as verify; nobody else may
 *			  work on the spool
 *
 * Exit status 0: looked; 1: the store cannot be opened.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crc.h"
#include "base/fault.h"
#include "base/num.h"
#include "store/store.h"

#define FEW 500

static const char *
text_of(uint64_t id)
{
	static char text[NUM_ID_LEN + 1];

	num_id_text(id, text);
	return text;
}

static void
show_recipient(const struct record *r, size_t i)
{
	static const char *const state[] = { "pending", "delivered", "failed",
	    "expired" };
	const struct record_rcpt *rc = &r->rcpt[i];

	printf("r %s %zu %s %d %s\n", text_of(r->env->id), i,
	    rc->state < 4 ? state[rc->state] : "?",
	    (rc->lane & STORE_LEASED) != 0, r->env->recipients[i].address);
}

/* Its file goes after its record. */
static bool
still_there(struct store *s, uint64_t id)
{
	struct err e = { 0, "" };
	struct record *r = NULL;
	bool there = store_get(s, id, &r, &e) == 0;

	record_free(&r);
	return there;
}

static void
check_file(struct store *s, const struct record *r)
{
	static char buf[256 * 1024];
	struct err e = { 0, "" };
	uint64_t size = 0;
	uint32_t crc = 0;
	ssize_t n = 0;
	int fd = store_open_body(s, r, &e);

	if (fd < 0) {
		if (e.code != ENOENT || still_there(s, r->env->id))
			printf("bad %s %s\n", text_of(r->env->id), e.text);
		return;
	}
	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		crc = crc32c(crc, buf, (size_t)n);
		size += (uint64_t)n;
	}
	close(fd);
	if (size != r->body_size || crc != r->body_crc)
		printf("bad %s its file has %" PRIu64 " octets of %" PRIu64
		    ", or others\n", text_of(r->env->id), size,
		    r->body_size);
}

static void
show_message(struct store *s, uint64_t id)
{
	static const char *const kind[] = { "record", "parts", "file" };
	struct strbuf body = STRBUF_INIT;
	struct err e = { 0, "" };
	struct record *r = NULL;
	size_t i;

	if (store_get(s, id, &r, &e) == 0 && r->body_kind != BODY_FILE) {
		record_free(&r);
		(void)store_get_body(s, id, &r, &body, &e);
	}
	if (r == NULL) {
		/* One that has been delivered since it was listed is none. */
		if (e.code != ENOENT)
			printf("bad %s %s\n", text_of(id), e.text);
		strbuf_free(&body);
		return;
	}
	if (r->body_kind == BODY_FILE)
		check_file(s, r);
	printf("m %s %s %" PRIu64 "\n", text_of(id),
	    r->body_kind < 3 ? kind[r->body_kind] : "?", r->body_size);
	for (i = 0; i < r->env->recipient_count; i++)
		show_recipient(r, i);
	record_free(&r);
	strbuf_free(&body);
}

/* The states of the recipients, out of the JSON that queue has written. */
static bool
show_history(void *arg, uint64_t time, uint64_t id, struct slice value)
{
	static const char key[] = "\"address\":\"";
	const char *p = value.p, *end = value.p + value.n, *q;

	(void)arg;
	(void)time;
	printf("h %s", text_of(id));
	while ((p = memmem(p, (size_t)(end - p), key, sizeof(key) - 1)) !=
	    NULL) {
		p += sizeof(key) - 1;
		q = memchr(p, '"', (size_t)(end - p));
		if (q == NULL)
			break;
		printf(" %.*s", (int)(q - p), p);
		p = q;
	}
	putchar('\n');
	return true;
}

static void
list(struct store *s)
{
	uint64_t ids[FEW], last = 0;
	size_t i, n;

	while ((n = store_list(s, last, ids, FEW)) > 0) {
		for (i = 0; i < n; i++)
			show_message(s, ids[i]);
		last = ids[n - 1];
	}
	last = 0;
	while ((n = store_list_quarantine(s, last, ids, FEW)) > 0) {
		for (i = 0; i < n; i++)
			printf("q %s\n", text_of(ids[i]));
		last = ids[n - 1];
	}
	store_history(s, 0, false, show_history, NULL);
}

static void
leased_lane(struct store *s, uint32_t lane)
{
	struct store_due d[FEW], *after = NULL, last;
	struct err e = { 0, "" };
	struct record *r;
	size_t i, k, n;

	do {
		n = store_due_scan(s, lane, UINT64_MAX, after, d, FEW);
		for (k = 0; k < n; k++) {
			r = NULL;
			if (store_get(s, d[k].id, &r, &e) < 0)
				continue;
			for (i = 0; i < r->env->recipient_count; i++)
				if (r->rcpt[i].lane == lane &&
				    r->rcpt[i].due == d[k].time)
					show_recipient(r, i);
			record_free(&r);
		}
		if (n > 0) {
			last = d[n - 1];
			after = &last;
		}
	} while (n == FEW);
}

static void
leased(struct store *s)
{
	struct store_due first;
	uint32_t lane = STORE_LEASED - 1;

	while (store_due_next_lane(s, lane, &first)) {
		lane = first.lane;
		leased_lane(s, lane);
		if (lane == UINT32_MAX)
			break;
	}
}

static void
finding(void *arg, const char *text)
{
	(void)arg;
	printf("%s\n", text);
}

static void
wake(void *arg)
{
	(void)arg;
}

static void
sweep(struct store *s)
{
	while (store_sweep(s, 0)) {
		store_complete(s);
		poll(NULL, 0, 1);
		clock_update();
	}
	store_complete(s);
}

int
main(int argc, char **argv)
{
	struct store_options o = { .wake = wake };
	struct err e = { 0, "" };
	struct store *s;
	bool sweeps = argc == 3 && strcmp(argv[1], "sweep") == 0;

	if (argc != 3) {
		fprintf(stderr, "usage: look list|leased|verify|sweep "
		    "SPOOL\n");
		return 64;
	}
	fault_init();
	clock_update();
	o.spool = argv[2];
	o.read_only = !sweeps;
	s = store_open(&o, &e);
	if (s != NULL && sweeps) {
		sweep(s);
		store_close(&s);	/* the helpers have removed all */
		o.read_only = true;
		s = store_open(&o, &e);
	}
	if (s == NULL) {
		fprintf(stderr, "look: %s\n", e.text);
		return 1;
	}
	if (strcmp(argv[1], "list") == 0)
		list(s);
	else if (strcmp(argv[1], "leased") == 0)
		leased(s);
	else
		(void)store_verify(s, finding, NULL);
	store_close(&s);
	return 0;
}
