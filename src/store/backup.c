/* Backups of the queue as tar archives (POSIX.1-1988 headers, sizes beyond
 * 8 GiB in base 256 as GNU tar has them).  Used by relayctl on a store that
 * is open for reading; anything that fails ends the backup.
 */
#include "store/backup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "store/internal.h"
#include "store/spool.h"

#define BLOCK 512
#define STEP (256u * 1024)
#define SLICE 500u
#define OCTAL_MAX (((uint64_t)1 << 33) - 1)

struct header {				/* as it stands in the archive */
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12],
	    sum[8], type, link[100], magic[6], version[2], user[32],
	    group[32], major[8], minor[8], prefix[155], pad[12];
};

/* ---- the archive ---- */

static void
set_size(struct header *h, uint64_t size)
{
	size_t i;

	if (size <= OCTAL_MAX) {
		snprintf(h->size, sizeof(h->size), "%011llo",
		    (unsigned long long)size);
		return;
	}
	h->size[0] = (char)0x80;
	for (i = sizeof(h->size) - 1; i > 0; i--, size >>= 8)
		h->size[i] = (char)(size & 0xff);
}

static int
put_header(int fd, off_t at, const char *name, char type, uint64_t size,
    struct err *e)
{
	const unsigned char *p;
	struct header h;
	unsigned sum = 0;
	size_t i;

	_Static_assert(sizeof(h) == BLOCK, "a header is a block");
	memset(&h, 0, sizeof(h));
	snprintf(h.name, sizeof(h.name), "%s", name);
	memcpy(h.mode, type == '5' ? "0000700" : "0000600", 8);
	memcpy(h.uid, "0000000", 8);
	memcpy(h.gid, "0000000", 8);
	set_size(&h, size);
	snprintf(h.mtime, sizeof(h.mtime), "%011llo",
	    (unsigned long long)time(NULL) & OCTAL_MAX);
	h.type = type;
	memcpy(h.magic, "ustar", 6);
	memcpy(h.version, "00", 2);
	memset(h.sum, ' ', sizeof(h.sum));
	for (p = (const unsigned char *)&h, i = 0; i < BLOCK; i++)
		sum += p[i];
	snprintf(h.sum, sizeof(h.sum), "%06o", sum);
	if (pwrite(fd, &h, BLOCK, at) != BLOCK)
		return err_errno(e, "writing");
	return 0;
}

/* Fills up to a whole block; the file's position is at its end then. */
static int
put_padding(int fd, uint64_t size, struct err *e)
{
	static const char zero[BLOCK];
	size_t n = (size_t)(size % BLOCK);

	if (n > 0 && fs_write_all(fd, zero, BLOCK - n) < 0)
		return err_errno(e, "writing");
	return 0;
}

static int
put_dir(int fd, const char *name, struct err *e)
{
	off_t at = lseek(fd, 0, SEEK_END);

	if (at < 0 || put_header(fd, at, name, '5', 0, e) < 0)
		return -1;
	return lseek(fd, 0, SEEK_END) < 0 ? err_errno(e, "seeking") : 0;
}

/* ---- what goes in ---- */

/* Its length is known when it is written: the header comes last. */
static int
put_database(struct store *s, int fd, struct err *e)
{
	off_t start, end;
	int rc;

	start = lseek(fd, 0, SEEK_END);
	if (start < 0 || lseek(fd, start + BLOCK, SEEK_SET) < 0)
		return err_errno(e, "seeking");
	rc = mdb_env_copyfd2(s->db.env, fd, MDB_CP_COMPACT);
	if (rc != 0)
		return err_set(e, rc > 0 ? rc : EIO, "copying the queue: %s",
		    db_strerror(rc));
	end = lseek(fd, 0, SEEK_END);
	if (end < start + BLOCK)
		return err_set(e, EIO, "copying the queue: too short");
	if (put_header(fd, start, "queue/data.mdb", '0',
	    (uint64_t)(end - start - BLOCK), e) < 0)
		return -1;
	return put_padding(fd, (uint64_t)(end - start - BLOCK), e);
}

static int
copy_octets(int from, int to, uint64_t size, struct err *e)
{
	char *buf = mem_alloc(STEP);
	uint64_t left = size;
	ssize_t n = 0;
	int rc = 0;

	while (rc == 0 && left > 0) {
		n = read(from, buf, left < STEP ? (size_t)left : STEP);
		if (n <= 0)
			rc = n < 0 ? err_errno(e, "reading a body") :
			    err_set(e, EIO, "a body file is too short");
		else if (fs_write_all(to, buf, (size_t)n) < 0)
			rc = err_errno(e, "writing");
		else
			left -= (uint64_t)n;
	}
	free(buf);
	return rc;
}

static int
put_file(struct store *s, int fd, const struct record *r,
    void (*missing)(void *arg, const char *text), void *arg, struct err *e)
{
	char dir[3], id[NUM_ID_LEN + 1], name[32], text[80];
	struct stat st;
	struct err why;
	off_t at;
	int body = store_open_body(s, r, &why), rc = -1;

	spool_name(r->env->id, dir, id);
	if (body < 0) {
		snprintf(text, sizeof(text), "%s: its body is gone (finished "
		    "meanwhile?)", id);
		missing(arg, text);
		return 0;
	}
	snprintf(name, sizeof(name), "%s/%s", dir, id);
	at = lseek(fd, 0, SEEK_END);
	if (at < 0 || fstat(body, &st) < 0)
		err_errno(e, "%s", name);
	else if (put_header(fd, at, name, '0', (uint64_t)st.st_size,
	    e) == 0 && lseek(fd, 0, SEEK_END) >= 0 && copy_octets(body, fd,
	    (uint64_t)st.st_size, e) == 0)
		rc = put_padding(fd, (uint64_t)st.st_size, e);
	close(body);
	return rc;
}

/* The directory once, in front of its first file: ids of one directory need
 * not come together. */
static int
put_body(struct store *s, int fd, uint64_t id, bool *dirs,
    void (*missing)(void *arg, const char *text), void *arg, struct err *e)
{
	struct record *r = NULL;
	struct err why;
	char dir[3], name[NUM_ID_LEN + 1], entry[4];
	unsigned number;
	int rc = 0;

	if (store_get(s, id, &r, &why) < 0)
		return 0;		/* is in the copy as it was */
	if (r->body_kind == BODY_FILE) {
		spool_name(id, dir, name);
		number = (unsigned)strtoul(dir, NULL, 16) % SPOOL_DIRS;
		snprintf(entry, sizeof(entry), "%s/", dir);
		if (!dirs[number])
			rc = put_dir(fd, entry, e);
		dirs[number] = true;
		if (rc == 0)
			rc = put_file(s, fd, r, missing, arg, e);
	}
	record_free(&r);
	return rc;
}

int
store_backup(struct store *s, int fd, void (*missing)(void *arg,
    const char *text), void *arg, struct err *e)
{
	static const char zero[2 * BLOCK];
	uint64_t *ids = mem_zarray(SLICE, sizeof(*ids)), last = 0, done = 0;
	bool dirs[SPOOL_DIRS] = { false };
	size_t i, n;
	int rc;

	rc = put_dir(fd, "queue/", e);
	if (rc == 0)
		rc = put_database(s, fd, e);
	while (rc == 0 && (n = store_list(s, last, ids, SLICE)) > 0) {
		for (i = 0; rc == 0 && i < n; i++)
			rc = put_body(s, fd, ids[i], dirs, missing, arg, e);
		last = ids[n - 1];
		store_tell_progress(s, done += n);
	}
	free(ids);
	if (rc == 0 && fs_write_all(fd, zero, sizeof(zero)) < 0)
		rc = err_errno(e, "writing");
	return rc;
}
