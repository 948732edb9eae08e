/* Memory that is there or ends the process: a role that has none left is
 * restarted by its monitor and nothing that got its 250 is lost by it. */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

/* All return memory that the caller owns and gives back with free(); none
 * returns NULL.  Sizes in octets; products are checked for overflow. */
void *mem_alloc(size_t n);
void *mem_zalloc(size_t n);
void *mem_zarray(size_t count, size_t size);
void *mem_resize(void *p, size_t n);
void *mem_dup(const void *p, size_t n);
char *mem_strdup(const char *s);
char *mem_strndup(const char *s, size_t n);
char *mem_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Overwrites n octets in a way that the compiler keeps (secrets). */
void mem_wipe(void *p, size_t n);
/* The same of a text, which is then freed; it may be NULL and is so after. */
void mem_wipe_text(char **text);

/* Appends room for one element of the size to a growing array and returns
 * the new, zeroed element.  *items is the array, *count its length; capacity
 * is the next power of two. */
void *mem_push(void *items_ptr, size_t *count, size_t size);

/* For a process that lives long: what it frees is kept for its next use, up to
 * some MiB, so that each body does not cost new pages from the kernel. */
void mem_keep_freed(void);

#endif
