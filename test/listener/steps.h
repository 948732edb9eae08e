/* What most tests of the listener do: one fixture for each test, and clients
 * that have come so far without surprises. */
#ifndef TEST_LISTENER_STEPS_H
#define TEST_LISTENER_STEPS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fixture.h"

/* What each file of tests configures. */
extern const char conf[];
extern struct fixture f;
int setup(void **state);
int teardown(void **state);
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* joe's password for AUTH PLAIN: \0joe\0sesame. */
#define JOE "AGpvZQBzZXNhbWU="

/* See client_connect().  What goes wrong is told at the caller's line. */

/* A client that has said EHLO. */
#define greeted(listen, address) \
	greeted_at(listen, address, __FILE__, __LINE__)
/* That has named a@x.test and b@y.test, too. */
#define to_rcpt(listen, address) \
	to_rcpt_at(listen, address, __FILE__, __LINE__)
/* That may send the text now. */
#define to_data(listen, address) \
	to_data_at(listen, address, __FILE__, __LINE__)
/* The same client, with a message more: may send its text. */
#define to_next_data(c) to_next_data_at(c, __FILE__, __LINE__)

struct client *greeted_at(size_t listen, const char *address,
    const char *file, int line);
struct client *to_rcpt_at(size_t listen, const char *address,
    const char *file, int line);
struct client *to_data_at(size_t listen, const char *address,
    const char *file, int line);
void to_next_data_at(struct client *c, const char *file, int line);

#endif
