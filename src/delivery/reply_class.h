/* Replies that speak of the account and not of the message. */
#ifndef DELIVERY_REPLY_CLASS_H
#define DELIVERY_REPLY_CLASS_H

#include <stdbool.h>

#include "conf/conf.h"
#include "ipc/msg.h"
#include "mail/smtp_reply.h"

/* A refusal from MAIL on: JOB_SETTLED, JOB_CREDENTIAL or JOB_QUOTA. */
enum job_class reply_class(const struct conf_transport *t,
    const struct smtp_reply *r);

/* Too many connections: the server means this session, or how many there are,
 * and nothing that is said in it. */
bool reply_is_full(const struct smtp_reply *r);

#endif
