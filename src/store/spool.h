/* Names, directories and files of large bodies; see spool.c. */
#ifndef STORE_SPOOL_H
#define STORE_SPOOL_H

#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/num.h"

struct store;
struct body_file;

#define SPOOL_DIRS 256
#define SPOOL_PATH (2 + 1 + NUM_ID_LEN + 1)

void spool_name(uint64_t id, char dir[3], char name[NUM_ID_LEN + 1]);
/* The directory of an id, made where it is missing; -1. */
int spool_dir(struct store *s, uint64_t id, struct err *e);
/* Length and CRC of a file that is to be linked. */
int spool_check(const struct body_file *f, struct err *e);
/* Sets f->linked; EEXIST when the name is taken. */
int spool_link(struct store *s, struct body_file *f, struct err *e);
int spool_open(struct store *s, uint64_t id, struct err *e);
void spool_unlink(struct store *s, uint64_t id);
/* Files that no record names are let alone for so long by the sweep, and are
 * a finding of verify once the sweep has had the time to pass. */
#define SPOOL_ORPHAN_MS (60u * 1000)
#define SPOOL_STALE_MS (15u * 60 * 1000)
/* One of the 256 directories (the number is xx), NULL where it is missing. */
DIR *spool_dir_stream(struct store *s, unsigned dir);
/* Whether the file in it is an orphan of at least that age; sets *id. */
bool spool_is_orphan(struct store *s, int dir_fd, const char *file,
    unsigned dir, uint64_t min_age_ms, uint64_t *id);
/* Temporary names of an earlier run. */
void spool_clear_tmp(struct store *s);

#endif
