/* The log of every role.  Lines gather in memory and leave with log_flush.
 * On failure: a sink that takes no more lets up to 1 MiB wait, then lines are
 * dropped and the number of them is told once it takes some again; no role
 * ever blocks or ends because of its log.  Not for threads other than the
 * one of the loop. */
#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log_value.h"
#include "base/strbuf.h"

#define FLUSH_AT 32768
#define WAITING_MAX (1u << 20)
#define VALUE_MAX 4096			/* octets of one value */
/* RFC 5424 6.2.1; not from <syslog.h>, whose LOG_SYSLOG is another thing. */
#define SYSLOG_MAIL (2 << 3)

static const char level_names[][6] = { "error", "warn", "info", "debug" };

/* The process's only log; a cache and a sink, as base is allowed to have. */
static struct {
	char name[32];
	int fd;
	enum log_sink sink;
	enum log_format format;
	enum log_level level;
	bool opened;			/* else each line is flushed */

	char prefix[64];		/* " role[pid] " */
	struct strbuf waiting;		/* finished lines with '\n' */
	struct strbuf text;		/* the line that is being made */
	struct strbuf json;		/* the same as JSON, where wanted */
	bool making;			/* between begin and end */
	bool want_json;
	enum log_level line_level;
	uint64_t lost;

	void (*tap)(void *arg, struct slice json);
	void *tap_arg;
} lg = { .name = "smarthostd", .fd = STDERR_FILENO, .level = LL_INFO };

static void
set_prefix(void)
{
	snprintf(lg.prefix, sizeof(lg.prefix), " %s[%d] ", lg.name,
	    (int)getpid());
}

void
log_open(const char *name, int fd, enum log_sink sink,
    enum log_format format, enum log_level level)
{
	log_flush();
	snprintf(lg.name, sizeof(lg.name), "%s", name);
	lg.fd = fd;
	lg.sink = sink;
	lg.format = format;
	lg.level = level;
	set_prefix();
	lg.opened = true;
}

bool
log_enabled(enum log_level level)
{
	return level <= lg.level;
}

void
log_tap(void (*tap)(void *arg, struct slice json), void *arg)
{
	lg.tap = tap;
	lg.tap_arg = arg;
}

/* Writes what a stream takes; the rest stays. */
static void
flush_stream(void)
{
	while (lg.waiting.n > 0) {
		ssize_t n = write(lg.fd, lg.waiting.p, lg.waiting.n);

		if (n < 0) {
			if (errno == EINTR)
				continue;
			if (errno == EAGAIN || errno == ENOSPC)
				break;	/* it may get better */
			strbuf_clear(&lg.waiting);
			break;
		}
		strbuf_drop(&lg.waiting, (size_t)n);
	}
}

/* One datagram for each line.  What syslog does not take is lost, as it is
 * with syslog(3). */
static void
flush_syslog(void)
{
	struct slice left = strbuf_slice(&lg.waiting);

	while (left.n > 0) {
		long end = slice_find(left, '\n');
		size_t n = end < 0 ? left.n : (size_t)end;

		if (send(lg.fd, left.p, n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			lg.lost++;
		left = slice_skip(left, n + 1);
	}
	strbuf_clear(&lg.waiting);
}

static void
flush_now(void)
{
	int saved = errno;

	if (lg.waiting.n > 0) {
		if (lg.sink == LOG_SYSLOG)
			flush_syslog();
		else
			flush_stream();
	}
	errno = saved;
}

void
log_flush(void)
{
	flush_now();
	if (lg.lost > 0 && lg.waiting.n == 0 && !lg.making &&
	    lg.sink == LOG_STREAM) {
		uint64_t lost = lg.lost;

		lg.lost = 0;
		log_begin(LL_WARN, "log-lost");
		log_num("lines", (int64_t)lost);
		log_end();
		flush_now();
	}
}

static void
begin_text(enum log_level level, const char *event, const char *when)
{
	struct strbuf *b = &lg.text;

	if (lg.sink == LOG_SYSLOG) {
		static const int severity[] = { 3, 4, 6, 7 };

		strbuf_printf(b, "<%d>%s[%d]: ", SYSLOG_MAIL | severity[level],
		    lg.name, (int)getpid());
		if (lg.format == LOG_JSON)
			return;
		strbuf_puts(b, event);
	} else {
		strbuf_add(b, when, CLOCK_RFC3339_LEN);
		strbuf_puts(b, lg.prefix);
		strbuf_puts(b, level_names[level]);
		strbuf_putc(b, ' ');
		strbuf_puts(b, event);
	}
	strbuf_putc(b, ':');
}

void
log_begin(enum log_level level, const char *event)
{
	char when[CLOCK_RFC3339_LEN + 1];

	if (!lg.opened)
		set_prefix();
	if (level > lg.level)
		return;
	lg.making = true;
	lg.line_level = level;
	lg.want_json = lg.format == LOG_JSON || lg.tap != NULL;
	clock_rfc3339(clock_real_ms(), when);
	strbuf_clear(&lg.text);
	if (lg.format == LOG_TEXT || lg.sink == LOG_SYSLOG)
		begin_text(level, event, when);
	if (lg.want_json) {
		strbuf_clear(&lg.json);
		strbuf_printf(&lg.json, "{\"time\":\"%s\",\"role\":\"%s\","
		    "\"pid\":%d,\"level\":\"%s\",\"event\":\"%s\"", when,
		    lg.name, (int)getpid(), level_names[level], event);
	}
}

/* Up to the '=' or ':'. */
static void
add_key(const char *key)
{
	if (lg.format == LOG_TEXT) {
		strbuf_putc(&lg.text, ' ');
		strbuf_puts(&lg.text, key);
		strbuf_putc(&lg.text, '=');
	}
	if (lg.want_json) {
		strbuf_puts(&lg.json, ",\"");
		strbuf_puts(&lg.json, key);
		strbuf_puts(&lg.json, "\":");
	}
}

void
log_slice(const char *key, struct slice value)
{
	if (!lg.making)
		return;
	if (value.n > VALUE_MAX)
		value.n = VALUE_MAX;
	add_key(key);
	if (lg.format == LOG_TEXT)
		log_value_text(&lg.text, value);
	if (lg.want_json)
		log_value_json(&lg.json, value);
}

void
log_str(const char *key, const char *value)
{
	if (lg.making && value != NULL)
		log_slice(key, slice_cstr(value));
}

void
log_num(const char *key, int64_t value)
{
	char digits[24];
	char *at = digits + sizeof(digits);
	uint64_t v = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;

	if (!lg.making)
		return;
	do {
		*--at = (char)('0' + v % 10);
		v /= 10;
	} while (v > 0);
	if (value < 0)
		*--at = '-';
	add_key(key);
	if (lg.format == LOG_TEXT)
		strbuf_add(&lg.text, at, (size_t)(digits + sizeof(digits) -
		    at));
	if (lg.want_json)
		strbuf_add(&lg.json, at, (size_t)(digits + sizeof(digits) -
		    at));
}

void
log_fmt(const char *key, const char *fmt, ...)
{
	char text[VALUE_MAX];
	va_list ap;
	int n;

	if (!lg.making)
		return;
	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n < 0)
		n = 0;
	if ((size_t)n >= sizeof(text))
		n = (int)sizeof(text) - 1;
	log_slice(key, slice_of(text, (size_t)n));
}

void
log_end(void)
{
	if (!lg.making)
		return;
	lg.making = false;
	if (lg.want_json)
		strbuf_putc(&lg.json, '}');
	if (lg.waiting.n > WAITING_MAX) {
		lg.lost++;
	} else {
		strbuf_add_slice(&lg.waiting, strbuf_slice(&lg.text));
		if (lg.format == LOG_JSON)
			strbuf_add_slice(&lg.waiting, strbuf_slice(&lg.json));
		strbuf_putc(&lg.waiting, '\n');
	}
	if (lg.line_level == LL_ERROR || lg.waiting.n >= FLUSH_AT ||
	    !lg.opened)
		flush_now();
	if (lg.tap != NULL)
		lg.tap(lg.tap_arg, strbuf_slice(&lg.json));
}

void
log_msg(enum log_level level, const char *event, const char *fmt, ...)
{
	char text[VALUE_MAX];
	va_list ap;

	if (!log_enabled(level))
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_begin(level, event);
	log_str("text", text);
	log_end();
}
