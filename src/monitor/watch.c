/*
 * Whether the roles' loops turn.  Run by monitor: each role is asked in short
 * intervals; one that is silent for 30 s is killed, and started anew like any
 * other that died.  systemd hears WATCHDOG=1 as long as no role is silent for
 * longer than that: a process that cannot even be killed is for it to mend.
 *
 * Time is counted in questions, not by the clock: when the machine or monitor
 * itself stood still, nobody had a chance to answer.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/num.h"
#include "monitor/monitor.h"

#define SILENCE_MS 30000u
#define SILENCE_LEAST_MS 600u
#define QUESTIONS 6u		/* unanswered ones that are a death */

/* ms; 0: systemd does not watch us (sd_watchdog_enabled(3)). */
static uint64_t
watchdog_ms(void)
{
	const char *usec = getenv("WATCHDOG_USEC");
	const char *pid = getenv("WATCHDOG_PID");
	uint64_t n;

	if (usec == NULL || !num_u64(slice_cstr(usec), UINT64_MAX, &n))
		return 0;
	if (pid != NULL && strtoul(pid, NULL, 10) != (unsigned long)getpid())
		return 0;
	return n / 1000;
}

static void
watch_answer(void *arg, struct port_message *m)
{
	struct process *p = arg;

	if (m != NULL && m->fd >= 0)
		close(m->fd);
	/* NULL: its channel has ended, which is told elsewhere. */
	if (m != NULL)
		p->unanswered = 0;
}

static bool
is_watched(const struct process *p)
{
	/* A start may take as long as the disk needs. */
	return p->pid > 0 && p->port != NULL &&
	    (p->state == PROCESS_READY || p->state == PROCESS_DRAINING);
}

static void
watch_ask(struct process *p)
{
	if (p->unanswered == QUESTIONS) {
		log_msg(LL_ERROR, "role", "%s (pid %d) does not answer, "
		    "killing it", role_name(p->role), (int)p->pid);
		kill(p->pid, SIGKILL);
	} else if (p->unanswered == 0) {
		port_send(p->port, MSG_ROLE_PING, port_request(p->port, 0,
		    watch_answer, p), slice_of("", 0));
	}
	p->unanswered++;
}

static void
watch_turn(void *arg)
{
	struct monitor *m = arg;
	struct process *p;
	bool silent = false;

	TAILQ_FOREACH(p, &m->processes, link) {
		if (is_watched(p))
			watch_ask(p);
		/* killed, and still there */
		silent |= p->pid > 0 && p->unanswered > QUESTIONS + 1;
	}
	if (m->watchdog && m->ready && !silent)
		notify_systemd("WATCHDOG=1");
	loop_timer_set(m->loop, &m->watch, m->watch_every);
}

void
watch_start(struct monitor *m)
{
	uint64_t limit = watchdog_ms();

	m->watchdog = limit > 0;
	/* Who is watched more closely by systemd watches more closely. */
	if (limit == 0 || limit > SILENCE_MS)
		limit = SILENCE_MS;
	if (limit < SILENCE_LEAST_MS)
		limit = SILENCE_LEAST_MS;
	m->watch_every = limit / QUESTIONS;
	loop_timer_init(&m->watch, watch_turn, m);
	loop_timer_set(m->loop, &m->watch, m->watch_every);
}
