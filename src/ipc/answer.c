/* The lines of an answer on the control socket (queue, auth). */
#include "ipc/answer.h"

#include <stdio.h>

struct json_writer
answer_item(struct strbuf *out)
{
	struct json_writer w = json_to(out);

	json_object(&w, NULL);
	json_object(&w, "item");
	return w;
}

void
answer_item_end(struct strbuf *out, struct json_writer *w)
{
	json_close_object(w);
	json_close_object(w);
	strbuf_putc(out, '\n');
}

void
answer_end(struct strbuf *out, int status, const char *fmt, va_list ap)
{
	struct json_writer w = json_to(out);
	char text[1024];

	vsnprintf(text, sizeof(text), fmt, ap);
	json_object(&w, NULL);
	json_object(&w, "end");
	json_number(&w, "status", (uint64_t)status);
	json_text(&w, "text", text);
	answer_item_end(out, &w);
}
