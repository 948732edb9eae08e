/* Exchanges under way (auth): found by the number their peer gave them,
 * bounded in number and in time, gone with their peer. */
#include "auth/auth.h"

#include <stdlib.h>

#include "base/mem.h"
#include "ipc/msg.h"

static void
on_idle(void *arg)
{
	struct auth_exchange *x = arg;

	auth_exchange_free(&x);
}

struct auth_exchange *
auth_exchange_new(struct auth_peer *p, uint64_t number)
{
	struct auth_exchange *x;

	if (htab_count(p->exchanges) >= AUTH_EXCHANGES_MAX)
		return NULL;
	x = mem_zalloc(sizeof *x);
	x->peer = p;
	x->number = number;
	loop_timer_init(&x->timer, on_idle, x);
	loop_timer_set(p->owner->loop, &x->timer, AUTH_EXCHANGE_MS);
	htab_put_u64(p->exchanges, number, x);
	return x;
}

struct auth_exchange *
auth_exchange_find(struct auth_peer *p, uint64_t number)
{
	return htab_get_u64(p->exchanges, number);
}

void
auth_exchange_free(struct auth_exchange **xp)
{
	struct auth_exchange *x = *xp;

	if (x == NULL)
		return;
	htab_del_u64(x->peer->exchanges, x->number);
	loop_timer_cancel(x->peer->owner->loop, &x->timer);
	if (x->state != NULL)
		x->state_free(x->state);
	free(x->client);
	free(x);
	*xp = NULL;
}

void
auth_exchange_limit(struct auth_exchange *x, uint64_t ms,
    void (*late)(void *x))
{
	loop_timer_cancel(x->peer->owner->loop, &x->timer);
	loop_timer_init(&x->timer, late, x);
	loop_timer_set(x->peer->owner->loop, &x->timer, ms);
}

void
auth_exchange_keep(struct auth_exchange *x)
{
	auth_exchange_limit(x, AUTH_EXCHANGE_MS, on_idle);
}

void
auth_exchange_free_all(struct auth_peer *p)
{
	struct auth_exchange *x;
	size_t pos = 0;

	while ((x = htab_next(p->exchanges, &pos, NULL)) != NULL)
		auth_exchange_free(&x);
}

void
auth_answer_send(struct auth_peer *p, uint16_t type, uint64_t ref,
    const struct auth_answer *a)
{
	struct strbuf b = STRBUF_INIT;
	/* The encoder only reads them. */
	struct msg_auth_step step = {
		.state = a->state,
		.mechanism = (char *)(uintptr_t)a->mechanism,
		.has_data = a->has_data,
		.data = a->data,
		.login = (char *)(uintptr_t)a->login,
		.text = (char *)(uintptr_t)a->text,
		.again = a->again,
	};

	msg_auth_step_encode(&b, &step);
	port_send_reply(p->port, type, ref, strbuf_slice(&b));
	strbuf_wipe(&b);
}

void
auth_refuse(struct auth_peer *p, uint64_t ref,
    enum auth_state state, const char *text)
{
	struct auth_answer a = { .state = (uint8_t)state, .text = text };

	auth_answer_send(p, MSG_CRED_STEP, ref, &a);
}
