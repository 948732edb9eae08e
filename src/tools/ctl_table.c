/*
 * Tables of text: the first rows are kept to find out how wide the columns
 * are, those that follow are printed as they come.  The last column takes
 * what is left of the terminal's width.
 */
#include <sys/ioctl.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "tools/relayctl.h"

#define KEPT_MAX 500

struct ctl_table {
	const struct ctl_column *col;
	size_t n;
	const char *indent;
	unsigned *width;
	char ***rows;
	size_t n_rows;
	bool begun;
	unsigned screen;		/* 0: no terminal, nothing is cut */
};

/* Characters of UTF-8. */
static unsigned
text_width(const char *s)
{
	unsigned n = 0;

	for (; *s != 0; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

struct ctl_table *
ctl_table_new(const struct ctl_column *columns, size_t n, const char *indent)
{
	struct ctl_table *t = mem_zalloc(sizeof(*t));
	struct winsize ws;
	size_t i;

	t->col = columns;
	t->n = n;
	t->indent = indent;
	t->width = mem_zarray(n, sizeof(*t->width));
	for (i = 0; i < n; i++)
		t->width[i] = text_width(columns[i].title);
	if (isatty(STDOUT_FILENO) &&
	    ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) == 0 && ws.ws_col >= 40)
		t->screen = ws.ws_col;
	return t;
}

/* At most so many characters; what is cut ends in a dot-dot. */
static void
add_cut(struct strbuf *out, const char *s, unsigned most)
{
	unsigned n = 0, width = text_width(s);

	if (most == 0 || width <= most) {
		strbuf_puts(out, s);
		return;
	}
	for (; *s != 0; s++) {
		if (((unsigned char)*s & 0xc0) != 0x80 && ++n + 2 > most)
			break;
		strbuf_putc(out, *s);
	}
	strbuf_puts(out, most > 2 ? ".." : "");
}

static void
print_row(struct ctl_table *t, char *const *cells)
{
	struct strbuf line = STRBUF_INIT;
	unsigned used = (unsigned)strlen(t->indent), pad, most, w;
	size_t i;

	strbuf_puts(&line, t->indent);
	for (i = 0; i < t->n; i++) {
		most = t->col[i].most;
		if (i + 1 == t->n && t->screen > used + 8)
			most = t->screen - used - 1;
		w = text_width(cells[i]);
		if (most != 0 && w > most)
			w = most;
		pad = t->width[i] > w ? t->width[i] - w : 0;
		if (t->col[i].right)
			strbuf_printf(&line, "%*s", (int)pad, "");
		add_cut(&line, cells[i], most);
		if (!t->col[i].right && i + 1 < t->n)
			strbuf_printf(&line, "%*s", (int)pad, "");
		if (i + 1 < t->n)
			strbuf_puts(&line, "  ");
		used += (t->width[i] > w ? t->width[i] : w) + 2;
	}
	while (line.n > 0 && line.p[line.n - 1] == ' ')
		line.p[--line.n] = 0;
	puts(strbuf_cstr(&line));
	strbuf_free(&line);
}

static void
print_kept(struct ctl_table *t)
{
	char **titles = mem_zarray(t->n, sizeof(*titles));
	bool any = false;
	size_t i, k;

	for (i = 0; i < t->n; i++) {
		titles[i] = (char *)(uintptr_t)t->col[i].title;
		any |= titles[i][0] != 0;
	}
	if (any && t->n_rows > 0)
		print_row(t, titles);
	free(titles);
	for (i = 0; i < t->n_rows; i++) {
		print_row(t, t->rows[i]);
		for (k = 0; k < t->n; k++)
			free(t->rows[i][k]);
		free(t->rows[i]);
	}
	free(t->rows);
	t->rows = NULL;
	t->n_rows = 0;
	t->begun = true;
}

void
ctl_table_row(struct ctl_table *t, const char *const *cells)
{
	char **row = mem_zarray(t->n, sizeof(*row));
	struct strbuf text = STRBUF_INIT;
	unsigned w;
	size_t i;

	for (i = 0; i < t->n; i++) {
		ctl_printable(&text, cells[i] != NULL ? cells[i] : "");
		row[i] = strbuf_take(&text);
		w = text_width(row[i]);
		if (t->col[i].most != 0 && w > t->col[i].most)
			w = t->col[i].most;
		if (!t->begun && w > t->width[i] && i + 1 < t->n)
			t->width[i] = w;
	}
	if (!t->begun) {
		*(char ***)mem_push(&t->rows, &t->n_rows, sizeof(*t->rows)) =
		    row;
		if (t->n_rows == KEPT_MAX)
			print_kept(t);
		return;
	}
	print_row(t, row);
	for (i = 0; i < t->n; i++)
		free(row[i]);
	free(row);
}

void
ctl_table_end(struct ctl_table **tp)
{
	struct ctl_table *t = *tp;

	*tp = NULL;
	if (!t->begun)
		print_kept(t);
	free(t->width);
	free(t);
}
