/* The auth role on a loop of its own, with a listener and a delivery that the
 * test plays. */
#ifndef TEST_AUTH_ROLE_H
#define TEST_AUTH_ROLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/auth.h"
#include "ipc/msg.h"

extern struct loop *loop;
extern struct auth *auth;
extern struct port *listener, *delivery;	/* our ends */

int setup(void **state);
int teardown(void **state);
/* Another channel of this kind; at: set to NULL when it is closed. */
struct port *connect_as(uint8_t role, struct port **at);

struct answer {
	bool there, lost;
	struct msg_auth_step step;
	char data[256];
};

/* One step of a client's login; mechanism NULL: the next one; data NULL:
 * nothing came. */
struct answer log_in(uint64_t number, const char *mechanism, const void *data,
    size_t n);
/* One step of our own login; mechanisms NULL: the next one.  The session has
 * a channel binding where channel_binding says its type. */
extern const char *channel_binding;
struct answer credential(uint64_t number, const char *transport,
    const char *mechanisms, bool secure, const char *challenge);
void drop(uint64_t number, uint16_t type);
/* data NULL: any.  Frees what the answer holds. */
void expect_step(struct answer a, uint8_t state, const char *data);

#define PLAIN(text) "PLAIN", text, sizeof(text) - 1
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
