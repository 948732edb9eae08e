/*
 * Jobs and their results, between queue and delivery.  Decoders are bounded;
 * -1 is garbage, and nothing is left to free then.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ipc/msg.h"
#include "ipc/wire.h"

#define ADDRESS_MAX 4096	/* octets; longer ones never got in */
#define TEXT_MAX 65536
#define RCPT_MAX 100000

void
msg_job_encode(struct strbuf *b, const struct msg_job *m)
{
	uint32_t i;

	wire_put_u64(b, m->id);
	wire_put_str(b, m->transport);
	wire_put_str(b, m->site);
	wire_put_u8(b, m->avoid);
	wire_put_u8(b, m->first);
	wire_put_str(b, m->from);
	wire_put_str(b, m->helo);
	wire_put_u32(b, m->connections);
	wire_put_u32(b, m->per_host);
	wire_put_u32(b, m->setbacks);
	wire_put_u8(b, m->eight_bit);
	wire_put_u8(b, m->smtputf8);
	wire_put_u8(b, m->ret);
	wire_put_str(b, m->envid);
	wire_put_str(b, m->trace);
	wire_put_u32(b, m->skip);
	wire_put_u64(b, m->body_size);
	wire_put_u32(b, m->body_crc);
	wire_put_u32(b, m->n_rcpt);
	for (i = 0; i < m->n_rcpt; i++) {
		wire_put_u32(b, m->rcpt[i].index);
		wire_put_str(b, m->rcpt[i].address);
		wire_put_u8(b, m->rcpt[i].notify);
		wire_put_str(b, m->rcpt[i].orcpt);
	}
}

int
msg_job_decode(struct slice s, struct msg_job *m)
{
	struct wire_reader r = wire_reader(s);
	uint32_t i, n;

	memset(m, 0, sizeof(*m));
	m->id = wire_u64(&r);
	m->transport = wire_str(&r, ADDRESS_MAX);
	m->site = wire_str(&r, MSG_SITE_MAX);
	m->avoid = wire_u8(&r);
	m->first = wire_u8(&r) != 0;
	m->from = wire_str(&r, ADDRESS_MAX);
	m->helo = wire_str(&r, ADDRESS_MAX);
	m->connections = wire_u32(&r);
	m->per_host = wire_u32(&r);
	m->setbacks = wire_u32(&r);
	m->eight_bit = wire_u8(&r) != 0;
	m->smtputf8 = wire_u8(&r) != 0;
	m->ret = wire_u8(&r);
	m->envid = wire_str(&r, ADDRESS_MAX);
	m->trace = wire_str(&r, TEXT_MAX);
	m->skip = wire_u32(&r);
	m->body_size = wire_u64(&r);
	m->body_crc = wire_u32(&r);
	r.bad |= m->skip > m->body_size;
	n = wire_count(&r, RCPT_MAX, 7);
	m->rcpt = mem_zarray(n, sizeof(*m->rcpt));
	for (i = 0; i < n && !r.bad; i++) {
		m->n_rcpt = i + 1;
		m->rcpt[i].index = wire_u32(&r);
		m->rcpt[i].address = wire_str(&r, ADDRESS_MAX);
		m->rcpt[i].notify = wire_u8(&r);
		m->rcpt[i].orcpt = wire_str(&r, ADDRESS_MAX);
		if (m->rcpt[i].address == NULL)
			r.bad = true;
	}
	if (wire_end(&r) && m->transport != NULL && m->from != NULL &&
	    m->trace != NULL && m->n_rcpt > 0)
		return 0;
	msg_job_clear(m);
	return -1;
}

void
msg_job_clear(struct msg_job *m)
{
	uint32_t i;

	for (i = 0; i < m->n_rcpt; i++) {
		free(m->rcpt[i].address);
		free(m->rcpt[i].orcpt);
	}
	free(m->rcpt);
	free(m->transport);
	free(m->site);
	free(m->from);
	free(m->helo);
	free(m->envid);
	free(m->trace);
	memset(m, 0, sizeof(*m));
}

void
msg_job_done_encode(struct strbuf *b, const struct msg_job_done *m)
{
	uint32_t i;

	wire_put_u8(b, m->class);
	wire_put_str(b, m->remote);
	wire_put_str(b, m->tls);
	wire_put_str(b, m->verify);
	wire_put_str(b, m->spf);
	wire_put_str(b, m->text);
	wire_put_u32(b, m->sessions);
	wire_put_u32(b, m->setbacks);
	wire_put_u8(b, m->full);
	wire_put_u32(b, m->held);
	wire_put_u32(b, m->connect_ms);
	wire_put_u32(b, m->transfer_ms);
	wire_put_u32(b, m->n_rcpt);
	for (i = 0; i < m->n_rcpt; i++) {
		wire_put_u32(b, m->rcpt[i].index);
		wire_put_u16(b, m->rcpt[i].code);
		wire_put_u8(b, m->rcpt[i].status[0]);
		wire_put_u8(b, m->rcpt[i].status[1]);
		wire_put_u8(b, m->rcpt[i].status[2]);
		wire_put_str(b, m->rcpt[i].text);
	}
}

int
msg_job_done_decode(struct slice s, struct msg_job_done *m)
{
	struct wire_reader r = wire_reader(s);
	uint32_t i, n;

	memset(m, 0, sizeof(*m));
	m->class = wire_u8(&r);
	m->remote = wire_str(&r, TEXT_MAX);
	m->tls = wire_str(&r, TEXT_MAX);
	m->verify = wire_str(&r, TEXT_MAX);
	m->spf = wire_str(&r, TEXT_MAX);
	m->text = wire_str(&r, TEXT_MAX);
	m->sessions = wire_u32(&r);
	m->setbacks = wire_u32(&r);
	m->full = wire_u8(&r) != 0;
	m->held = wire_u32(&r);
	m->connect_ms = wire_u32(&r);
	m->transfer_ms = wire_u32(&r);
	n = wire_count(&r, RCPT_MAX, 10);
	m->rcpt = mem_zarray(n, sizeof(*m->rcpt));
	for (i = 0; i < n && !r.bad; i++) {
		struct msg_job_result *t = &m->rcpt[i];

		m->n_rcpt = i + 1;
		t->index = wire_u32(&r);
		t->code = wire_u16(&r);
		t->status[0] = wire_u8(&r);
		t->status[1] = wire_u8(&r);
		t->status[2] = wire_u8(&r);
		t->text = wire_str(&r, TEXT_MAX);
		if (t->text == NULL || t->code < 200 || t->code > 599)
			r.bad = true;
	}
	if (wire_end(&r) && m->class <= JOB_OFFLINE)
		return 0;
	msg_job_done_clear(m);
	return -1;
}

void
msg_job_done_clear(struct msg_job_done *m)
{
	uint32_t i;

	for (i = 0; i < m->n_rcpt; i++)
		free(m->rcpt[i].text);
	free(m->rcpt);
	free(m->remote);
	free(m->tls);
	free(m->verify);
	free(m->spf);
	free(m->text);
	memset(m, 0, sizeof(*m));
}

/* ---- next hops ---- */

void
msg_next_hop_encode(struct strbuf *b, const struct msg_next_hop *m)
{
	wire_put_str(b, m->transport);
	wire_put_str(b, m->domain);
	wire_put_u8(b, m->fresh);
	wire_put_str(b, m->policy);
}

int
msg_next_hop_decode(struct slice s, struct msg_next_hop *m)
{
	struct wire_reader r = wire_reader(s);

	memset(m, 0, sizeof(*m));
	m->transport = wire_str(&r, ADDRESS_MAX);
	m->domain = wire_str(&r, ADDRESS_MAX);
	m->fresh = wire_u8(&r) != 0;
	m->policy = wire_str(&r, MSG_POLICY_MAX);
	if (wire_end(&r) && m->transport != NULL && m->domain != NULL)
		return 0;
	msg_next_hop_clear(m);
	return -1;
}

void
msg_next_hop_clear(struct msg_next_hop *m)
{
	free(m->transport);
	free(m->domain);
	free(m->policy);
	memset(m, 0, sizeof(*m));
}

void
msg_site_encode(struct strbuf *b, const struct msg_site *m)
{
	wire_put_u8(b, m->result);
	wire_put_u32(b, m->ttl);
	wire_put_str(b, m->site);
	wire_put_str(b, m->policy);
	wire_put_u16(b, m->code);
	wire_put_u8(b, m->status[0]);
	wire_put_u8(b, m->status[1]);
	wire_put_u8(b, m->status[2]);
	wire_put_str(b, m->text);
}

/* What is found has a name, what is not has a code and a text. */
static bool
site_whole(const struct msg_site *m)
{
	if (m->result == SITE_FOUND)
		return m->site != NULL && m->site[0] != '\0';
	return m->result <= SITE_OFFLINE && m->text != NULL &&
	    m->code >= 400 && m->code <= 599;
}

int
msg_site_decode(struct slice s, struct msg_site *m)
{
	struct wire_reader r = wire_reader(s);

	memset(m, 0, sizeof(*m));
	m->result = wire_u8(&r);
	m->ttl = wire_u32(&r);
	m->site = wire_str(&r, MSG_SITE_MAX);
	m->policy = wire_str(&r, MSG_POLICY_MAX);
	m->code = wire_u16(&r);
	m->status[0] = wire_u8(&r);
	m->status[1] = wire_u8(&r);
	m->status[2] = wire_u8(&r);
	m->text = wire_str(&r, TEXT_MAX);
	if (wire_end(&r) && site_whole(m))
		return 0;
	msg_site_clear(m);
	return -1;
}

void
msg_site_clear(struct msg_site *m)
{
	free(m->site);
	free(m->policy);
	free(m->text);
	memset(m, 0, sizeof(*m));
}
