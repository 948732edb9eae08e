/*
 * Token files, CMS sockets and commands about OAuth2, between auth, monitor
 * and queue.  What they carry may be secret: the owner wipes its buffers.
 * Decoders are bounded; -1 is garbage.
 */
#include <stdlib.h>
#include <string.h>

#include "ipc/msg.h"
#include "ipc/wire.h"

#define NAME_MAX_OCTETS MSG_OAUTH_NAME_MAX

void
msg_token_encode(struct strbuf *b, const struct msg_token *m)
{
	wire_put_str(b, m->name);
	wire_put_u8(b, m->lock);
	wire_put_u8(b, m->holder);
	wire_put_slice(b, m->text);
}

int
msg_token_decode(struct slice s, struct msg_token *m)
{
	struct wire_reader r = wire_reader(s);

	memset(m, 0, sizeof(*m));
	m->name = wire_str(&r, NAME_MAX_OCTETS);
	m->lock = wire_u8(&r) != 0;
	m->holder = wire_u8(&r);
	m->text = wire_slice(&r, MSG_TOKEN_TEXT_MAX);
	if (wire_end(&r) && m->name != NULL)
		return 0;
	msg_token_clear(m);
	return -1;
}

void
msg_token_clear(struct msg_token *m)
{
	free(m->name);
	memset(m, 0, sizeof(*m));
}

void
msg_token_done_encode(struct strbuf *b, const struct msg_token_done *m)
{
	wire_put_u8(b, m->state);
	wire_put_slice(b, m->text);
}

int
msg_token_done_decode(struct slice s, struct msg_token_done *m)
{
	struct wire_reader r = wire_reader(s);

	m->state = wire_u8(&r);
	m->text = wire_slice(&r, MSG_TOKEN_TEXT_MAX);
	return wire_end(&r) && m->state <= TOKEN_FAILED ? 0 : -1;
}

void
msg_oauth_call_encode(struct strbuf *b, const struct msg_oauth_call *m)
{
	wire_put_str(b, m->command);
	wire_put_str(b, m->name);
	wire_put_str(b, m->flow);
	wire_put_str(b, m->url);
	wire_put_u16(b, m->port);
}

int
msg_oauth_call_decode(struct slice s, struct msg_oauth_call *m)
{
	struct wire_reader r = wire_reader(s);

	memset(m, 0, sizeof(*m));
	m->command = wire_str(&r, NAME_MAX_OCTETS);
	m->name = wire_str(&r, NAME_MAX_OCTETS);
	m->flow = wire_str(&r, NAME_MAX_OCTETS);
	m->url = wire_str(&r, MSG_OAUTH_URL_MAX);
	m->port = wire_u16(&r);
	if (wire_end(&r) && m->command != NULL)
		return 0;
	msg_oauth_call_clear(m);
	return -1;
}

void
msg_oauth_call_clear(struct msg_oauth_call *m)
{
	free(m->command);
	free(m->name);
	free(m->flow);
	free(m->url);
	memset(m, 0, sizeof(*m));
}

void
msg_credential_new_encode(struct strbuf *b,
    const struct msg_credential_new *m)
{
	wire_put_str(b, m->transport);
}

int
msg_credential_new_decode(struct slice s, struct msg_credential_new *m)
{
	struct wire_reader r = wire_reader(s);

	m->transport = wire_str(&r, NAME_MAX_OCTETS);
	if (wire_end(&r) && m->transport != NULL)
		return 0;
	msg_credential_new_clear(m);
	return -1;
}

void
msg_credential_new_clear(struct msg_credential_new *m)
{
	free(m->transport);
	m->transport = NULL;
}
