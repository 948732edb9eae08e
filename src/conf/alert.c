/* The `alert` block. */
#include <stdlib.h>

#include "base/mem.h"
#include "conf/command_line.h"
#include "conf/directives.h"

#define AT(field) .offset = offsetof(struct conf_alert, field)

static conf_setter set_via, set_command;

static const struct conf_directive rows[] = {
{ "to", "ADDRESS", ARG_ADDRESS, NOW, Q, 0, AT(to) },
{ "via", "TRANSPORT", ARG_CUSTOM, NOW, Q, 0, 0, .set = set_via, .min = 1,
    .max = 1 },
{ "after", "DURATION", ARG_DURATION, NOW, Q, 0, AT(after),
    .deflt = "15m" },
{ "command", "\"PROGRAM ARG...\"", ARG_CUSTOM, NOW, M, SHADOW, 0,
    .set = set_command, .min = 1, .max = 1 },
};

const struct conf_table conf_table_alert = {
	"in an `alert` block", rows, sizeof(rows) / sizeof(rows[0])
};

static void
set_via(struct build *b, void *obj, const struct conf_stmt *s,
    const struct conf_directive *d)
{
	struct conf_alert *a = obj;

	(void)d;
	a->via = conf_arena_strdup(b->arena, s->w[1].s);
	build_ref(b, s, &s->w[1], REF_TRANSPORT, NULL);
}

static void
set_command(struct build *b, void *obj, const struct conf_stmt *s,
    const struct conf_directive *d)
{
	struct conf_alert *a = obj;
	struct err e;
	char **argv, *path = NULL;

	(void)d;
	a->has_command = true;
	if (s->hidden)
		return;
	argv = conf_command_split(s->w[1].s, &e);
	if (argv != NULL && b->check_files)
		path = conf_command_find(argv[0], &e);
	if (argv == NULL || (b->check_files && path == NULL))
		build_error(b, s, &s->w[1], "command: %s", e.text);
	a->command = conf_arena_strdup(b->arena, s->w[1].s);
	conf_command_free(&argv);
	free(path);
}

void
set_alert(struct build *b, void *obj, const struct conf_stmt *s,
    const struct conf_directive *d)
{
	struct conf_alert *a = &((struct conf *)obj)->alert;
	size_t errors = b->notes->n_errors;

	build_defaults(b, CTX_ALERT, a);
	a->set = true;
	build_block(b, s, d->block, a, CTX_NONE, NULL);
	if (build_is_main(b) && a->to == NULL && !a->has_command &&
	    b->notes->n_errors == errors)
		build_error(b, s, NULL, "an alert needs somebody to tell: "
		    "`to ADDRESS`, `command`, or both");
}
