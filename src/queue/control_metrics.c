/*
 * Everything in numbers, as text for Prometheus: what is counted
 * (metrics.c), and how things are.  Run by queue, asked by the control
 * socket.
 */
#include <string.h>

#include "base/clock.h"
#include "queue/control_private.h"

static void
line(struct strbuf *out, const char *name, const char *label,
    const char *value, uint64_t n)
{
	strbuf_printf(out, "smarthostd_%s", name);
	if (label != NULL) {
		strbuf_printf(out, "{%s=\"", label);
		for (; *value != 0; value++) {
			if (*value == '"' || *value == '\\')
				strbuf_putc(out, '\\');
			strbuf_putc(out, *value == '\n' ? ' ' : *value);
		}
		strbuf_puts(out, "\"}");
	}
	strbuf_printf(out, " %llu\n", (unsigned long long)n);
}

static void
gauge(struct strbuf *out, const char *name)
{
	strbuf_printf(out, "# TYPE smarthostd_%s gauge\n", name);
}

static void
account(void *arg, const struct queue_account_info *info)
{
	line(arg, "account_parked", "account", info->name,
	    info->state == QUEUE_PARKED);
}

/* Paused is neither up nor down by itself: it takes no mail. */
static void
transport(void *arg, const struct queue_lane_info *info)
{
	if (info->configured)
		line(arg, "transport_up", "transport", info->transport,
		    info->state == QUEUE_OK);
}

static void
counts(struct caller *cl, struct strbuf *out)
{
	struct queue_counts n;
	uint64_t size, now = clock_real_ms();

	queue_counts(cl->c->q, &n);
	gauge(out, "queue_messages");
	line(out, "queue_messages", "status", "queued", n.queued);
	line(out, "queue_messages", "status", "active", n.active);
	line(out, "queue_messages", "status", "deferred", n.deferred);
	line(out, "queue_messages", "status", "held", n.held);
	gauge(out, "queue_oldest_seconds");
	line(out, "queue_oldest_seconds", NULL, NULL, n.oldest != 0 &&
	    n.oldest < now ? (now - n.oldest) / 1000 : 0);
	gauge(out, "spool_free_bytes");
	line(out, "spool_free_bytes", NULL, NULL,
	    store_free_octets(queue_store(cl->c->q), &size));
}

static void
restarts(struct caller *cl, struct strbuf *out)
{
	const struct msg_status *s = queue_roles(cl->c->q);
	uint64_t n[ROLE_COUNT] = { 0 };
	uint32_t i;

	for (i = 0; s != NULL && i < s->n_roles; i++)
		if (s->role[i].role < ROLE_COUNT)
			n[s->role[i].role] += s->role[i].restarts;
	strbuf_puts(out, "# TYPE smarthostd_role_restarts_total counter\n");
	for (i = ROLE_LISTENER; i < ROLE_COUNT; i++)
		line(out, "role_restarts_total", "role",
		    role_name((enum role)i), n[i]);
}

enum step
control_metrics(struct caller *cl)
{
	struct strbuf out = STRBUF_INIT;

	queue_metrics(cl->c->q, &out);
	counts(cl, &out);
	gauge(&out, "transport_up");
	control_each_transport(cl, transport, &out);
	gauge(&out, "account_parked");
	queue_each_account(cl->c->q, account, &out);
	restarts(cl, &out);
	caller_data(cl, strbuf_slice(&out));
	strbuf_free(&out);
	return caller_end(cl, CTL_OK, "%s", "");
}
