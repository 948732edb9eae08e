/* Aliases: any octets.  What is read and written again is read as the same;
 * every name that is found has an end. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/strbuf.h"
#include "mail/alias_table.h"
#include "mail/aliases.h"

#define NAMES_MAX 20
#define PLACES_MAX 50

struct seen {
	struct strbuf text;		/* written again */
	unsigned names;
	struct alias_table *table;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
write_name(void *arg, unsigned line, struct slice name)
{
	struct seen *s = arg;

	(void)line;
	alias_write_name(&s->text, name);
}

static void
write_target(void *arg, unsigned line, enum alias_kind kind,
    struct slice text)
{
	struct seen *s = arg;

	(void)line;
	alias_write_target(&s->text, kind, text);
}

static void
mistake(void *arg, unsigned line, const char *text)
{
	(void)line;
	(void)text;
	if (arg == NULL)
		abort();
}

static bool
is_local(void *arg, struct slice domain)
{
	(void)arg;
	return domain.n == 1;
}

static void
expand_name(void *arg, unsigned line, struct slice name)
{
	struct seen *s = arg;
	struct strbuf local = STRBUF_INIT;
	struct alias_expansion x;

	(void)line;
	if (s->names++ >= NAMES_MAX)
		return;
	strbuf_putc(&local, '"');
	for (size_t i = 0; i < name.n; i++) {
		if (name.p[i] == '"' || name.p[i] == '\\')
			strbuf_putc(&local, '\\');
		strbuf_putc(&local, name.p[i]);
	}
	strbuf_putc(&local, '"');
	if (!alias_expand(s->table, strbuf_slice(&local), is_local, NULL,
	    PLACES_MAX, &x) || x.n > PLACES_MAX)
		abort();
	alias_expansion_clear(&x);
	strbuf_free(&local);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen a = { STRBUF_INIT, 0, NULL };
	struct seen b = { STRBUF_INIT, 0, NULL };
	struct alias_reader r = { write_name, write_target, mistake, &a };
	struct alias_reader e = { expand_name, NULL, NULL, &b };

	aliases_read(slice_of(data, size), &r);
	/* nothing of what was written is a mistake */
	r.arg = &b;
	aliases_read(strbuf_slice(&a.text), &r);
	if (!slice_eq(strbuf_slice(&a.text), strbuf_slice(&b.text)))
		abort();
	b.table = alias_table_new(strbuf_slice(&a.text));
	aliases_read(strbuf_slice(&a.text), &e);
	alias_table_free(&b.table);
	aliases_read_list(slice_of(data, size), &(struct alias_reader){ 0 });
	strbuf_free(&a.text);
	strbuf_free(&b.text);
	return 0;
}
