/* What went wrong, for the caller to log, answer or pass on. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdarg.h>

struct err {
	int code;		/* errno where there is one, else -1; 0: none */
	char text[512];		/* one printable line, no final period */
};

/* Sets code and text and returns -1, so that a function may end in
 * `return err_set(...)`.  e may be NULL. */
int err_set(struct err *e, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The same with ": strerror(errno)" behind the text and errno as the code. */
int err_errno(struct err *e, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Puts "text: " in front of what is there; returns -1. */
int err_prefix(struct err *e, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
