/* Messages about a configuration: collected with their places, rendered in
 * the order of places, all of one run.  monitor and tools.  RFC: none. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "conf/tree.h"

static void
note_add(struct conf_notes *notes, enum conf_note_kind kind, unsigned file,
    unsigned line, const char *fmt, va_list ap)
{
	struct strbuf text = STRBUF_INIT;
	struct conf_note *note;
	size_t i;

	if (kind == NOTE_ERROR)
		notes->n_errors++;
	if (notes->n >= CONF_NOTES_MAX)
		return;
	strbuf_vprintf(&text, fmt, ap);
	for (i = 0; i < text.n; i++)
		if ((unsigned char)text.p[i] < 0x20 || text.p[i] == 0x7f)
			text.p[i] = '?';
	note = mem_push(&notes->v, &notes->n, sizeof(*note));
	note->file = file;
	note->line = line;
	note->order = (unsigned)notes->n;
	note->kind = kind;
	note->text = strbuf_take(&text);
}

void
conf_error(struct conf_notes *notes, unsigned file, unsigned line,
    const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	note_add(notes, NOTE_ERROR, file, line, fmt, ap);
	va_end(ap);
}

void
conf_flaw(struct conf_notes *notes, unsigned file, unsigned line,
    const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	note_add(notes, NOTE_FLAW, file, line, fmt, ap);
	va_end(ap);
}

void
conf_warning(struct conf_notes *notes, unsigned file, unsigned line,
    const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	note_add(notes, NOTE_WARNING, file, line, fmt, ap);
	va_end(ap);
}

static int
note_cmp(const void *x, const void *y)
{
	const struct conf_note *a = x, *b = y;

	if (a->file != b->file)
		return a->file < b->file ? -1 : 1;
	if (a->line != b->line)
		return a->line < b->line ? -1 : 1;
	return a->order < b->order ? -1 : a->order > b->order;
}

/* Where it goes; counted. */
static struct strbuf *
kind_of(struct conf_messages *m, enum conf_note_kind kind)
{
	switch (kind) {
	case NOTE_WARNING:
		m->n_warnings++;
		return &m->warnings;
	case NOTE_FLAW:
		m->n_flaws++;
		return &m->flaws;
	case NOTE_ERROR:
		break;
	}
	m->n_errors++;
	return &m->errors;
}

void
conf_notes_render(struct conf_notes *notes, const struct conf_file *files,
    size_t n_files, struct conf_messages *m)
{
	const struct conf_note *note;
	struct strbuf *out;
	size_t i;

	if (notes->n > 0)
		qsort(notes->v, notes->n, sizeof(*notes->v), note_cmp);
	for (i = 0; i < notes->n; i++) {
		note = &notes->v[i];
		out = kind_of(m, note->kind);
		strbuf_puts(out, note->file < n_files ?
		    files[note->file].path : "configuration");
		if (note->line > 0)
			strbuf_printf(out, ":%u", note->line);
		strbuf_printf(out, ": %s%s\n",
		    note->kind == NOTE_WARNING ? "warning: " : "",
		    note->text);
	}
	if (notes->n_errors > m->n_errors) {
		strbuf_printf(&m->errors, "%s:1: and %zu more errors\n",
		    n_files > 0 ? files[0].path : "configuration",
		    notes->n_errors - m->n_errors);
		m->n_errors = notes->n_errors;
	}
}

void
conf_notes_free(struct conf_notes *notes)
{
	size_t i;

	for (i = 0; i < notes->n; i++)
		free(notes->v[i].text);
	free(notes->v);
	memset(notes, 0, sizeof(*notes));
}

void
conf_messages_free(struct conf_messages *m)
{
	strbuf_free(&m->errors);
	strbuf_free(&m->flaws);
	strbuf_free(&m->warnings);
	m->n_errors = m->n_flaws = m->n_warnings = 0;
}
