/* How db_open.c and db_create.c share the opening of an environment. */
#ifndef STORE_DB_CREATE_H
#define STORE_DB_CREATE_H

#include "store/db.h"

#define DB_SCHEMA 1u

extern const char *const db_table_name[DB_TABLES];

/* Makes data.mdb in dir, whole or not at all. */
int db_create(const char *dir, struct err *e);
/* mdb_env_open with the largest map that this process may have. */
int db_env_open(struct db *db, const char *dir, bool read_only,
    size_t map_size, struct err *e);

#endif
