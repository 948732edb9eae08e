/* Looks at data.mdb before LMDB maps it, for queue and relayctl: a file that
 * is shorter than its own meta page says would end the process with SIGBUS at
 * the first page that is missing.
 *
 * The numbers are those of LMDB's data version 1 on this machine's byte
 * order: page header 16 octets (flags at 10), then magic, version, address,
 * map size, two table descriptions of 48 octets (the first begins with the
 * page size), last page, transaction id.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "store/db.h"

#define META_MAGIC 0xbeefc0deu
#define META_VERSION 1u
#define PAGE_IS_META 0x08

struct meta {
	uint32_t magic, version;
	uint32_t page_size;
	uint64_t last_page, txn;
};

static void
meta_parse(const unsigned char *p, struct meta *m)
{
	memcpy(&m->magic, p + 16, 4);
	memcpy(&m->version, p + 20, 4);
	memcpy(&m->page_size, p + 40, 4);
	memcpy(&m->last_page, p + 136, 8);
	memcpy(&m->txn, p + 144, 8);
}

static bool
meta_good(const unsigned char *p, const struct meta *m)
{
	return (p[10] & PAGE_IS_META) != 0 && m->magic == META_MAGIC &&
	    m->version == META_VERSION && m->page_size >= 512 &&
	    m->page_size <= 65536 &&
	    (m->page_size & (m->page_size - 1)) == 0;
}

static int
meta_read(int fd, off_t at, struct meta *m)
{
	unsigned char page[152];

	if (fs_pread_all(fd, page, sizeof(page), at) < 0)
		return -1;
	meta_parse(page, m);
	return meta_good(page, m) ? 0 : -1;
}

static int
check_fd(int fd, const char *path, struct err *e)
{
	struct meta m[2];
	struct stat st;
	uint64_t need;

	if (fstat(fd, &st) < 0)
		return err_errno(e, "%s", path);
	if (st.st_size == 0)
		return 0;
	if (sizeof(size_t) != 8)
		return 0;
	if (meta_read(fd, 0, &m[0]) < 0 ||
	    meta_read(fd, (off_t)m[0].page_size, &m[1]) < 0)
		return err_set(e, EILSEQ, "%s is damaged or not a queue: "
		    "restore it, or move it away to begin an empty queue",
		    path);
	/* The length after the meta pages: the file only grows. */
	if (fstat(fd, &st) < 0)
		return err_errno(e, "%s", path);
	need = m[m[1].txn > m[0].txn].last_page;
	if (need >= UINT64_MAX / 65536 ||
	    (uint64_t)st.st_size < (need + 1) * m[0].page_size)
		return err_set(e, EILSEQ, "%s is truncated: %llu octets of "
		    "%llu are there; restore it, or move it away to begin an "
		    "empty queue", path, (unsigned long long)st.st_size,
		    (unsigned long long)((need + 1) * m[0].page_size));
	return 0;
}

int
db_check_file(const char *path, struct err *e)
{
	int fd, rc;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : err_errno(e, "%s", path);
	rc = check_fd(fd, path, e);
	close(fd);
	return rc;
}
