/*
 * A next hop that is tried for a human, between queue and delivery.  Decoders
 * are bounded; -1 is garbage, and nothing is left to free then.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ipc/msg.h"
#include "ipc/wire.h"

#define ADDRESS_MAX 4096
#define MESSAGE_MAX 16384
#define STEPS_MAX 256
#define TEXT_MAX 4096
#define DIALOGUE_MAX 65536

void
msg_trial_encode(struct strbuf *b, const struct msg_trial *m)
{
	wire_put_str(b, m->transport);
	wire_put_str(b, m->from);
	wire_put_str(b, m->to);
	wire_put_str(b, m->message);
	wire_put_str(b, m->policy);
}

int
msg_trial_decode(struct slice s, struct msg_trial *m)
{
	struct wire_reader r = wire_reader(s);

	m->transport = wire_str(&r, ADDRESS_MAX);
	m->from = wire_str(&r, ADDRESS_MAX);
	m->to = wire_str(&r, ADDRESS_MAX);
	m->message = wire_str(&r, MESSAGE_MAX);
	m->policy = wire_str(&r, MSG_POLICY_MAX);
	if (wire_end(&r) && m->transport != NULL && m->from != NULL &&
	    (m->to != NULL || m->message == NULL))
		return 0;
	msg_trial_clear(m);
	return -1;
}

void
msg_trial_clear(struct msg_trial *m)
{
	free(m->transport);
	free(m->from);
	free(m->to);
	free(m->message);
	free(m->policy);
	memset(m, 0, sizeof(*m));
}

void
msg_trial_done_encode(struct strbuf *b, const struct msg_trial_done *m)
{
	uint32_t i;

	wire_put_str(b, m->dialogue);
	wire_put_u32(b, m->n_steps);
	for (i = 0; i < m->n_steps; i++) {
		wire_put_u8(b, m->step[i].ok);
		wire_put_str(b, m->step[i].name);
		wire_put_str(b, m->step[i].text);
	}
}

int
msg_trial_done_decode(struct slice s, struct msg_trial_done *m)
{
	struct wire_reader r = wire_reader(s);
	uint32_t i, n;

	memset(m, 0, sizeof(*m));
	m->dialogue = wire_str(&r, DIALOGUE_MAX);
	n = wire_count(&r, STEPS_MAX, 9);
	m->step = mem_zarray(n, sizeof(*m->step));
	for (i = 0; i < n && !r.bad; i++) {
		m->n_steps = i + 1;
		m->step[i].ok = wire_u8(&r) != 0;
		m->step[i].name = wire_str(&r, TEXT_MAX);
		m->step[i].text = wire_str(&r, TEXT_MAX);
		if (m->step[i].name == NULL || m->step[i].text == NULL)
			r.bad = true;
	}
	if (wire_end(&r) && m->dialogue != NULL)
		return 0;
	msg_trial_done_clear(m);
	return -1;
}

void
msg_trial_done_clear(struct msg_trial_done *m)
{
	uint32_t i;

	for (i = 0; i < m->n_steps; i++) {
		free(m->step[i].name);
		free(m->step[i].text);
	}
	free(m->step);
	free(m->dialogue);
	memset(m, 0, sizeof(*m));
}
