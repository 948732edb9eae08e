/* Numbers of messages: 64 bits that sort by arrival and that no two processes
 * give twice. */
#ifndef LISTENER_MESSAGE_NUMBER_H
#define LISTENER_MESSAGE_NUMBER_H

#include <stdint.h>

/* 42 bits of milliseconds since 1970, 8 of the instance, 14 of a counter. */
#define MESSAGE_NUMBER_INSTANCE_BITS 8
#define MESSAGE_NUMBER_COUNT_BITS 14

struct message_number {
	uint64_t ms;		/* of the last one */
	uint32_t count;
	uint8_t instance;
};

/* Greater than any before, also when the clock went back or when more than
 * 16,384 are wanted within a millisecond (it then runs ahead of the clock). */
uint64_t message_number_next(struct message_number *n, uint64_t now_ms);

#endif
