/* Small file helpers: everything that must be whole or not there. */
#ifndef BASE_FS_H
#define BASE_FS_H

#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/strbuf.h"

/* Writes all n octets, going on after EINTR and short writes; -1 and errno. */
int fs_write_all(int fd, const void *p, size_t n);
/* Reads exactly n octets at the offset; -1 and errno (EIO when the file is
 * shorter). */
int fs_pread_all(int fd, void *p, size_t n, off_t offset);
/* Appends the whole file, at most max octets (more is an error). */
int fs_read_file(const char *path, size_t max, struct strbuf *out,
    struct err *e);
/* The same, of what is open and where it stands; path is for errors. */
int fs_read_rest(int fd, const char *path, size_t max, struct strbuf *out,
    struct err *e);
/* mkdir where it is missing; mode set in any case when it was made here;
 * uid/gid (uid_t)-1: left. */
int fs_make_dir(const char *path, mode_t mode, uid_t uid, gid_t gid,
    struct err *e);
int fs_set_cloexec(int fd, int on);
int fs_set_nonblock(int fd, int on);

#endif
