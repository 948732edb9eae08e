/*
 * The login of a transport's proxy, between delivery and auth.  What it
 * carries is secret: the owner wipes its buffers.  Decoders are bounded; -1 is
 * garbage.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ipc/msg.h"
#include "ipc/wire.h"

#define NAME_MAX_OCTETS 1024
#define LOGIN_MAX 255			/* as SOCKS has it */
#define TEXT_MAX 1024

void
msg_proxy_login_encode(struct strbuf *b, const struct msg_proxy_login *m)
{
	wire_put_str(b, m->transport);
	wire_put_u32(b, m->proxy);
}

int
msg_proxy_login_decode(struct slice s, struct msg_proxy_login *m)
{
	struct wire_reader r = wire_reader(s);

	memset(m, 0, sizeof(*m));
	m->transport = wire_str(&r, NAME_MAX_OCTETS);
	m->proxy = wire_u32(&r);
	if (wire_end(&r) && m->transport != NULL)
		return 0;
	msg_proxy_login_clear(m);
	return -1;
}

void
msg_proxy_login_clear(struct msg_proxy_login *m)
{
	free(m->transport);
	memset(m, 0, sizeof(*m));
}

void
msg_proxy_secret_encode(struct strbuf *b, const struct msg_proxy_secret *m)
{
	wire_put_str(b, m->username);
	wire_put_str(b, m->password);
	wire_put_str(b, m->text);
}

int
msg_proxy_secret_decode(struct slice s, struct msg_proxy_secret *m)
{
	struct wire_reader r = wire_reader(s);

	memset(m, 0, sizeof(*m));
	m->username = wire_str(&r, LOGIN_MAX);
	m->password = wire_str(&r, LOGIN_MAX);
	m->text = wire_str(&r, TEXT_MAX);
	if (wire_end(&r) && (m->username != NULL) == (m->password != NULL) &&
	    (m->username != NULL || m->text != NULL))
		return 0;
	msg_proxy_secret_clear(m);
	return -1;
}

void
msg_proxy_secret_clear(struct msg_proxy_secret *m)
{
	free(m->username);
	mem_wipe_text(&m->password);
	free(m->text);
	memset(m, 0, sizeof(*m));
}
