/* Timers: one hashed wheel for all time limits, and precise alarms.
 *
 * All roles.  A time limit is set anew with each command and hardly ever
 * fires.  So setting it to a later time only stores the deadline; the wheel
 * looks at the timer when the earlier time has come, and puts it where it
 * belongs by then.  The one libevent timer behind the wheel waits for the next
 * slot that holds something, so that an idle process is never woken. */
#include <string.h>

#include "base/clock.h"
#include "io/loop.h"
#include "io/loop_private.h"

/* Keeps sums of times from overflowing: ten years. */
#define LONGEST_MS	(10ull * 365 * 86400 * 1000)

static void wheel_arm(struct loop *l);

static uint64_t
tick_of(uint64_t ms)
{
	return (ms + WHEEL_TICK_MS - 1) / WHEEL_TICK_MS;
}

static void
set_event(struct event *ev, uint64_t ms)
{
	struct timeval tv;

	tv.tv_sec = (time_t)(ms / 1000);
	tv.tv_usec = (suseconds_t)(ms % 1000 * 1000);
	event_add(ev, &tv);
}

/* ---- the wheel ---- */

static void
wheel_link(struct loop *l, struct loop_timer *t)
{
	struct wheel *w = &l->wheel;
	uint64_t tick = tick_of(t->deadline);
	size_t slot;

	if (w->count == 0 && !w->running)
		w->tick = clock_mono_ms() / WHEEL_TICK_MS;
	if (tick <= w->tick)
		tick = w->tick + 1;
	if (tick > w->tick + WHEEL_SLOTS - 1)
		tick = w->tick + WHEEL_SLOTS - 1;
	slot = (size_t)(tick % WHEEL_SLOTS);
	t->tick = tick;
	LIST_INSERT_HEAD(&w->slot[slot], t, link);
	w->used[slot / 64] |= (uint64_t)1 << (slot % 64);
	w->count++;
}

static void
wheel_unlink(struct loop *l, struct loop_timer *t)
{
	struct wheel *w = &l->wheel;
	size_t slot = (size_t)(t->tick % WHEEL_SLOTS);

	LIST_REMOVE(t, link);
	w->count--;
	if (LIST_EMPTY(&w->slot[slot]))
		w->used[slot / 64] &= ~((uint64_t)1 << (slot % 64));
}

/* The first tick after w->tick whose slot is used; 0 when there is none. */
static uint64_t
wheel_next(const struct wheel *w)
{
	size_t start = (size_t)((w->tick + 1) % WHEEL_SLOTS);
	size_t slot = start, seen = 0;
	uint64_t word;

	while (seen < WHEEL_SLOTS + 64) {
		word = w->used[slot / 64] >> (slot % 64);
		if (word != 0) {
			seen += (size_t)__builtin_ctzll(word);
			return seen < WHEEL_SLOTS ? w->tick + 1 + seen : 0;
		}
		seen += 64 - slot % 64;
		slot = (slot + 64 - slot % 64) % WHEEL_SLOTS;
	}
	return 0;
}

/* Works off one slot.  Its timers go to a list of their own first: callbacks
 * may set and cancel any of them. */
static void
wheel_fire(struct loop *l, uint64_t tick, uint64_t now)
{
	struct wheel *w = &l->wheel;
	struct loop_timer_list due;
	struct loop_timer *t;
	size_t slot = (size_t)(tick % WHEEL_SLOTS);

	due.lh_first = LIST_FIRST(&w->slot[slot]);
	if (due.lh_first != NULL)
		due.lh_first->link.le_prev = &due.lh_first;
	LIST_INIT(&w->slot[slot]);
	w->used[slot / 64] &= ~((uint64_t)1 << (slot % 64));
	while ((t = LIST_FIRST(&due)) != NULL) {
		LIST_REMOVE(t, link);
		w->count--;
		if (t->deadline > now) {
			wheel_link(l, t);
			continue;
		}
		t->deadline = 0;
		t->cb(t->arg);
	}
}

static void
wheel_run(evutil_socket_t fd, short what, void *arg)
{
	struct loop *l = arg;
	struct wheel *w = &l->wheel;
	uint64_t now, tick;

	(void)fd;
	(void)what;
	loop_enter(l);
	now = clock_mono_ms();
	w->armed = 0;
	w->running = true;
	while ((tick = wheel_next(w)) != 0 && tick <= now / WHEEL_TICK_MS) {
		w->tick = tick;
		wheel_fire(l, tick, now);
	}
	w->running = false;
	wheel_arm(l);
}

static void
wheel_arm(struct loop *l)
{
	struct wheel *w = &l->wheel;
	uint64_t tick, now, at;

	if (w->running)
		return;
	tick = w->count != 0 ? wheel_next(w) : 0;
	if (tick == 0) {
		if (w->armed != 0)
			event_del(&w->ev);
		w->armed = 0;
		return;
	}
	if (tick == w->armed)
		return;
	w->armed = tick;
	now = clock_mono_ms();
	at = tick * WHEEL_TICK_MS;
	set_event(&w->ev, at > now ? at - now : 1);
}

void
wheel_init(struct loop *l)
{
	size_t i;

	for (i = 0; i < WHEEL_SLOTS; i++)
		LIST_INIT(&l->wheel.slot[i]);
	evtimer_assign(&l->wheel.ev, l->base, wheel_run, l);
}

void
wheel_fini(struct loop *l)
{
	event_del(&l->wheel.ev);
}

void
loop_timer_init(struct loop_timer *t, void (*cb)(void *arg), void *arg)
{
	t->cb = cb;
	t->arg = arg;
	t->deadline = 0;
	t->tick = 0;
}

void
loop_timer_set(struct loop *l, struct loop_timer *t, uint64_t ms)
{
	uint64_t deadline = loop_now(l) + (ms < LONGEST_MS ? ms : LONGEST_MS);
	bool linked = t->deadline != 0;

	t->deadline = deadline;
	if (linked) {
		if (tick_of(deadline) >= t->tick)
			return;
		wheel_unlink(l, t);
	}
	wheel_link(l, t);
	if (l->wheel.armed == 0 || t->tick < l->wheel.armed)
		wheel_arm(l);
}

void
loop_timer_cancel(struct loop *l, struct loop_timer *t)
{
	if (t->deadline == 0)
		return;
	t->deadline = 0;
	wheel_unlink(l, t);
	if (l->wheel.count == 0)
		wheel_arm(l);
}

/* ---- alarms ---- */

static void
on_alarm(evutil_socket_t fd, short what, void *arg)
{
	struct loop_alarm *a = arg;
	uint64_t now;

	(void)fd;
	(void)what;
	loop_enter(a->loop);
	/* libevent's clock is coarse and may be a few ms ahead of the time. */
	now = clock_mono_us();
	if (now < a->deadline) {
		set_event(&a->ev, (a->deadline - now) / 1000 + 1);
		return;
	}
	a->cb(a->arg);
}

void
loop_alarm_init(struct loop *l, struct loop_alarm *a,
    void (*cb)(void *arg), void *arg)
{
	a->loop = l;
	a->cb = cb;
	a->arg = arg;
	evtimer_assign(&a->ev, l->base, on_alarm, a);
}

void
loop_alarm_set(struct loop_alarm *a, uint64_t ms)
{
	if (ms > LONGEST_MS)
		ms = LONGEST_MS;
	a->deadline = clock_mono_us() + ms * 1000;
	set_event(&a->ev, ms);
}

void
loop_alarm_cancel(struct loop_alarm *a)
{
	if (a->loop != NULL)
		event_del(&a->ev);
}
