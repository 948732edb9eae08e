/* Time, for every role.  Nothing here fails: an offset file that cannot be
 * read counts as no offset. */
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static uint64_t mono_ms;
static uint64_t real_ms;
static const char *offset_file;
static int offset_fd = -1;

static uint64_t
now_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Opened by name each time, since a test may have replaced it; a role that
 * may open nothing any more goes on with the descriptor it has. */
static int64_t
read_offset(void)
{
	char text[32];
	ssize_t n;
	int fd = open(offset_file, O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		if (offset_fd >= 0)
			close(offset_fd);
		offset_fd = fd;
	}
	if (offset_fd < 0)
		return 0;
	n = pread(offset_fd, text, sizeof(text) - 1, 0);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	return strtoll(text, NULL, 10);
}

void
clock_update(void)
{
	static int started;

	if (!started) {
		started = 1;
		offset_file = getenv("SMARTHOSTD_CLOCK_OFFSET_FILE");
		tzset();	/* while files can still be opened */
	}
	mono_ms = now_ns(CLOCK_MONOTONIC) / 1000000u;
	real_ms = now_ns(CLOCK_REALTIME) / 1000000u;
	if (offset_file != NULL) {
		int saved = errno;

		real_ms += (uint64_t)read_offset();
		errno = saved;
	}
}

uint64_t
clock_mono_ms(void)
{
	if (mono_ms == 0)
		clock_update();
	return mono_ms;
}

uint64_t
clock_mono_us(void)
{
	return now_ns(CLOCK_MONOTONIC) / 1000u;
}

uint64_t
clock_real_ms(void)
{
	if (real_ms == 0)
		clock_update();
	return real_ms;
}

static void
two_digits(char *to, unsigned v)
{
	to[0] = (char)('0' + v / 10 % 10);
	to[1] = (char)('0' + v % 10);
}

char *
clock_rfc3339(uint64_t ms, char buf[CLOCK_RFC3339_LEN + 1])
{
	/* Log lines come many to a second: keep that part. */
	static _Thread_local char cached[CLOCK_RFC3339_LEN + 1];
	static _Thread_local time_t cached_s = -1;
	time_t s = (time_t)(ms / 1000);
	unsigned frac = (unsigned)(ms % 1000);

	if (s > (time_t)253402300799)	/* the end of year 9999 */
		s = (time_t)253402300799;
	if (s != cached_s) {
		struct tm tm;
		unsigned year;

		gmtime_r(&s, &tm);
		year = (unsigned)tm.tm_year + 1900;
		memcpy(cached, "0000-00-00T00:00:00.000Z", sizeof(cached));
		two_digits(cached, year / 100);
		two_digits(cached + 2, year % 100);
		two_digits(cached + 5, (unsigned)tm.tm_mon + 1);
		two_digits(cached + 8, (unsigned)tm.tm_mday);
		two_digits(cached + 11, (unsigned)tm.tm_hour);
		two_digits(cached + 14, (unsigned)tm.tm_min);
		two_digits(cached + 17, (unsigned)tm.tm_sec);
		cached_s = s;
	}
	memcpy(buf, cached, sizeof(cached));
	buf[20] = (char)('0' + frac / 100);
	two_digits(buf + 21, frac % 100);
	return buf;
}

/* By hand: strftime would follow the locale. */
char *
clock_rfc5322(uint64_t ms, char *buf, size_t n)
{
	static const char days[][4] = { "Sun", "Mon", "Tue", "Wed", "Thu",
		"Fri", "Sat" };
	static const char months[][4] = { "Jan", "Feb", "Mar", "Apr", "May",
		"Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	time_t s = (time_t)(ms / 1000);
	struct tm tm;
	long off;

	if (localtime_r(&s, &tm) == NULL) {
		s = 0;
		gmtime_r(&s, &tm);
	}
	off = tm.tm_gmtoff / 60;
	snprintf(buf, n, "%s, %d %s %d %02d:%02d:%02d %c%02ld%02ld",
	    days[tm.tm_wday], tm.tm_mday, months[tm.tm_mon],
	    tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec,
	    off < 0 ? '-' : '+', labs(off) / 60, labs(off) % 60);
	return buf;
}
