/* What is resident of the database's map.  Pages that this process has
 * touched stay in its memory until somebody says otherwise: with a long queue
 * that would be all of it.  Beyond some MiB they are given back; the page
 * cache keeps them, and whoever is in the midst of one gets it back by a
 * fault.  Used by all threads of the store.
 *
 * How much is resident is read from /proc/self/statm, which has to be opened
 * before the process is confined.  Without it nothing is given back.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "store/db.h"

#define RESIDENT_MAX (24ull << 20)

int
db_memory_fd(void)
{
	return open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
}

/* Pages of files (and of shared memory, of which there is none); 0: not
 * known.  "size resident shared ..." */
static uint64_t
resident_pages(const struct db *db)
{
	char text[128], *p;
	ssize_t n;
	int i;

	if (db->memory_fd < 0)
		return 0;
	n = pread(db->memory_fd, text, sizeof(text) - 1, 0);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	for (p = text, i = 0; i < 2 && p != NULL; i++) {
		p = strchr(p, ' ');
		p = p != NULL ? p + 1 : NULL;
	}
	return p != NULL ? strtoull(p, NULL, 10) : 0;
}

/* A commit writes many pages in one call, and the kernel then keeps them in
 * folios of up to 2 MiB: each later write walks all blocks of its folio, each
 * fault maps all pages of it.  What is in the cache already stays as it is,
 * and a hole is read without the disk. */
void
db_small_pages(struct db *db, uint64_t from, uint64_t to)
{
	char page[4096];

	if (db->page_fd < 0)
		return;
	for (; from < to; from += sizeof(page))
		if (pread(db->page_fd, page, sizeof(page), (off_t)from) <= 0)
			return;
}

/* LMDB does not tell where its map is: but each page begins with its number,
 * and a value that is small stands inside of one. */
void
db_map_find(struct db *db, MDB_txn *reader)
{
	MDB_val k = { 6, "schema" }, v;
	MDB_stat st;
	uintptr_t at;
	uint64_t number;

	db->map = NULL;
	if (mdb_env_stat(db->env, &st) != 0 ||
	    mdb_get(reader, db->table[T_META], &k, &v) != 0)
		return;
	at = (uintptr_t)v.mv_data & ~((uintptr_t)st.ms_psize - 1);
	memcpy(&number, (const void *)at, sizeof(number));
	db->map = (char *)(at - (uintptr_t)number * st.ms_psize);
}

void
db_map_trim(struct db *db)
{
	long page = sysconf(_SC_PAGESIZE);
	char *map = db->map;
	MDB_envinfo info;
	MDB_stat st;

	if (map == NULL || resident_pages(db) * (uint64_t)page < RESIDENT_MAX)
		return;
	if (mdb_env_info(db->env, &info) == 0 &&
	    mdb_env_stat(db->env, &st) == 0)
		(void)madvise(map, (info.me_last_pgno + 1) * st.ms_psize,
		    MADV_DONTNEED);
}
