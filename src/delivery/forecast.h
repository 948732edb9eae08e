/* What receivers will make of a sender's domain and the address that its mail
 * leaves from: SPF, before it leaves. */
#ifndef DELIVERY_FORECAST_H
#define DELIVERY_FORECAST_H

#include "io/resolve.h"
#include "mail/spf.h"

struct forecast;

struct forecast_answer {
	enum spf_result result;
	char *text;		/* "fail by `-all`" */
};

/* Called later, never from inside; the answer lives until it returns. */
typedef void forecast_cb(void *arg, const struct forecast_answer *a);

/* Embedded in the caller's; zeroed before first use. */
struct forecast_wait {
	TAILQ_ENTRY(forecast_wait) link;
	void *entry;		/* private: waits for this one */
	forecast_cb *cb;
	void *arg;
};

struct forecast *forecast_new(struct loop *loop, struct resolver *resolver);
/* Nobody is called any more. */
void forecast_free(struct forecast **f);
/* The domain (not its single addresses) is judged; helo is what we say.  NULL:
 * not known yet, w is called.  What is known holds for some minutes, and until
 * the next call. */
const struct forecast_answer *forecast_get(struct forecast *f,
    const char *domain, const struct mail_literal *ip, const char *helo,
    struct forecast_wait *w, forecast_cb *cb, void *arg);
/* Does nothing where it does not wait. */
void forecast_cancel(struct forecast_wait *w);

#endif
