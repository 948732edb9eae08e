/*
 * SASL exchanges between listener, delivery and auth, and the secrets that
 * auth gets from monitor.  What they carry may be
 * secret: the owner wipes its buffers.  Decoders are bounded; -1 is garbage.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ipc/msg.h"
#include "ipc/wire.h"

#define NAME_MAX_OCTETS 1024
#define DATA_MAX 16384		/* a line of 12,288 octets decoded, and more */
#define TEXT_MAX 1024
#define BINDING_MAX 64

static void
put_binding(struct strbuf *b, const struct msg_binding *m)
{
	wire_put_str(b, m->type);
	wire_put_slice(b, m->data);
}

static void
get_binding(struct wire_reader *r, struct msg_binding *m)
{
	m->type = wire_str(r, NAME_MAX_OCTETS);
	m->data = wire_slice(r, BINDING_MAX);
}

void
msg_auth_encode(struct strbuf *b, const struct msg_auth *m)
{
	uint32_t i;

	wire_put_u64(b, m->session);
	wire_put_str(b, m->mechanism);
	wire_put_u8(b, m->has_data);
	wire_put_slice(b, m->data);
	wire_put_str(b, m->client);
	wire_put_u8(b, m->secure);
	wire_put_u32(b, m->n_bindings);
	for (i = 0; i < m->n_bindings; i++)
		put_binding(b, &m->binding[i]);
}

int
msg_auth_decode(struct slice s, struct msg_auth *m)
{
	struct wire_reader r = wire_reader(s);
	uint32_t n;
	bool good;

	memset(m, 0, sizeof(*m));
	m->session = wire_u64(&r);
	m->mechanism = wire_str(&r, NAME_MAX_OCTETS);
	m->has_data = wire_u8(&r) != 0;
	m->data = wire_slice(&r, DATA_MAX);
	m->client = wire_str(&r, NAME_MAX_OCTETS);
	m->secure = wire_u8(&r) != 0;
	n = wire_u32(&r);
	for (good = n <= MSG_BINDINGS_MAX; good && m->n_bindings < n;
	    m->n_bindings++) {
		get_binding(&r, &m->binding[m->n_bindings]);
		good = m->binding[m->n_bindings].type != NULL;
	}
	if (good && wire_end(&r))
		return 0;
	msg_auth_clear(m);
	return -1;
}

void
msg_auth_clear(struct msg_auth *m)
{
	size_t i;

	for (i = 0; i < MSG_BINDINGS_MAX; i++)
		free(m->binding[i].type);
	free(m->mechanism);
	free(m->client);
	memset(m, 0, sizeof(*m));
}

void
msg_cred_encode(struct strbuf *b, const struct msg_cred *m)
{
	wire_put_u64(b, m->session);
	wire_put_str(b, m->transport);
	wire_put_str(b, m->host);
	wire_put_str(b, m->mechanisms);
	wire_put_u8(b, m->secure);
	wire_put_slice(b, m->data);
	put_binding(b, &m->binding);
}

int
msg_cred_decode(struct slice s, struct msg_cred *m)
{
	struct wire_reader r = wire_reader(s);

	memset(m, 0, sizeof(*m));
	m->session = wire_u64(&r);
	m->transport = wire_str(&r, NAME_MAX_OCTETS);
	m->host = wire_str(&r, NAME_MAX_OCTETS);
	m->mechanisms = wire_str(&r, NAME_MAX_OCTETS);
	m->secure = wire_u8(&r) != 0;
	m->data = wire_slice(&r, DATA_MAX);
	get_binding(&r, &m->binding);
	if (wire_end(&r))
		return 0;
	msg_cred_clear(m);
	return -1;
}

void
msg_cred_clear(struct msg_cred *m)
{
	free(m->transport);
	free(m->host);
	free(m->mechanisms);
	free(m->binding.type);
	memset(m, 0, sizeof(*m));
}

void
msg_auth_step_encode(struct strbuf *b, const struct msg_auth_step *m)
{
	wire_put_u8(b, m->state);
	wire_put_str(b, m->mechanism);
	wire_put_u8(b, m->has_data);
	wire_put_slice(b, m->data);
	wire_put_str(b, m->login);
	wire_put_str(b, m->text);
	wire_put_u8(b, m->again);
}

int
msg_auth_step_decode(struct slice s, struct msg_auth_step *m)
{
	struct wire_reader r = wire_reader(s);

	memset(m, 0, sizeof(*m));
	m->state = wire_u8(&r);
	m->mechanism = wire_str(&r, NAME_MAX_OCTETS);
	m->has_data = wire_u8(&r) != 0;
	m->data = wire_slice(&r, DATA_MAX);
	m->login = wire_str(&r, NAME_MAX_OCTETS);
	m->text = wire_str(&r, TEXT_MAX);
	m->again = wire_u8(&r) != 0;
	if (wire_end(&r) && m->state <= AUTH_NO_MECHANISM)
		return 0;
	msg_auth_step_clear(m);
	return -1;
}

void
msg_auth_step_clear(struct msg_auth_step *m)
{
	free(m->mechanism);
	free(m->login);
	free(m->text);
	memset(m, 0, sizeof(*m));
}

void
msg_secret_encode(struct strbuf *b, const struct msg_secret *m)
{
	wire_put_u8(b, m->of);
	wire_put_str(b, m->name);
}

int
msg_secret_decode(struct slice s, struct msg_secret *m)
{
	struct wire_reader r = wire_reader(s);

	memset(m, 0, sizeof(*m));
	m->of = wire_u8(&r);
	m->name = wire_str(&r, NAME_MAX_OCTETS);
	if (wire_end(&r) && m->name != NULL && m->of < SECRET_OF_COUNT)
		return 0;
	msg_secret_clear(m);
	return -1;
}

void
msg_secret_clear(struct msg_secret *m)
{
	free(m->name);
	memset(m, 0, sizeof(*m));
}

void
msg_secret_done_encode(struct strbuf *b, const struct msg_secret_done *m)
{
	wire_put_u8(b, m->ok);
	wire_put_slice(b, m->text);
}

int
msg_secret_done_decode(struct slice s, struct msg_secret_done *m)
{
	struct wire_reader r = wire_reader(s);

	m->ok = wire_u8(&r) != 0;
	m->text = wire_slice(&r, DATA_MAX);
	return wire_end(&r) ? 0 : -1;
}
