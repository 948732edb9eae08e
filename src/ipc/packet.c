/*
 * The frame of internal messages.  Run by every role; a frame that does not
 * fit its packet is garbage, and garbage ends the channel.
 */
#include "ipc/packet.h"

#include "ipc/wire.h"

void
packet_put_head(struct strbuf *b, const struct packet_head *h)
{
	wire_put_u32(b, h->n);
	wire_put_u16(b, h->type);
	wire_put_u16(b, h->flags);
	wire_put_u64(b, h->ref);
}

int
packet_next(struct slice *rest, struct packet_head *h, struct slice *data)
{
	struct wire_reader r = wire_reader(*rest);

	if (rest->n == 0)
		return 0;
	h->n = wire_u32(&r);
	h->type = wire_u16(&r);
	h->flags = wire_u16(&r);
	h->ref = wire_u64(&r);
	if (r.bad || h->n > r.rest.n)
		return -1;
	*data = slice_of(r.rest.p, h->n);
	*rest = slice_skip(r.rest, h->n);
	return 1;
}
