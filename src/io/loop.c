/* The event loop's turns, tasks, descriptors, signals and wake-ups.
 *
 * All roles.  libevent waits and dispatches; what it lacks is the order in
 * which a turn ends, so a turn here is one event_base_loop() and then our own
 * lists.  Objects are freed only at the very end of a turn: no callback ever
 * returns into memory that is gone.  A failing epoll_ctl is logged; the object
 * concerned then ends by its own time limit. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/loop.h"
#include "io/loop_private.h"

enum loop_list { LIST_NONE, LIST_DEFER, LIST_END, LIST_REAP, LIST_AT_FREE };

/* So many times end-of-turn tasks may cause one another in a turn: connection
 * -> port -> port's own; a bulk writer must not keep the turn for itself. */
#define END_ROUNDS 3

struct loop_waker {
	struct loop *loop;
	struct loop_fd fd;
	struct loop_task reap;
	void (*cb)(void *arg);
	void *arg;
};

struct loop *
loop_new(struct err *e)
{
	struct event_config *cfg;
	struct event_base *base;
	struct loop *l;
	size_t i;

	cfg = event_config_new();
	if (cfg == NULL) {
		err_set(e, ENOMEM, "event loop: out of memory");
		return NULL;
	}
	/* Not PRECISE_TIMER: it costs a timerfd_settime() in each turn. */
	event_config_set_flag(cfg, EVENT_BASE_FLAG_NOLOCK);
	base = event_base_new_with_config(cfg);
	event_config_free(cfg);
	if (base == NULL) {
		err_set(e, errno, "event loop: cannot be made");
		return NULL;
	}
	l = mem_zalloc(sizeof(*l));
	l->base = base;
	for (i = 0; i < sizeof(l->tasks) / sizeof(l->tasks[0]); i++)
		TAILQ_INIT(&l->tasks[i]);
	l->scratch = mem_alloc(LOOP_SCRATCH);
	signal(SIGPIPE, SIG_IGN);	/* OpenSSL writes with write() */
	clock_update();
	wheel_init(l);
	return l;
}

static bool
run_one(struct loop *l, unsigned list)
{
	struct loop_task *t = TAILQ_FIRST(&l->tasks[list]);

	if (t == NULL)
		return false;
	loop_task_cancel(l, t);
	t->run(t->arg);
	return true;
}

/* Runs what is there now; what it puts there itself stays. */
static void
run_batch(struct loop *l, unsigned list)
{
	struct loop_task mark = { .list = list };

	if (TAILQ_EMPTY(&l->tasks[list]))
		return;
	TAILQ_INSERT_TAIL(&l->tasks[list], &mark, link);
	while (TAILQ_FIRST(&l->tasks[list]) != &mark)
		run_one(l, list);
	TAILQ_REMOVE(&l->tasks[list], &mark, link);
}

void
loop_free(struct loop **lp)
{
	struct loop *l = *lp;

	if (l == NULL)
		return;
	while (run_one(l, LIST_AT_FREE))
		;
	while (run_one(l, LIST_REAP))
		;
	wheel_fini(l);
	event_base_free(l->base);
	free(l->scratch);
	free(l);
	*lp = NULL;
}

void
loop_turn(struct loop *l, bool block)
{
	int flags = EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY;
	int i;

	if (!block || !TAILQ_EMPTY(&l->tasks[LIST_DEFER]) ||
	    !TAILQ_EMPTY(&l->tasks[LIST_END]) ||
	    !TAILQ_EMPTY(&l->tasks[LIST_REAP]))
		flags |= EVLOOP_NONBLOCK;
	l->fresh = false;
	l->in_turn = true;
	event_base_loop(l->base, flags);
	loop_enter(l);
	run_batch(l, LIST_DEFER);
	for (i = 0; i < END_ROUNDS; i++)
		run_batch(l, LIST_END);
	while (run_one(l, LIST_REAP))
		;
	log_flush();
	l->in_turn = false;
}

void
loop_run(struct loop *l)
{
	while (!l->stop)
		loop_turn(l, true);
	l->stop = false;
}

void
loop_stop(struct loop *l)
{
	l->stop = true;
}

struct event_base *
loop_base(struct loop *l)
{
	return l->base;
}

char *
loop_scratch(struct loop *l)
{
	return l->scratch;
}

void
loop_enter(struct loop *l)
{
	if (!l->fresh) {
		clock_update();
		l->fresh = true;
	}
}

uint64_t
loop_now(struct loop *l)
{
	if (!l->in_turn)
		clock_update();
	return clock_mono_ms();
}

/* ---- tasks ---- */

void
loop_task_init(struct loop_task *t, void (*run)(void *arg), void *arg)
{
	t->run = run;
	t->arg = arg;
	t->list = LIST_NONE;
}

static void
task_put(struct loop *l, struct loop_task *t, unsigned list)
{
	if (t->list == list)
		return;
	loop_task_cancel(l, t);
	TAILQ_INSERT_TAIL(&l->tasks[list], t, link);
	t->list = list;
	if (list == LIST_AT_FREE)
		l->lingering++;
}

void
loop_defer(struct loop *l, struct loop_task *t)
{
	task_put(l, t, LIST_DEFER);
}

void
loop_at_end(struct loop *l, struct loop_task *t)
{
	task_put(l, t, LIST_END);
}

void
loop_reap(struct loop *l, struct loop_task *t)
{
	task_put(l, t, LIST_REAP);
}

void
loop_at_free(struct loop *l, struct loop_task *t)
{
	task_put(l, t, LIST_AT_FREE);
}

size_t
loop_lingering(const struct loop *l)
{
	return l->lingering;
}

void
loop_task_cancel(struct loop *l, struct loop_task *t)
{
	if (t->list == LIST_NONE)
		return;
	if (t->list == LIST_AT_FREE)
		l->lingering--;
	TAILQ_REMOVE(&l->tasks[t->list], t, link);
	t->list = LIST_NONE;
}

/* ---- descriptors ---- */

static void
on_fd(evutil_socket_t fd, short what, void *arg)
{
	struct loop_fd *f = arg;

	(void)fd;
	loop_enter(f->loop);
	f->cb(f->arg, what & EV_WRITE ? LOOP_WRITE : LOOP_READ);
}

void
loop_fd_init(struct loop *l, struct loop_fd *f, int fd,
    void (*cb)(void *arg, unsigned what), void *arg)
{
	f->loop = l;
	f->cb = cb;
	f->arg = arg;
	f->fd = fd;
	f->want = 0;
	event_assign(&f->rd, l->base, fd, EV_READ | EV_PERSIST, on_fd, f);
	event_assign(&f->wr, l->base, fd, EV_WRITE | EV_PERSIST, on_fd, f);
}

static void
fd_switch(struct loop_fd *f, struct event *ev, bool on)
{
	int r = on ? event_add(ev, NULL) : event_del(ev);

	if (r < 0)
		log_msg(LL_ERROR, "loop", "descriptor %d cannot be %s: %s",
		    f->fd, on ? "watched" : "left", strerror(errno));
}

void
loop_fd_want(struct loop_fd *f, unsigned want)
{
	unsigned change = f->want ^ want;

	if (change == 0)
		return;
	f->want = want;
	/* The new one first: the kernel's entry is then changed, not removed
	 * and made again. */
	if (change & want & LOOP_READ)
		fd_switch(f, &f->rd, true);
	if (change & LOOP_WRITE)
		fd_switch(f, &f->wr, (want & LOOP_WRITE) != 0);
	if (change & ~want & LOOP_READ)
		fd_switch(f, &f->rd, false);
}

void
loop_fd_del(struct loop_fd *f)
{
	if (f->loop == NULL)
		return;
	f->want = 0;
	event_del(&f->rd);
	event_del(&f->wr);
}

/* ---- signals ---- */

static void
on_signal(evutil_socket_t signo, short what, void *arg)
{
	struct loop_signal *s = arg;

	(void)what;
	loop_enter(s->loop);
	s->cb(s->arg, (int)signo);
}

void
loop_signal_set(struct loop *l, struct loop_signal *s, int signo,
    void (*cb)(void *arg, int signo), void *arg)
{
	loop_signal_del(s);
	s->loop = l;
	s->cb = cb;
	s->arg = arg;
	event_assign(&s->ev, l->base, signo, EV_SIGNAL | EV_PERSIST,
	    on_signal, s);
	if (event_add(&s->ev, NULL) < 0)
		log_msg(LL_ERROR, "loop", "signal %d cannot be caught", signo);
	s->set = true;
}

void
loop_signal_del(struct loop_signal *s)
{
	if (!s->set)
		return;
	event_del(&s->ev);
	s->set = false;
}

/* ---- other threads ---- */

static void
on_wake(void *arg, unsigned what)
{
	struct loop_waker *w = arg;
	uint64_t n;

	(void)what;
	if (read(w->fd.fd, &n, sizeof(n)) == (ssize_t)sizeof(n))
		w->cb(w->arg);
}

struct loop_waker *
loop_waker_new(struct loop *l, void (*cb)(void *arg), void *arg,
    struct err *e)
{
	struct loop_waker *w;
	int fd;

	fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (fd < 0) {
		err_errno(e, "eventfd");
		return NULL;
	}
	w = mem_zalloc(sizeof(*w));
	w->loop = l;
	w->cb = cb;
	w->arg = arg;
	loop_task_init(&w->reap, free, w);
	loop_fd_init(l, &w->fd, fd, on_wake, w);
	loop_fd_want(&w->fd, LOOP_READ);
	return w;
}

void
loop_waker_signal(struct loop_waker *w)
{
	const uint64_t one = 1;
	int saved = errno;

	/* A counter that is full has woken the loop already. */
	while (write(w->fd.fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
	errno = saved;
}

void
loop_waker_free(struct loop_waker **wp)
{
	struct loop_waker *w = *wp;

	if (w == NULL)
		return;
	*wp = NULL;
	loop_fd_del(&w->fd);
	close(w->fd.fd);
	loop_reap(w->loop, &w->reap);
}
