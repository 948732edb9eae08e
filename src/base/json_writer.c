/* JSON for the control socket, the history and the tools.  Nothing here
 * fails.  No formats: one document is written for every delivery. */
#include "base/json_writer.h"

#include <string.h>

#include "base/clock.h"
#include "base/log_value.h"

struct json_writer
json_to(struct strbuf *out)
{
	return (struct json_writer){ out, false };
}

static void
begin(struct json_writer *w, const char *key)
{
	if (w->more)
		strbuf_putc(w->out, ',');
	w->more = true;
	if (key == NULL)
		return;
	strbuf_putc(w->out, '"');
	strbuf_add(w->out, key, strlen(key));
	strbuf_add(w->out, "\":", 2);
}

void
json_object(struct json_writer *w, const char *key)
{
	begin(w, key);
	strbuf_putc(w->out, '{');
	w->more = false;
}

void
json_array(struct json_writer *w, const char *key)
{
	begin(w, key);
	strbuf_putc(w->out, '[');
	w->more = false;
}

void
json_close_object(struct json_writer *w)
{
	strbuf_putc(w->out, '}');
	w->more = true;
}

void
json_close_array(struct json_writer *w)
{
	strbuf_putc(w->out, ']');
	w->more = true;
}

void
json_text(struct json_writer *w, const char *key, const char *value)
{
	if (value == NULL)
		json_null(w, key);
	else
		json_slice(w, key, slice_cstr(value));
}

void
json_slice(struct json_writer *w, const char *key, struct slice value)
{
	begin(w, key);
	log_value_json(w->out, value);
}

void
json_number(struct json_writer *w, const char *key, uint64_t value)
{
	char digits[20];
	size_t k = sizeof(digits);

	begin(w, key);
	do {
		digits[--k] = (char)('0' + value % 10);
		value /= 10;
	} while (value > 0);
	strbuf_add(w->out, digits + k, sizeof(digits) - k);
}

void
json_bool(struct json_writer *w, const char *key, bool value)
{
	begin(w, key);
	strbuf_puts(w->out, value ? "true" : "false");
}

void
json_null(struct json_writer *w, const char *key)
{
	begin(w, key);
	strbuf_add(w->out, "null", 4);
}

void
json_when(struct json_writer *w, const char *key, uint64_t ms)
{
	char text[CLOCK_RFC3339_LEN + 1];

	if (ms == 0)
		json_null(w, key);
	else
		json_text(w, key, clock_rfc3339(ms, text));
}

void
json_raw(struct json_writer *w, const char *key, struct slice value)
{
	begin(w, key);
	strbuf_add_slice(w->out, value);
}
