/* Back-off for clients that fail to log in: whoever guesses waits. */
#ifndef AUTH_THROTTLE_H
#define AUTH_THROTTLE_H

#include <stddef.h>
#include <stdint.h>

struct throttle;

struct throttle *auth_throttle_new(void);
void auth_throttle_free(struct throttle **t);

#define THROTTLE_CLIENT 64

/* Who that is (address text): of IPv6 its /64, as who has one address of it
 * has them all. */
void auth_throttle_client(const char *client, char out[THROTTLE_CLIENT]);
/* A failure of this client now (ms, monotonic):
 * how many milliseconds its answer has to wait.  The first few cost nothing,
 * people mistype. */
uint64_t auth_throttle_failure(struct throttle *t, const char *client,
    uint64_t now);
/* What the answer to a good password has to wait: as long as that to a wrong
 * one would, or whoever guesses need not wait for the wrong ones. */
uint64_t auth_throttle_wait(const struct throttle *t, const char *client,
    uint64_t now);
/* It knew the password: forgiven. */
void auth_throttle_success(struct throttle *t, const char *client);
/* Forgets those that did not fail for a while. */
void auth_throttle_sweep(struct throttle *t, uint64_t now);
size_t auth_throttle_count(const struct throttle *t);

#endif
