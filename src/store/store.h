/* The queue on disk: one LMDB environment with a writer thread of its own,
 * and spool files for large bodies.  All functions belong to the loop's
 * thread; the writer and its sync helpers are inside.
 *
 * Layout (schema 1), integers big-endian in keys:
 *   message   id8               record state + small body
 *   body      id8 part4         octets, values of n*4096-16
 *   due       lane4 time8 id8   empty; lane with STORE_LEASED set: in flight,
 *                               time is then the fallback's
 *   lane      lane4             version, key text, state octets
 *   history   time8 id8         finished deliveries
 *   quarantine id8              what could not be read, as it was
 *   meta      name              "schema", "counters", "due" and a lane...
 * Large bodies: SPOOL/xx/ID, xx the bits 32 to 39 of the id in hex.
 * A due entry (lane, time, id) stands for the pending recipients of the
 * message whose record says that lane (flag included) and that due time.
 *
 * Writing: a change gathers mutations that are applied all or not at all;
 * store_commit() queues it, the writer puts all that wait into ONE
 * transaction, and the callback runs on the loop once it is durable (or has
 * failed).  There is no timer: while one commit runs the next batch gathers.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "base/strbuf.h"
#include "store/record.h"

struct store;
struct store_change;

#define STORE_LEASED 0x80000000u	/* flag in a due key's lane */
#define STORE_LANE_MAX 0x7fffffffu

/* Bodies up to this many octets stay in the record's value, as far as that
 * fits in a page beside others; up to the second they are in table body, where
 * a new state does not have to copy them; larger ones come as files. */
#define STORE_SMALL_BODY 1280u
#define STORE_INLINE_MAX (128u * 1024)

/* More history than this is trimmed by store_sweep, the oldest first. */
#define STORE_HISTORY_MAX 500000u

struct store_options {
	const char *spool;		/* the spool directory */
	bool read_only;			/* relayctl on a stopped daemon */
	/* Called when completions wait, from other threads and from within
	 * store_commit(): the owner then calls store_complete() on its loop.
	 * At most once until it has done so. */
	void (*wake)(void *arg);
	void *wake_arg;
	size_t map_size;		/* 0: as large as is good */
	/* Of store_memory_fd(), owned by the store; 0: it asks by itself,
	 * which a confined process may not. */
	int memory_fd;
};

/* To be called before the process is confined: how the store watches what it
 * has in memory.  -1: it cannot, and its map of the database may stay in
 * memory as far as the kernel likes. */
int store_memory_fd(void);

/* Opens or creates; makes and preallocates the environment (64 MiB), checks
 * the schema.  NULL with a text that says what to do: a second daemon on the
 * spool (a lock file), a newer schema, a truncated data file (checked before
 * LMDB touches a page: no SIGBUS), no permission, no room. */
struct store *store_open(const struct store_options *o, struct err *e);
/* Waits for what was committed, runs its callbacks, then closes. */
void store_close(struct store **s);

/* ---- changes ---- */

struct store_change *store_change_new(struct store *s);
void store_change_drop(struct store_change **c);	/* not committed */

/* A new message with its body: small ones into the record's value, others in
 * parts (r->body_kind is set by this).  Fails as a change with EEXIST when
 * the id is taken, with EILSEQ when r->body_size or body_crc were set and are
 * not those of body; sets them.  Copies what it needs. */
void store_new_message(struct store_change *c, struct record *r,
    struct slice body);
/* The same with a body that was written to a descriptor of store_body_file();
 * owns and closes fd.  Length and CRC are checked (EILSEQ), file, link and
 * directory synced by the helpers before the change joins a batch. */
void store_new_message_file(struct store_change *c, struct record *r, int fd);
/* New state of a message that is there (else the change fails with ENOENT);
 * its body stays. */
void store_put_state(struct store_change *c, const struct record *r);
/* Removes record, body parts or file (the file after the commit). */
void store_delete(struct store_change *c, const struct record *r);
void store_due_add(struct store_change *c, uint32_t lane, uint64_t time,
    uint64_t id);
void store_due_del(struct store_change *c, uint32_t lane, uint64_t time,
    uint64_t id);
void store_put_history(struct store_change *c, uint64_t time, uint64_t id,
    struct slice value);
void store_put_lane(struct store_change *c, uint32_t lane, struct slice key,
    struct slice state);
void store_del_lane(struct store_change *c, uint32_t lane);
/* A note by name (at most 500 octets; longer ones fail the change with
 * EINVAL), for what belongs to no message.  Names of the store itself are
 * "schema" and "counters". */
void store_put_meta(struct store_change *c, const char *name,
    struct slice value);
void store_del_meta(struct store_change *c, const char *name);
/* Puts the raw value aside and takes the message and its due entries out of
 * the queue (they are searched for, as the record may not tell them, but not
 * in a long queue: an entry without a message is nothing to act on, and whoever
 * meets it takes it out); its body parts or file stay.  Where it was still there, one is taken off that
 * counter (COUNT_KINDS: off none): more than one change may come for the same
 * message. */
enum store_count { COUNT_QUEUED, COUNT_DEFERRED, COUNT_HELD, COUNT_KINDS };
void store_quarantine(struct store_change *c, uint64_t id,
    enum store_count counted);
/* Persistent counters, part of the change. */
void store_count(struct store_change *c, enum store_count which, int delta);

/* code 0: durable.  ENOSPC, EEXIST, EIO...: nothing of this change was done
 * (others of the batch are not harmed by it). */
typedef void store_done(void *arg, int code, const char *text);

/* Takes the change over.  lazy: it may wait up to 5 ms for another change to
 * share a commit with.  Callbacks run in order of commit. */
void store_commit(struct store *s, struct store_change **c, bool lazy,
    store_done *done, void *arg);
/* Runs the callbacks that wait; called by the owner's loop after wake. */
void store_complete(struct store *s);
/* Changes not yet completed. */
size_t store_in_flight(const struct store *s);
/* While corked, what is committed gathers without waking the writer: put
 * around the handling of many messages in one turn of the loop, so that they
 * share one commit from the first on.  Not nested. */
void store_cork(struct store *s, bool on);
/* True once the database has failed in a way that only a restart mends (the
 * disk refused the last page of a commit): all changes fail with EIO then,
 * and the owner should end. */
bool store_dead(const struct store *s);

/* ---- reading: short read transactions, no I/O inside but page faults ---- */

/* 0, or -1 with ENOENT, EILSEQ (damaged), ENOTSUP.  The caller frees *r. */
int store_get(struct store *s, uint64_t id, struct record **r,
    struct err *e);
/* The same with the body in *body (BODY_RECORD, BODY_PARTS); checks length
 * and CRC. */
int store_get_body(struct store *s, uint64_t id, struct record **r,
    struct strbuf *body, struct err *e);
/* A read-only descriptor of a BODY_FILE; -1. */
int store_open_body(struct store *s, const struct record *r, struct err *e);
/* An unnamed file in the spool for a large body (O_TMPFILE); -1. */
int store_body_file(struct store *s, struct err *e);

struct store_due {
	uint32_t lane;
	uint64_t time;
	uint64_t id;
};
/* Up to max entries of one lane (flag included) with time <= until, in order,
 * strictly after *after where it is not NULL.  Returns how many. */
size_t store_due_scan(struct store *s, uint32_t lane, uint64_t until,
    const struct store_due *after, struct store_due *out, size_t max);
/* The first entry of the first lane above `lane` (flag included: 0 begins);
 * false: none.  Walks lanes, not messages. */
bool store_due_next_lane(struct store *s, uint32_t lane,
    struct store_due *first);

/* Entries of one lane (flag included), kept as they come and go: it costs the
 * same however many there are. */
uint64_t store_due_count(struct store *s, uint32_t lane);

/* Up to max message ids above `after`, in order of arrival. */
size_t store_list(struct store *s, uint64_t after, uint64_t *ids,
    size_t max);
bool store_oldest(struct store *s, uint64_t *id);
/* The same as store_list for what is in quarantine. */
size_t store_list_quarantine(struct store *s, uint64_t after, uint64_t *ids,
    size_t max);
uint64_t store_total(struct store *s);
int64_t store_counter(struct store *s, enum store_count which);
/* Calls with each lane's record; damaged ones are left out. */
void store_each_lane(struct store *s, void (*each)(void *arg, uint32_t lane,
    struct slice key, struct slice state), void *arg);
/* Calls with each note whose name begins so; what it does may not change the
 * store. */
void store_each_meta(struct store *s, const char *prefix,
    void (*each)(void *arg, struct slice name, struct slice value),
    void *arg);
/* Up to max history values from (time, id) on, newest first when backward. */
typedef bool store_history_each(void *arg, uint64_t time, uint64_t id,
    struct slice value);
void store_history(struct store *s, uint64_t since, bool backward,
    store_history_each *each, void *arg);

/* Transactions since the store was opened, their time, and how many changes
 * shared each; the buckets count those up to the bound and not up to the one
 * before, the last those beyond all. */
#define STORE_COMMIT_BOUNDS 10
struct store_commits {
	uint64_t n, us, changes;
	uint64_t by_time[STORE_COMMIT_BOUNDS + 1];
	uint64_t by_changes[STORE_COMMIT_BOUNDS + 1];
};
extern const uint32_t store_commit_us[STORE_COMMIT_BOUNDS];
extern const uint32_t store_commit_changes[STORE_COMMIT_BOUNDS];
void store_commits(struct store *s, struct store_commits *out);

/* ---- house keeping ---- */

/* Removes a bounded number of spool files that no record names, and history
 * beyond its age and size; call now and then from a timer.  Returns true
 * while there is more to do: call it again soon, but after store_complete()
 * had its turn (never in a loop). */
bool store_sweep(struct store *s, uint64_t history_before);
/* Octets free for new mail, on the spool's file system (statvfs) and within
 * the database's file, which stays as large as it has ever been; and the file
 * system's size.  Cached for a few milliseconds. */
uint64_t store_free_octets(struct store *s, uint64_t *size);
/* The same for a body's file, which finds no room in the database. */
uint64_t store_free_for_files(struct store *s);
/* store_verify() and store_backup() tell now and then how many messages they
 * are done with. */
void store_on_progress(struct store *s, void (*progress)(void *arg,
    uint64_t done), void *arg);
/* Checks every record, CRC, due entry (each points to a pending recipient;
 * each pending recipient that is not held has one), part and file; one line
 * of text per finding.  Returns the number of findings. */
size_t store_verify(struct store *s, void (*finding)(void *arg,
    const char *text), void *arg);

#endif
