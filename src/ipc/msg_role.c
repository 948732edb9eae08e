/*
 * Messages between monitor and the roles.  Run by all of them; a decoder
 * that returns -1 has met garbage and left nothing behind.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ipc/msg.h"
#include "ipc/wire.h"

const char *
role_name(enum role role)
{
	static const char *const names[ROLE_COUNT] = {
		"monitor", "listener", "queue", "delivery", "auth"
	};

	return (unsigned)role < ROLE_COUNT ? names[role] : "unknown";
}

void
msg_role_encode(struct strbuf *b, const struct msg_role *m)
{
	wire_put_u32(b, m->slot);
	wire_put_u32(b, m->instance);
	wire_put_u8(b, m->has_group);
	wire_put_u32(b, m->group);
}

int
msg_role_decode(struct slice s, struct msg_role *m)
{
	struct wire_reader r = wire_reader(s);

	m->slot = wire_u32(&r);
	m->instance = wire_u32(&r);
	m->has_group = wire_u8(&r) != 0;
	m->group = wire_u32(&r);
	return wire_end(&r) && m->instance < 256 ? 0 : -1;
}

void
msg_log_encode(struct strbuf *b, const struct msg_log *m)
{
	wire_put_u8(b, m->sink);
	wire_put_u8(b, m->format);
	wire_put_u8(b, m->level);
}

int
msg_log_decode(struct slice s, struct msg_log *m)
{
	struct wire_reader r = wire_reader(s);

	m->sink = wire_u8(&r);
	m->format = wire_u8(&r);
	m->level = wire_u8(&r);
	return wire_end(&r) && m->sink < 2 && m->format < 2 && m->level < 4 ?
	    0 : -1;
}

void
msg_listen_encode(struct strbuf *b, const struct msg_listen *m)
{
	wire_put_u8(b, m->kind);
	wire_put_u32(b, m->index);
	wire_put_u8(b, m->has_group);
	wire_put_u32(b, m->group);
}

int
msg_listen_decode(struct slice s, struct msg_listen *m)
{
	struct wire_reader r = wire_reader(s);

	m->kind = wire_u8(&r);
	m->index = wire_u32(&r);
	m->has_group = wire_u8(&r) != 0;
	m->group = wire_u32(&r);
	return wire_end(&r) && m->kind <= LISTEN_TOKEN ? 0 : -1;
}

void
msg_peer_encode(struct strbuf *b, const struct msg_peer *m)
{
	wire_put_u8(b, m->role);
	wire_put_u32(b, m->slot);
}

int
msg_peer_decode(struct slice s, struct msg_peer *m)
{
	struct wire_reader r = wire_reader(s);

	m->role = wire_u8(&r);
	m->slot = wire_u32(&r);
	return wire_end(&r) && m->role < ROLE_COUNT ? 0 : -1;
}

#define STATUS_ROLES (sizeof(((struct msg_status *)0)->role) / \
    sizeof(struct msg_status_role))

void
msg_status_encode(struct strbuf *b, const struct msg_status *m)
{
	uint32_t i;

	wire_put_u64(b, m->started);
	wire_put_u32(b, m->pid);
	wire_put_u32(b, m->n_roles);
	for (i = 0; i < m->n_roles; i++) {
		wire_put_u8(b, m->role[i].role);
		wire_put_u32(b, m->role[i].slot);
		wire_put_u32(b, m->role[i].pid);
		wire_put_u32(b, m->role[i].restarts);
		wire_put_u64(b, m->role[i].started);
	}
}

int
msg_status_decode(struct slice s, struct msg_status *m)
{
	struct wire_reader r = wire_reader(s);
	uint32_t i;

	m->started = wire_u64(&r);
	m->pid = wire_u32(&r);
	m->n_roles = wire_count(&r, STATUS_ROLES, 21);
	for (i = 0; i < m->n_roles; i++) {
		m->role[i].role = wire_u8(&r);
		m->role[i].slot = wire_u32(&r);
		m->role[i].pid = wire_u32(&r);
		m->role[i].restarts = wire_u32(&r);
		m->role[i].started = wire_u64(&r);
		if (m->role[i].role >= ROLE_COUNT)
			r.bad = true;
	}
	return wire_end(&r) ? 0 : -1;
}

void
msg_local_encode(struct strbuf *b, const struct msg_local *m)
{
	uint32_t i;

	wire_put_str(b, m->transport);
	wire_put_str(b, m->sender);
	wire_put_str(b, m->recipient);
	wire_put_u32(b, m->n_more);
	for (i = 0; i < m->n_more; i++)
		wire_put_str(b, m->more[i]);
}

int
msg_local_decode(struct slice s, struct msg_local *m)
{
	struct wire_reader r = wire_reader(s);
	uint32_t n;

	memset(m, 0, sizeof(*m));
	m->transport = wire_str(&r, 4096);
	m->sender = wire_str(&r, 4096);
	m->recipient = wire_str(&r, 4096);
	n = wire_count(&r, MSG_LOCAL_RCPT_MAX - 1, 4);
	if (n > 0)
		m->more = mem_zarray(n, sizeof(*m->more));
	while (!r.bad && m->n_more < n) {
		m->more[m->n_more] = wire_str(&r, 4096);
		r.bad |= m->more[m->n_more++] == NULL;
	}
	if (wire_end(&r) && m->transport != NULL && m->sender != NULL &&
	    m->recipient != NULL)
		return 0;
	msg_local_clear(m);
	return -1;
}

void
msg_local_clear(struct msg_local *m)
{
	uint32_t i;

	for (i = 0; i < m->n_more; i++)
		free(m->more[i]);
	free(m->more);
	free(m->transport);
	free(m->sender);
	free(m->recipient);
	memset(m, 0, sizeof(*m));
}

/* Copies text into a fixed field, what is not printable as "?". */
static void
put_text(char *out, size_t size, struct slice s)
{
	size_t i, n = s.n < size ? s.n : size - 1;

	for (i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		out[i] = (char)(c < 32 || c == 127 ? '?' : c);
	}
	out[n] = 0;
}

void
msg_local_done_encode(struct strbuf *b, const struct msg_local_done *m)
{
	wire_put_u8(b, m->exit_status);
	wire_put_slice(b, slice_cstr(m->text));
	wire_put_slice(b, slice_of(m->own, m->n_own));
}

int
msg_local_done_decode(struct slice s, struct msg_local_done *m)
{
	struct wire_reader r = wire_reader(s);
	struct slice own;

	m->exit_status = wire_u8(&r);
	put_text(m->text, sizeof(m->text), wire_slice(&r, sizeof(m->text)));
	own = wire_slice(&r, sizeof(m->own));
	if (!wire_end(&r))
		return -1;
	memset(m->own, 0, sizeof(m->own));
	memcpy(m->own, own.p, own.n);
	m->n_own = (uint32_t)own.n;
	return 0;
}

void
msg_connect_encode(struct strbuf *b, const struct msg_connect *m)
{
	wire_put_str(b, m->transport);
}

int
msg_connect_decode(struct slice s, struct msg_connect *m)
{
	struct wire_reader r = wire_reader(s);

	m->transport = wire_str(&r, 4096);
	if (wire_end(&r) && m->transport != NULL)
		return 0;
	msg_connect_clear(m);
	return -1;
}

void
msg_connect_clear(struct msg_connect *m)
{
	free(m->transport);
	memset(m, 0, sizeof(*m));
}

void
msg_connected_encode(struct strbuf *b, const struct msg_connected *m)
{
	wire_put_u8(b, m->passing);
	wire_put_slice(b, slice_cstr(m->text));
}

int
msg_connected_decode(struct slice s, struct msg_connected *m)
{
	struct wire_reader r = wire_reader(s);

	m->passing = wire_u8(&r) != 0;
	put_text(m->text, sizeof(m->text), wire_slice(&r, sizeof(m->text)));
	return wire_end(&r) ? 0 : -1;
}

void
msg_done_encode(struct strbuf *b, const struct msg_done *m)
{
	wire_put_u16(b, m->code);
	wire_put_u8(b, m->status[0]);
	wire_put_u8(b, m->status[1]);
	wire_put_u8(b, m->status[2]);
	wire_put_slice(b, slice_cstr(m->text));
}

int
msg_done_decode(struct slice s, struct msg_done *m)
{
	struct wire_reader r = wire_reader(s);

	m->code = wire_u16(&r);
	m->status[0] = wire_u8(&r);
	m->status[1] = wire_u8(&r);
	m->status[2] = wire_u8(&r);
	put_text(m->text, sizeof(m->text), wire_slice(&r, sizeof(m->text)));
	return wire_end(&r) && m->code >= 200 && m->code <= 599 ? 0 : -1;
}

void
msg_alert_encode(struct strbuf *b, const struct msg_alert *m)
{
	wire_put_slice(b, slice_cstr(m->kind));
	wire_put_slice(b, slice_cstr(m->object));
	wire_put_u8(b, m->begin);
	wire_put_slice(b, slice_cstr(m->text));
}

int
msg_alert_decode(struct slice s, struct msg_alert *m)
{
	struct wire_reader r = wire_reader(s);

	put_text(m->kind, sizeof(m->kind), wire_slice(&r,
	    sizeof(m->kind) - 1));
	put_text(m->object, sizeof(m->object), wire_slice(&r,
	    sizeof(m->object) - 1));
	m->begin = wire_u8(&r) != 0;
	put_text(m->text, sizeof(m->text), wire_slice(&r,
	    sizeof(m->text) - 1));
	return wire_end(&r) ? 0 : -1;
}

#define STATS_MAX (sizeof(((struct msg_stats *)0)->open) / sizeof(uint32_t))

void
msg_stats_encode(struct strbuf *b, const struct msg_stats *m)
{
	uint32_t i;

	wire_put_u32(b, m->n);
	for (i = 0; i < m->n; i++)
		wire_put_u32(b, m->open[i]);
}

int
msg_stats_decode(struct slice s, struct msg_stats *m)
{
	struct wire_reader r = wire_reader(s);
	uint32_t i;

	m->n = wire_count(&r, STATS_MAX, 4);
	for (i = 0; i < m->n; i++)
		m->open[i] = wire_u32(&r);
	return wire_end(&r) ? 0 : -1;
}

#define COUNTS_MAX (sizeof(((struct msg_counts *)0)->v) / \
    sizeof(((struct msg_counts *)0)->v[0]))

void
msg_counts_encode(struct strbuf *b, const struct msg_counts *m)
{
	uint32_t i;

	wire_put_u32(b, m->n);
	for (i = 0; i < m->n; i++) {
		wire_put_slice(b, slice_cstr(m->v[i].name));
		wire_put_u64(b, m->v[i].count);
	}
}

int
msg_counts_decode(struct slice s, struct msg_counts *m)
{
	struct wire_reader r = wire_reader(s);
	uint32_t i;

	m->n = wire_count(&r, COUNTS_MAX, 12);
	for (i = 0; i < m->n; i++) {
		put_text(m->v[i].name, sizeof(m->v[i].name), wire_slice(&r,
		    sizeof(m->v[i].name) - 1));
		m->v[i].count = wire_u64(&r);
	}
	return wire_end(&r) ? 0 : -1;
}
