/*
 * What people read: ages, times, text that is safe on a terminal, and members
 * of JSON objects without ceremony.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tools/relayctl.h"

int
ctl_error(int status, const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fprintf(stderr, "relayctl: ");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return status;
}

void
ctl_put_octets(void *arg, struct slice octets)
{
	(void)arg;
	fwrite(octets.p, 1, octets.n, stdout);
}

void
ctl_put_line(struct slice text)
{
	ctl_put_octets(NULL, text);
	putchar('\n');
}

const cJSON *
ctl_get_any(const cJSON *o, const char *key)
{
	return cJSON_GetObjectItemCaseSensitive(o, key);
}

const char *
ctl_get(const cJSON *o, const char *key)
{
	const cJSON *v = ctl_get_any(o, key);

	return cJSON_IsString(v) ? v->valuestring : "";
}

uint64_t
ctl_get_number(const cJSON *o, const char *key)
{
	const cJSON *v = ctl_get_any(o, key);

	return cJSON_IsNumber(v) && v->valuedouble >= 0 ?
	    (uint64_t)v->valuedouble : 0;
}

bool
ctl_get_bool(const cJSON *o, const char *key)
{
	return cJSON_IsTrue(ctl_get_any(o, key));
}

uint64_t
ctl_time(const char *text)
{
	struct tm tm;
	const char *ms;
	time_t t;

	memset(&tm, 0, sizeof(tm));
	ms = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	if (ms == NULL || *ms != '.')
		return 0;
	t = timegm(&tm);
	if (t < 0)
		return 0;
	return (uint64_t)t * 1000 + (uint64_t)(strtoul(ms + 1, NULL, 10) %
	    1000);
}

char *
ctl_age(uint64_t ms, char buf[CTL_AGE_LEN])
{
	unsigned long long s = ms / 1000;

	if (s < 100)
		snprintf(buf, CTL_AGE_LEN, "%llus", s);
	else if (s < 100 * 60)
		snprintf(buf, CTL_AGE_LEN, "%llum", s / 60);
	else if (s < 100 * 3600ull)
		snprintf(buf, CTL_AGE_LEN, "%lluh", s / 3600);
	else
		snprintf(buf, CTL_AGE_LEN, "%llud", s / 86400);
	return buf;
}

char *
ctl_stamp(uint64_t ms, char buf[CTL_STAMP_LEN])
{
	time_t t = (time_t)(ms / 1000);
	struct tm tm;

	if (ms == 0 || localtime_r(&t, &tm) == NULL ||
	    strftime(buf, CTL_STAMP_LEN, "%Y-%m-%d %H:%M:%S", &tm) == 0)
		snprintf(buf, CTL_STAMP_LEN, "-");
	return buf;
}

void
ctl_printable(struct strbuf *out, const char *text)
{
	const unsigned char *p = (const unsigned char *)text;

	for (; *p != 0; p++) {
		/* C1 controls are two octets in UTF-8 */
		if (p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0) {
			strbuf_putc(out, '?');
			p++;
		} else {
			strbuf_putc(out, *p < 32 || *p == 127 ? '?' :
			    (char)*p);
		}
	}
}

void
ctl_recipients(const cJSON *message, struct strbuf *out)
{
	const cJSON *list = ctl_get_any(message, "recipients"), *r, *shown;
	int n = cJSON_GetArraySize(list);

	/* The first that still waits says more than one that is done. */
	shown = cJSON_GetArrayItem(list, 0);
	cJSON_ArrayForEach(r, list) {
		const char *status = ctl_get(r, "status");

		if (strcmp(status, "deferred") == 0 ||
		    strcmp(status, "queued") == 0) {
			shown = r;
			break;
		}
	}
	strbuf_puts(out, ctl_get(shown, "address"));
	if (n > 1)
		strbuf_printf(out, " +%d", n - 1);
}

const char *
ctl_reply(const cJSON *message)
{
	const cJSON *r;
	const char *reply = "", *text;

	cJSON_ArrayForEach(r, ctl_get_any(message, "recipients")) {
		text = ctl_get(r, "last_reply");
		if (text[0] == 0)
			continue;
		reply = text;
		if (strcmp(ctl_get(r, "status"), "delivered") != 0)
			break;
	}
	return reply;
}
