/* A next hop is tried for a human: one session beside those of the pools,
 * whose every step is told. */
#ifndef DELIVERY_TRIAL_H
#define DELIVERY_TRIAL_H

#include "delivery/pool.h"
#include "ipc/msg.h"

struct trial;

/* Called once, later, when all is over; the trial is gone then. */
typedef void trial_cb(void *arg, struct trial *t,
    const struct msg_trial_done *d);

/* conf, t: delivery's own, outlive the trial.  m is copied. */
struct trial *trial_start(struct pool_env *env, const struct conf *conf,
    const struct conf_transport *t, const struct msg_trial *m, trial_cb *cb,
    void *arg);
/* No callback comes any more.  *t may be NULL. */
void trial_cancel(struct trial **t);

#endif
