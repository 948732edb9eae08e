/* The log: one line per event with stable keys, as text or JSON.  Lines are
 * gathered and written once per turn of the loop (log_flush), at once when
 * the level is error or 32 KiB have gathered.  The descriptor comes from
 * monitor; a role opens nothing itself.
 *
 * text:  2026-11-20T04:05:06.789Z queue[123] info delivery: id=... to=<...>
 * json:  {"time":"...","role":"queue","pid":123,"level":"info",
 *         "event":"delivery","id":"...","to":"..."}
 * A value is quoted in text ("...", \" \\ \xNN) when it is empty or holds
 * blanks, quotes, or anything that is not printable ASCII or UTF-8.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

enum log_level { LL_ERROR, LL_WARN, LL_INFO, LL_DEBUG };
enum log_format { LOG_TEXT, LOG_JSON };
enum log_sink { LOG_STREAM, LOG_SYSLOG };	/* SYSLOG: datagram socket */

/* Name is the role; fd is borrowed until the next log_open.  Before the
 * first call lines go to standard error as text at level info. */
void log_open(const char *name, int fd, enum log_sink sink,
    enum log_format format, enum log_level level);
bool log_enabled(enum log_level level);
void log_flush(void);

/* One line: begin, any number of values, end.  Not nested. */
void log_begin(enum log_level level, const char *event);
void log_str(const char *key, const char *value);	/* NULL: left out */
void log_slice(const char *key, struct slice value);
void log_num(const char *key, int64_t value);
void log_fmt(const char *key, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void log_end(void);

/* The whole of it: event: text="..." */
void log_msg(enum log_level level, const char *event, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* A second taker of finished lines (relayctl log -f), or NULL. */
void log_tap(void (*tap)(void *arg, struct slice json), void *arg);

#endif
