/* Memory for every role.  On failure: one line to standard error and
 * abort(), so that monitor sees the role end and starts it again. */
#include "base/mem.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif

__attribute__((noreturn)) static void
out_of_memory(void)
{
	static const char text[] = "out of memory\n";
	ssize_t n;

	n = write(STDERR_FILENO, text, sizeof(text) - 1);
	(void)n;
	abort();
}

void *
mem_alloc(size_t n)
{
	void *p = malloc(n ? n : 1);

	if (p == NULL)
		out_of_memory();
	return p;
}

void *
mem_zalloc(size_t n)
{
	return mem_zarray(1, n);
}

void *
mem_zarray(size_t count, size_t size)
{
	void *p = calloc(count ? count : 1, size ? size : 1);

	if (p == NULL)
		out_of_memory();
	return p;
}

void *
mem_resize(void *p, size_t n)
{
	p = realloc(p, n ? n : 1);
	if (p == NULL)
		out_of_memory();
	return p;
}

void *
mem_dup(const void *p, size_t n)
{
	void *q = mem_alloc(n);

	if (n > 0)
		memcpy(q, p, n);
	return q;
}

char *
mem_strdup(const char *s)
{
	return mem_dup(s, strlen(s) + 1);
}

char *
mem_strndup(const char *s, size_t n)
{
	size_t len = strnlen(s, n);
	char *q = mem_alloc(len + 1);

	memcpy(q, s, len);
	q[len] = '\0';
	return q;
}

char *
mem_printf(const char *fmt, ...)
{
	va_list ap;
	char *s;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&s, fmt, ap);
	va_end(ap);
	if (n < 0)
		out_of_memory();
	return s;
}

void
mem_wipe(void *p, size_t n)
{
	explicit_bzero(p, n);
}

void
mem_wipe_text(char **text)
{
	if (*text != NULL)
		mem_wipe(*text, strlen(*text));
	free(*text);
	*text = NULL;
}

void *
mem_push(void *items_ptr, size_t *count, size_t size)
{
	void *items;
	size_t n = *count;
	char *item;

	/* items_ptr is the address of a pointer of some type; memcpy keeps
	 * that within the aliasing rules. */
	memcpy(&items, items_ptr, sizeof(items));
	if ((n & (n - 1)) == 0) {
		size_t cap = n == 0 ? 1 : 2 * n;
		size_t total;

		if (cap < n || __builtin_mul_overflow(cap, size, &total))
			out_of_memory();
		items = mem_resize(items, total);
		memcpy(items_ptr, &items, sizeof(items));
	}
	item = (char *)items + n * size;
	memset(item, 0, size);
	*count = n + 1;
	return item;
}

void
mem_keep_freed(void)
{
#ifdef __GLIBC__
	(void)mallopt(M_MMAP_THRESHOLD, 4 << 20);
	(void)mallopt(M_TRIM_THRESHOLD, 8 << 20);
	(void)mallopt(M_TOP_PAD, 256 << 10);
#endif
}
