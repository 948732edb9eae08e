/* The role `queue` on a test's loop, with a spool of its own that holds four
 * messages for a transport that never takes any, and a client of its control
 * socket: ids 1 and 2 of the network, 3 with a large body, 4 of the local
 * user OTHER. */
#ifndef TEST_QUEUE_CONTROL_WORLD_H
#define TEST_QUEUE_CONTROL_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ipc/port.h"
#include "queue/control.h"

#define OTHER 65534u			/* a uid that may not do all */

struct world {
	char dir[80];
	struct loop *loop;
	struct port *monitor;
	struct queue *q;
	struct control *control;
	bool ready;
	struct strbuf answer;
};

/* more: further messages, ids from 100 on. */
struct world *world_new(unsigned more);
int world_setup(void **state);
int world_teardown(void **state);
/* One turn of the loop; the test fails when it is later than end. */
uint64_t world_limit(void);
void world_turn(struct world *w, uint64_t end);

int world_connect(struct world *w);
void world_say(int fd, const char *text);
/* Adds what is there to the answer; false: it has ended. */
bool world_take(struct world *w, int fd, size_t max);
/* All of the answer, with a NUL behind it; closes fd. */
const char *world_hear(struct world *w, int fd);

/* A line, and what it is answered; valid until the next. */
const char *ask(struct world *w, const char *request);
const char *ask_as_other(struct world *w, const char *request);
/* A command on one message. */
const char *ask_id(struct world *w, const char *command, unsigned n);
const char *id_name(unsigned n);
unsigned count_text(const char *text, const char *what);

#define HAS(answer, text) do {						\
	const char *a_ = (answer);					\
	if (strstr(a_, text) == NULL)					\
		fail_msg("no %s in: %.2000s", text, a_);		\
} while (0)
#define ENDS(answer, status)						\
	HAS(answer, "{\"end\":{\"status\":" #status ",")

#endif
