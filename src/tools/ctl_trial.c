/*
 * transport test: what a next hop says to us, step by step.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "tools/relayctl.h"

static void
print_lines(const char *text)
{
	struct strbuf b = STRBUF_INIT;
	char *line;
	size_t n;

	for (; *text != 0; text += n + (text[n] != 0)) {
		n = strcspn(text, "\n");
		line = mem_strndup(text, n);
		strbuf_clear(&b);
		ctl_printable(&b, line);
		puts(strbuf_cstr(&b));
		free(line);
	}
	strbuf_free(&b);
}

static bool
is_warning(const char *step)
{
	return strcmp(step, "egress") == 0 || strcmp(step, "verify") == 0;
}

static void
print_steps(const cJSON *list)
{
	struct strbuf b = STRBUF_INIT;
	const cJSON *s;

	cJSON_ArrayForEach(s, list) {
		strbuf_clear(&b);
		ctl_printable(&b, ctl_get(s, "text"));
		printf("%-7s %-8s %s\n", ctl_get_bool(s, "ok") ? "ok" :
		    is_warning(ctl_get(s, "name")) ? "WARNING" : "FAILED",
		    ctl_get(s, "name"), strbuf_cstr(&b));
		if (ctl_get(s, "advice")[0] != 0)
			printf("%-7s %-8s -> %s\n", "", "",
			    ctl_get(s, "advice"));
	}
	strbuf_free(&b);
}

static void
trial_item(void *arg, struct slice json)
{
	struct ctl *c = arg;
	cJSON *doc;

	if (c->json) {
		ctl_put_line(json);
		return;
	}
	doc = cJSON_ParseWithLength(json.p, json.n);
	if (doc == NULL)
		return;
	print_lines(ctl_get(doc, "dialogue"));
	if (ctl_get(doc, "dialogue")[0] != 0)
		putchar('\n');
	print_steps(ctl_get_any(doc, "steps"));
	printf("\ntransport %s: %s\n", ctl_get(doc, "name"),
	    ctl_get_bool(doc, "ok") ? "works" : "does not work");
	cJSON_Delete(doc);
}

/* What does not exist is told first. */
static int
down(struct ctl *c)
{
	int rc = c->conf == NULL ? ctl_load(c, ctl_file(c)) : 0;

	if (rc != 0)
		return rc;
	if (conf_transport_get(c->conf, c->rest[0]) == NULL)
		return ctl_error(CTL_NONE, "there is no transport `%s`",
		    c->rest[0]);
	return ctl_down();
}

int
ctl_transport_test(struct ctl *c)
{
	struct ctl_sink sink = { .arg = c, .item = trial_item };
	struct strbuf members = STRBUF_INIT;
	struct json_writer w = json_to(&members);
	int rc;

	if (c->send && c->to == NULL)
		return ctl_error(CTL_USAGE, "transport test: --send needs "
		    "--to ADDRESS");
	json_text(&w, "name", c->rest[0]);
	if (c->to != NULL)
		json_text(&w, "to", c->to);
	if (c->send)
		json_bool(&w, "send", true);
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "testing %s...\n", c->rest[0]);
	rc = ctl_request(c, "transport test", strbuf_cstr(&members), &sink);
	strbuf_free(&members);
	free(sink.text);
	return rc == CTL_DOWN ? down(c) : rc;
}
