/* A copy of a whole queue, taken while a daemon may be at work on it. */
#ifndef STORE_BACKUP_H
#define STORE_BACKUP_H

#include "store/store.h"

/* Writes a tar archive to a regular file (fd at its beginning): the database
 * as of one moment, compacted, then the bodies that are files.  Unpacked into
 * an empty spool directory it is that queue again.  A message that the daemon
 * finishes meanwhile may have no file any more: missing() tells, and after a
 * restore that message goes to quarantine instead of out once more.  -1 with
 * *e when something cannot be read or written. */
int store_backup(struct store *s, int fd, void (*missing)(void *arg,
    const char *text), void *arg, struct err *e);

#endif
