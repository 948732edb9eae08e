/* A spool of its own for each test, and changes that are waited for. */
#ifndef TEST_STORE_FIXTURE_H
#define TEST_STORE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/slice.h"
#include "store/store.h"

#define LANE 7u
#define ID(n) (((uint64_t)1795000000000 << 22) + (n))
#define DUE 1795000100000u

struct fixture {
	char dir[64];			/* the spool */
	int event;
	struct store *s;
};

struct result {
	int code;
	char text[200];
	bool done;
};

int fixture_setup(void **state);
int fixture_teardown(void **state);
/* Opens, or opens again; the first must succeed, the second may fail. */
void fixture_open(struct fixture *f, bool read_only);
struct store *fixture_try_open(struct fixture *f, bool read_only,
    size_t map_size, struct err *e);
void fixture_reopen(struct fixture *f);

/* A store_done for a struct result. */
void note_result(void *arg, int code, const char *text);
void wait_for(struct fixture *f, const struct result *r);
/* Commits, waits, and returns the code. */
int commit(struct fixture *f, struct store_change **c);

/* One pending recipient, due in LANE at DUE; body_size and body_crc are those
 * of the body. */
struct record *make_record(uint64_t id, struct slice body);
/* n octets that differ by seed; valid until the next call. */
struct slice make_body(size_t n, unsigned seed);
/* What a new message needs to be whole: record, body, due entry. */
void add_message(struct store_change *c, uint64_t id, struct slice body);
void add_file_message(struct fixture *f, struct store_change *c, uint64_t id,
    struct slice body);
/* The same, committed by itself. */
void put_message(struct fixture *f, uint64_t id, struct slice body);
/* Takes it out again as a settled one. */
void remove_message(struct fixture *f, struct store_change *c, uint64_t id);
/* Asserts that the message is there with this body. */
void expect_message(struct fixture *f, uint64_t id, struct slice body);
int get_code(struct fixture *f, uint64_t id);

/* The number of findings; the texts are joined in `text`. */
size_t verify(struct fixture *f, char *text, size_t n);
void expect_clean(struct fixture *f);

/* Changes what the store would never do, while it is closed. */
void raw_put(struct fixture *f, const char *table, struct slice key,
    struct slice value);
void raw_del(struct fixture *f, const char *table, struct slice key);
size_t raw_get(struct fixture *f, const char *table, struct slice key,
    char *out, size_t n);

#endif
