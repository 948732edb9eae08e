/* A configuration of any text: lexer, tables, checks, views of all roles and
 * what `config show` prints of it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/strbuf.h"
#include "conf/load.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The input is the main file; any other is short and of one line. */
static int
read_input(void *arg, const char *path, struct strbuf *out, struct err *e)
{
	const struct slice *input = arg;

	(void)e;
	if (strcmp(path, "fuzz.conf") == 0)
		strbuf_add_slice(out, *input);
	else
		strbuf_puts(out, "expire 1h\n");
	return 0;
}

static void
views(const struct conf_tree *tree)
{
	static const enum conf_role roles[] = {
		CONF_LISTENER, CONF_QUEUE, CONF_DELIVERY, CONF_AUTH
	};
	struct strbuf view = STRBUF_INIT;
	struct conf *conf;
	struct err e = { 0 };
	size_t i;

	for (i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
		strbuf_clear(&view);
		if (conf_view_encode(tree, roles[i], &view, &e) == -1)
			continue;
		conf = conf_view_decode(strbuf_slice(&view), roles[i], &e);
		/* What monitor accepts its roles must accept. */
		if (conf == NULL)
			abort();
		conf_free(&conf);
	}
	strbuf_free(&view);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice input = slice_of(data, size);
	struct conf_reader reader = { read_input, &input };
	struct conf_messages m = { .n_errors = 0 };
	struct conf_tree *tree = NULL;
	struct strbuf out = STRBUF_INIT;
	struct conf *conf;

	conf = conf_load("fuzz.conf", &reader, false, &tree, &m);
	if ((conf == NULL) != (m.n_errors > 0))
		abort();
	if (conf != NULL) {
		views(tree);
		conf_dump(tree, conf, &out);
	}
	strbuf_free(&out);
	conf_free(&conf);
	conf_tree_free(&tree);
	conf_messages_free(&m);
	return 0;
}
