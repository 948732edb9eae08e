/* FILE.expect: what the routes of FILE are expected to do.  One line each:
 *   expect from=A to=B [login=L] [client=IP] [attempts=N] [size=S] [age=D]
 *     -> TRANSPORT...
 * One transport is compared with the first of the choice, several with all
 * of them; the null sender is from=<>. */
#ifndef CONF_EXPECT_H
#define CONF_EXPECT_H

#include "conf/load.h"
#include "conf/route_choice.h"

/* Runs the lines of the file; lines that are wrong and those that do not hold
 * are told in *m as errors, FILE:LINE each.  *passed counts those that hold
 * (may be NULL).  Returns the number of failures, -1 when the file cannot be
 * read (told in *e).  The reader may be NULL. */
int conf_expect_run(const struct conf *conf, const char *path,
    const struct conf_reader *reader, struct conf_messages *m,
    size_t *passed, struct err *e);
/* The name of FILE's expectations, FILE.expect; the caller frees. */
char *conf_expect_path(const char *path);

/* One word KEY=VALUE of a question (`why --if` asks the same way) into *q,
 * which borrows it.  The error says what is wrong. */
int conf_query_word(const char *word, struct route_query *q, struct err *e);

#endif
