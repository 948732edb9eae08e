/*
 * Deliveries on this machine: queue sends (transport, sender, recipients,
 * message), and libexec/local, or the program of an `mda`, is run for it as
 * the user concerned.  Its exit status (sysexits) and its first words go back.
 * Never as root.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/mem.h"
#include "monitor/local_plan.h"
#include "monitor/run_command.h"

#define LOCAL_LIMIT 300000	/* ms */

struct local_job {
	TAILQ_ENTRY(local_job) link;
	struct monitor *m;
	uint64_t ref;
	struct run *run;
	struct local_plan plan;
};

static void
answer(struct monitor *m, uint64_t ref, struct msg_local_done *d,
    const char *text)
{
	struct strbuf b = STRBUF_INIT;
	struct process *p;
	size_t i;

	/* what a program says in several lines is one reply */
	snprintf(d->text, sizeof(d->text), "%s", text);
	for (i = 0; d->text[i] != '\0'; i++)
		if (strchr("\r\n\t", d->text[i]) != NULL)
			d->text[i] = ' ';
	msg_local_done_encode(&b, d);
	TAILQ_FOREACH(p, &m->processes, link) {
		if (p->role == ROLE_QUEUE && p->port != NULL)
			port_send_reply(p->port, MSG_LOCAL_DONE, ref,
			    strbuf_slice(&b));
	}
	strbuf_free(&b);
}

static void
job_free(struct local_job *j)
{
	TAILQ_REMOVE(&j->m->locals, j, link);
	local_plan_clear(&j->plan);
	free(j);
}

static void
job_done(void *arg, uint8_t exit_status, const char *text)
{
	struct local_job *j = arg;
	struct msg_local_done d = { .exit_status = exit_status };

	(void)FAULT("monitor.local.done");
	memcpy(d.own, j->plan.own, sizeof(d.own));
	d.n_own = j->plan.n_own;
	answer(j->m, j->ref, &d, text);
	job_free(j);
}

static const struct conf_transport *
find_transport(const struct monitor *m, const char *name)
{
	size_t i = conf_transport_find(m->conf, name);
	const struct conf_transport *t;

	if (i == SIZE_MAX)
		return NULL;
	t = &m->conf->transports[i];
	return t->kind == TRANSPORT_MAILDIR || t->kind == TRANSPORT_MDA ? t :
	    NULL;
}

/* 0 begun, or the exit status with *why. */
static uint8_t
job_begin(struct monitor *m, uint64_t ref, const struct msg_local *l, int fd,
    const char **why)
{
	const struct conf_transport *t = find_transport(m, l->transport);
	struct local_job *j = mem_zalloc(sizeof(*j));
	uint8_t status = EX_TEMPFAIL;

	j->m = m;
	j->ref = ref;
	TAILQ_INSERT_TAIL(&m->locals, j, link);
	*why = "the transport is not there any more";
	if (t != NULL)
		status = local_plan_make(m, t, l, &j->plan, why);
	if (status == 0) {
		struct run_delivery d = { .path = j->plan.path,
		    .argv = j->plan.argv.v, .envp = j->plan.env.v,
		    .dir = j->plan.dir, .in = fd,
		    .limit_ms = t->timeout > 0 ? t->timeout : LOCAL_LIMIT };

		j->run = run_start_delivery(m, &j->plan.who, &d, job_done,
		    j);
		*why = "the delivery program cannot be started";
		status = j->run != NULL ? 0 : EX_TEMPFAIL;
	}
	if (status != 0)
		job_free(j);
	return status;
}

int
local_job_start(struct monitor *m, struct port_message *msg, struct err *e)
{
	const char *why = "no descriptor left";
	uint8_t status = EX_TEMPFAIL;
	struct msg_local l;
	int fd = msg->fd;

	if (msg_local_decode(msg->data, &l) < 0) {
		if (fd >= 0)
			close(fd);
		return err_set(e, -1, "a local delivery is garbage");
	}
	(void)FAULT("monitor.local.begin");
	if (fd >= 0) {
		status = job_begin(m, msg->ref, &l, fd, &why);
		close(fd);
	}
	if (status != 0)
		answer(m, msg->ref, &(struct msg_local_done){ status, "",
		    { 0 }, 0 }, why);
	msg_local_clear(&l);
	return 0;
}

int
local_job_ask(struct monitor *m, struct port_message *msg, struct err *e)
{
	const char *why = "the transport is not there any more";
	struct local_plan plan = { 0 };
	const struct conf_transport *t;
	uint8_t status = EX_TEMPFAIL;
	struct msg_local l;

	if (msg->fd >= 0)
		close(msg->fd);
	if (msg_local_decode(msg->data, &l) < 0)
		return err_set(e, -1, "a question for a user is garbage");
	t = find_transport(m, l.transport);
	if (t != NULL)
		status = local_plan_make(m, t, &l, &plan, &why);
	answer(m, msg->ref, &(struct msg_local_done){ status, "", { 0 }, 0 },
	    status == 0 ? "" : why);
	local_plan_clear(&plan);
	msg_local_clear(&l);
	return 0;
}

/* Their results have nobody to go to; the programs run to their end, or that
 * of their time. */
void
local_job_forget(struct monitor *m)
{
	struct local_job *j;

	while ((j = TAILQ_FIRST(&m->locals)) != NULL) {
		run_leave(j->run);
		job_free(j);
	}
}
