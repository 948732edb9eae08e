/* What the files of the store share.  The loop's thread owns struct store;
 * what `lock` guards is said there, the rest is of one thread only. */
#ifndef STORE_INTERNAL_H
#define STORE_INTERNAL_H

#include <dirent.h>
#include <pthread.h>
#include <sys/queue.h>

#include "base/htab.h"
#include "store/db.h"
#include "store/store.h"

/* One mutation in a change's arena, followed by key and value. */
enum op_kind {
	OP_PUT,			/* table, key, value */
	OP_DEL,			/* table, key; absent is no error */
	OP_NEW,			/* message: key must not be there */
	OP_STATE,		/* message: new state part, the body stays */
	OP_QUARANTINE		/* message: key; value: enum store_count */
};

struct op {
	uint8_t kind;
	uint8_t table;
	uint16_t key_len;
	uint32_t value_len;
};

struct body_file {
	uint64_t id;
	int fd;
	uint64_t size;
	uint32_t crc;
	bool linked;
};

struct store_change {
	STAILQ_ENTRY(store_change) link;
	struct store *s;
	struct strbuf ops;
	uint32_t n_ops;
	bool lazy;
	bool grows;		/* brings new mail */
	int64_t count[COUNT_KINDS];
	struct body_file *files;
	size_t n_files;
	uint64_t *gone;		/* ids of files to remove after the commit */
	size_t n_gone;
	uint64_t queued_us;
	store_done *done;
	void *arg;
	int code;
	char text[160];
};
STAILQ_HEAD(change_list, store_change);

#define SPOOL_HELPERS 2
#define CHANGE_POOL 256
/* A change whose arena grew beyond this gives it back. */
#define ARENA_KEEP (64u * 1024)
/* One transaction's limits: the dirty pages stay in memory. */
#define BATCH_OPS 20000u
#define BATCH_OCTETS (8u << 20)
#define LAZY_US 5000u
/* More due entries than this are not searched for those of one message. */
#define DROP_DUE_MAX 50000u
#define HELPER_BATCH 32u

struct sweep {
	unsigned dir;		/* 0..255, the next or that of stream */
	DIR *stream;
	bool trimming;		/* a history change is in flight */
};

struct store {
	struct db db;
	char *spool;
	int spool_fd;		/* the spool directory */
	bool read_only;
	void (*wake)(void *arg);
	void *wake_arg;

	/* loop only */
	struct change_list pool;
	size_t pooled;
	size_t in_flight;
	struct htab *linking;	/* ids of body files not yet settled */
	struct sweep sweep;
	void (*progress)(void *arg, uint64_t done);
	void *progress_arg;
	uint64_t free_at, free_octets, db_free_octets, total_octets;

	/* guarded by lock */
	pthread_mutex_t lock;
	pthread_cond_t writer_cond;
	pthread_cond_t helper_cond;
	pthread_cond_t done_cond;
	struct change_list syncing;	/* for the helpers */
	size_t n_syncing;
	struct change_list waiting;	/* for the writer */
	size_t n_urgent;		/* of them, not lazy */
	struct change_list done;	/* for store_complete */
	uint64_t *gone;			/* files to remove */
	size_t n_gone;
	bool writer_idle;		/* it waits, and nobody woke it */
	bool writer_looks;		/* it will by itself within 5 ms */
	bool corked;
	bool closing;			/* somebody waits on done_cond */
	bool stop_helpers, stop_writer;
	struct store_commits commits;

	pthread_mutex_t dir_lock;	/* one makes directories */
	pthread_t writer;
	pthread_t helper[SPOOL_HELPERS];
	unsigned n_threads;		/* helpers, then the writer */
};

uint64_t store_now_us(void);
void store_tell_progress(struct store *s, uint64_t done);

/* change.c: back to the pool; closes what files are still open. */
void change_release(struct store_change *c);
/* Walks the arena: *pos from 0; false at the end. */
bool change_next(const struct store_change *c, size_t *pos, struct op *op,
    struct slice *key, struct slice *value);
void change_del_history(struct store_change *c, uint64_t time, uint64_t id);
void change_fail(struct store_change *c, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* batch.c: applies a list in one transaction; sets each change's code. */
void batch_run(struct store *s, struct change_list *list);

/* due_count.c: what a batch does to the number of entries of each lane */
struct due_count {
	uint32_t lane;
	int64_t delta;
};

struct due_counts {
	struct due_count *v;
	size_t n;
};
void due_counts_add(struct due_counts *c, uint32_t lane, int delta);
void due_counts_clear(struct due_counts *c);
void due_counts_free(struct due_counts *c);
void due_counts_write(struct due_counts *c, struct db_txn *t);
/* Counts anew where the sum is not what the table has; a code of db.h. */
int due_counts_open(struct db *db);
/* Calls with each lane whose number is not that of its entries. */
void due_counts_check(struct db_txn *t, void (*each)(void *arg,
    uint32_t lane, uint64_t there, uint64_t noted), void *arg);

/* writer.c */
void *writer_main(void *arg);
/* Called by any thread with lock held. */
void writer_queue(struct store *s, struct store_change *c);
void writer_finish(struct store *s, struct change_list *list);

/* helper.c */
void *helper_main(void *arg);

/* read.c: whether a record or a quarantined one has this id. */
bool store_knows(struct store *s, uint64_t id);
/* One message out of a transaction; body may be NULL. */
int read_message(struct db_txn *t, uint64_t id, struct record **r,
    struct strbuf *body, struct err *e);

#endif
