/* The frame of internal messages inside a SOCK_SEQPACKET packet. */
#ifndef IPC_PACKET_H
#define IPC_PACKET_H

#include <stdint.h>

#include "base/slice.h"
#include "base/strbuf.h"

#define PACKET_MAX 65536u	/* octets of one packet */
#define PACKET_HEAD 16u		/* length4 type2 flags2 ref8 */

enum packet_flag {
	PACKET_REPLY = 1,	/* ref is one of the receiver's requests */
	PACKET_FD = 2,		/* the packet's descriptor is this one's */
	PACKET_CREDIT = 4,	/* ref octets are given back */
	PACKET_WHOLE = 8,	/* transfer: metalen4 meta body */
	PACKET_BEGIN = 16,	/* transfer: metalen4 bodylen4 */
	PACKET_PART = 32,	/* transfer: octets, meta first */
	PACKET_LAST = 64	/* with PART: the transfer is complete */
};

struct packet_head {
	uint32_t n;		/* octets of data behind the head */
	uint16_t type, flags;
	uint64_t ref;
};

void packet_put_head(struct strbuf *b, const struct packet_head *h);
/* Cuts the next message off *rest: 1 there is one, 0 the end, -1 garbage. */
int packet_next(struct slice *rest, struct packet_head *h,
    struct slice *data);

#endif
