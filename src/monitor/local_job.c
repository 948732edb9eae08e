/*
 * Deliveries on this machine: queue sends (transport, sender, recipient,
 * message), and libexec/local is run for it as the user concerned.  Its exit
 * status (sysexits) and its first words go back.  Never as root.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/mem.h"
#include "monitor/run_command.h"

#define LOCAL_LIMIT 300000	/* ms */

struct local_job {
	TAILQ_ENTRY(local_job) link;
	struct monitor *m;
	uint64_t ref;
	struct run *run;
};

struct plan {				/* who, and into which maildir */
	struct identity who;
	struct strbuf path;
};

static void
answer(struct monitor *m, uint64_t ref, uint8_t status, const char *text)
{
	struct msg_local_done d = { status, "" };
	struct strbuf b = STRBUF_INIT;
	struct process *p;

	snprintf(d.text, sizeof(d.text), "%s", text);
	msg_local_done_encode(&b, &d);
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
	free(j);
}

static void
job_done(void *arg, uint8_t exit_status, const char *text)
{
	struct local_job *j = arg;

	answer(j->m, j->ref, exit_status, text);
	job_free(j);
}

/* %u, %d and a leading ~ of a maildir's path. */
static void
fill_path(struct strbuf *out, const char *p, const char *home,
    const char *user, const char *domain)
{
	if (*p == '~') {
		strbuf_puts(out, home);
		p++;
	}
	for (; *p != 0; p++) {
		if (p[0] == '%' && (p[1] == 'u' || p[1] == 'd')) {
			strbuf_puts(out, p[1] == 'u' ? user : domain);
			p++;
		} else
			strbuf_putc(out, *p);
	}
}

/* As written, else in lower case: people write Root@ and Bob@. */
static bool
find_user(char *user, struct identity *who, char *home, size_t n)
{
	char low[256];
	size_t i;

	if (identity_user(user, who, home, n))
		return true;
	for (i = 0; user[i] != 0; i++)
		low[i] = (char)(user[i] >= 'A' && user[i] <= 'Z' ?
		    user[i] + 32 : user[i]);
	low[i] = 0;
	if (strcmp(low, user) == 0 || !identity_user(low, who, home, n))
		return false;
	strcpy(user, low);
	return true;
}

/* 0, or the exit status with *why. */
static uint8_t
plan_make(struct monitor *m, const struct conf_transport *t,
    const char *recipient, struct plan *plan, const char **why)
{
	const char *at = strrchr(recipient, '@');
	char user[256], home[4096] = "";
	size_t n = at != NULL ? (size_t)(at - recipient) : strlen(recipient);
	struct identity found;
	bool known;

	*why = "unknown user";
	if (n == 0 || n >= sizeof(user) || recipient[0] == '-' ||
	    recipient[0] == '.' || memchr(recipient, '/', n) != NULL ||
	    (at != NULL && (at[1] == '.' || strchr(at, '/') != NULL)))
		return EX_NOUSER;
	memcpy(user, recipient, n);
	user[n] = 0;
	plan->who = m->who[ROLE_QUEUE];
	known = (t->maildir[0] == '~' || strstr(t->maildir, "%u") != NULL) &&
	    find_user(user, &found, home, sizeof(home));
	if (t->maildir[0] == '~' && !known)
		return EX_NOUSER;
	if (known && found.uid == 0 && geteuid() == 0) {
		*why = "nothing is delivered as root: give root's mail to "
		    "somebody by an alias";
		return EX_NOPERM;
	}
	if (known && geteuid() == 0) {
		plan->who = found;
		plan->who.change = true;
	} else if (t->maildir[0] == '~' && found.uid != geteuid()) {
		*why = "not started as root: only its own user's mailbox "
		    "can be written";
		return EX_NOUSER;
	}
	fill_path(&plan->path, t->maildir, home, user,
	    at != NULL ? at + 1 : "");
	return 0;
}

/* 0 begun, or the exit status with *why. */
static uint8_t
job_begin(struct monitor *m, uint64_t ref, const struct msg_local *l, int fd,
    const char **why)
{
	size_t i = conf_transport_find(m->conf, l->transport);
	struct plan plan = { .path = STRBUF_INIT };
	struct local_job *j;
	uint8_t status;

	*why = "the transport is not there any more";
	if (i == SIZE_MAX ||
	    m->conf->transports[i].kind != TRANSPORT_MAILDIR)
		return EX_TEMPFAIL;
	status = plan_make(m, &m->conf->transports[i], l->recipient, &plan,
	    why);
	if (status == 0) {
		char *argv[] = { (char *)(uintptr_t)"local",
		    (char *)(uintptr_t)"maildir", plan.path.p, NULL };

		j = mem_zalloc(sizeof(*j));
		j->m = m;
		j->ref = ref;
		TAILQ_INSERT_TAIL(&m->locals, j, link);
		j->run = run_start(m, &plan.who, argv, fd, LOCAL_LIMIT,
		    job_done, j);
		if (j->run == NULL) {
			job_free(j);
			*why = "the delivery program cannot be started";
			status = EX_TEMPFAIL;
		}
	}
	strbuf_free(&plan.path);
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
	if (fd >= 0) {
		status = job_begin(m, msg->ref, &l, fd, &why);
		close(fd);
	}
	if (status != 0)
		answer(m, msg->ref, status, why);
	msg_local_clear(&l);
	return 0;
}

int
local_job_ask(struct monitor *m, struct port_message *msg, struct err *e)
{
	const char *why = "the transport is not there any more";
	struct plan plan = { .path = STRBUF_INIT };
	uint8_t status = EX_TEMPFAIL;
	struct msg_local l;
	size_t i;

	if (msg->fd >= 0)
		close(msg->fd);
	if (msg_local_decode(msg->data, &l) < 0)
		return err_set(e, -1, "a question for a user is garbage");
	i = conf_transport_find(m->conf, l.transport);
	if (i != SIZE_MAX &&
	    m->conf->transports[i].kind == TRANSPORT_MAILDIR)
		status = plan_make(m, &m->conf->transports[i], l.recipient,
		    &plan, &why);
	answer(m, msg->ref, status, status == 0 ? "" : why);
	strbuf_free(&plan.path);
	msg_local_clear(&l);
	return 0;
}

/* Their results have nobody to go to; the programs run to their end. */
void
local_job_forget(struct monitor *m)
{
	struct local_job *j;

	while ((j = TAILQ_FIRST(&m->locals)) != NULL) {
		run_forget(j->run);
		job_free(j);
	}
}
