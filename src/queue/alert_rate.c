/*
 * Who sends more than anybody should: messages of each client and each local
 * user, counted over ten minutes.  Run by queue.
 *
 * It only counts: nothing is refused for it.  The table is bounded; when it is
 * full, those are forgotten who have been quiet.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "queue/alert.h"

#define RUNAWAY_MESSAGES 600u
#define PIECES 20			/* of ten minutes */
#define SENDERS_MAX 4096u

struct sender {
	uint32_t count[PIECES];
	uint32_t total;
	uint64_t piece;			/* the last one counted in */
	bool runaway;
	char name[];
};

/* Pieces that are over are taken off. */
static void
sender_roll(struct sender *s, uint64_t piece)
{
	uint64_t n = piece - s->piece, i;

	for (i = 1; i <= n && i <= PIECES; i++) {
		uint32_t *old = &s->count[(s->piece + i) % PIECES];

		s->total -= *old;
		*old = 0;
	}
	s->piece = piece;
}

static void
sender_judge(struct alerts *as, struct sender *s)
{
	char text[80];

	if (s->runaway == (s->total > RUNAWAY_MESSAGES))
		return;
	s->runaway = !s->runaway;
	snprintf(text, sizeof(text), s->runaway ?
	    "more than %u messages in 10 minutes" :
	    "no more than %u messages in 10 minutes", RUNAWAY_MESSAGES);
	alert_state(as->q, ALERT_RUNAWAY, s->name, s->runaway, text);
}

static void
sender_drop(struct alerts *as, struct sender *s)
{
	htab_del(as->senders, slice_cstr(s->name));
	free(s);
}

/* Rolls all; those who have sent nothing for ten minutes are forgotten. */
void
alert_rate_look(struct alerts *as)
{
	struct sender *idle[64], *s;
	uint64_t piece = clock_mono_ms() / as->piece_ms;
	size_t pos, n, i;

	do {
		for (pos = 0, n = 0; n < 64 && (s = htab_next(as->senders,
		    &pos, NULL)) != NULL;) {
			sender_roll(s, piece);
			sender_judge(as, s);
			if (s->total == 0)
				idle[n++] = s;
		}
		for (i = 0; i < n; i++)
			sender_drop(as, idle[i]);
	} while (n == 64);
}

void
alert_count(struct queue *q, const struct envelope *env)
{
	struct alerts *as = q->alerts;
	uint64_t piece = clock_mono_ms() / as->piece_ms;
	struct sender *s;
	size_t n;

	if (env->client == NULL || envelope_is_ours(env))
		return;
	s = htab_get(as->senders, slice_cstr(env->client));
	if (s == NULL) {
		if (htab_count(as->senders) >= SENDERS_MAX)
			return;		/* until the next look */
		n = strlen(env->client) + 1;
		s = mem_zalloc(sizeof(*s) + n);
		memcpy(s->name, env->client, n);
		s->piece = piece;
		htab_put(as->senders, slice_cstr(s->name), s);
	}
	sender_roll(s, piece);
	s->count[piece % PIECES]++;
	s->total++;
	sender_judge(as, s);
}

void
alert_rate_free(struct alerts *as)
{
	struct sender *s;
	size_t pos = 0;

	while ((s = htab_next(as->senders, &pos, NULL)) != NULL)
		free(s);
	htab_free(&as->senders);
}
