/*
 * `password command`: auth asks for a secret, the command is run as the user
 * concerned, and the first line of what it writes goes back.  Run by monitor.
 * Which command that is stands in the configuration alone.  What goes wrong
 * is told to auth in words; what the command wrote never gets into a log.
 */
#include "monitor/secret.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "conf/command_line.h"
#include "monitor/run_command.h"

#define LIMIT_MS 30000u
#define SECRET_MAX 8192u		/* octets */
#define JOBS_MAX 32			/* commands at a time */

struct secret_job {
	TAILQ_ENTRY(secret_job) link;
	struct monitor *m;
	struct run *run;
	uint32_t slot;			/* of the auth that asked */
	uint64_t ref;
	char *program;			/* for texts */
};

static void
answer(struct monitor *m, uint32_t slot, uint64_t ref, bool ok,
    struct slice text)
{
	struct msg_secret_done d = { ok, text };
	struct strbuf b = STRBUF_INIT;
	struct process *p;

	msg_secret_done_encode(&b, &d);
	TAILQ_FOREACH(p, &m->processes, link) {
		if (p->role == ROLE_AUTH && p->slot == slot &&
		    p->port != NULL)
			port_send_reply(p->port, MSG_SECRET_DONE, ref,
			    strbuf_slice(&b));
	}
	strbuf_wipe(&b);
}

static void
job_free(struct secret_job *j)
{
	TAILQ_REMOVE(&j->m->secrets, j, link);
	free(j->program);
	free(j);
}

static struct slice
first_line(struct slice s)
{
	long nl = slice_find(s, '\n');

	if (nl >= 0)
		s.n = (size_t)nl;
	if (s.n > 0 && s.p[s.n - 1] == '\r')
		s.n--;
	return s;
}

static void
on_result(void *arg, uint8_t status, struct slice out, const char *said)
{
	struct secret_job *j = arg;
	struct slice line = first_line(out);
	struct err e;

	if (status != 0)
		err_set(&e, -1, "%s ended with status %u%s%s", j->program,
		    status, said[0] != '\0' ? ": " : "", said);
	else if (line.n == 0)
		err_set(&e, -1, "%s wrote nothing in its first line",
		    j->program);
	else if (out.n >= SECRET_MAX - 1 || slice_find(line, '\0') >= 0)
		err_set(&e, -1, "%s wrote what is no password", j->program);
	else {
		answer(j->m, j->slot, j->ref, true, line);
		goto out;
	}
	answer(j->m, j->slot, j->ref, false, slice_cstr(e.text));
out:
	job_free(j);
}

static size_t
count_jobs(const struct monitor *m)
{
	const struct secret_job *j;
	size_t n = 0;

	TAILQ_FOREACH(j, &m->secrets, link)
		n++;
	return n;
}

static int
begin(struct process *p, uint64_t ref, const struct conf_secret *secret,
    struct err *e)
{
	struct run_command c = { .limit_ms = LIMIT_MS, .max = SECRET_MAX };
	struct secret_job *j = NULL;
	char home[4096] = "/", *path = NULL, **argv;
	struct identity who;
	int rc = -1;

	if (count_jobs(p->m) >= JOBS_MAX)
		return err_set(e, EAGAIN, "too many commands run already");
	argv = conf_command_split(secret->text, e);
	if (argv != NULL)
		path = conf_command_find(argv[0], e);
	if (path == NULL || identity_of_command(p->m, secret->as_user,
	    &who, home, sizeof(home), e) < 0)
		goto out;
	c.path = path;
	c.argv = argv;
	c.home = home;
	j = mem_zalloc(sizeof(*j));
	j->m = p->m;
	j->slot = p->slot;
	j->ref = ref;
	j->program = mem_strdup(argv[0]);
	TAILQ_INSERT_TAIL(&p->m->secrets, j, link);
	j->run = run_start_command(p->m, &who, &c, on_result, j);
	rc = 0;
	if (j->run == NULL) {
		rc = err_set(e, -1, "%s cannot be started", argv[0]);
		job_free(j);
	}
out:
	free(path);
	conf_command_free(&argv);
	return rc;
}

static const struct conf_secret *
find_of_transport(const struct conf *conf, const struct msg_secret *m)
{
	size_t i = conf_transport_find(conf, m->name);
	const struct conf_transport *t;

	if (i == SIZE_MAX)
		return NULL;
	t = &conf->transports[i];
	if (m->of == SECRET_OF_TRANSPORT)
		return &t->password;
	if (t->oauth2 == NULL)
		return NULL;
	return m->of == SECRET_OF_TOKEN ? &t->oauth2->command :
	    &t->oauth2->client_secret;
}

static const struct conf_secret *
find_secret(const struct conf *conf, const struct msg_secret *m)
{
	size_t i;

	if (m->of != SECRET_OF_LOGIN)
		return find_of_transport(conf, m);
	for (i = 0; i < conf->n_logins; i++) {
		if (strcmp(conf->logins[i].name, m->name) == 0)
			return &conf->logins[i].password;
	}
	return NULL;
}

int
secret_ask(struct process *p, struct port_message *msg, struct err *e)
{
	const struct conf_secret *secret;
	struct err why = { 0, "" };
	struct msg_secret m;

	if (msg->fd >= 0)
		close(msg->fd);
	if (msg_secret_decode(msg->data, &m) < 0)
		return err_set(e, EPROTO, "a secret's request is garbage");
	secret = find_secret(p->m->conf, &m);
	if (secret == NULL || secret->kind != SECRET_COMMAND)
		err_set(&why, ENOENT, "no command is configured any more");
	else
		begin(p, msg->ref, secret, &why);
	if (why.code != 0)
		answer(p->m, p->slot, msg->ref, false, slice_cstr(why.text));
	msg_secret_clear(&m);
	return 0;
}

void
secret_forget_all(struct monitor *m)
{
	struct secret_job *j;

	while ((j = TAILQ_FIRST(&m->secrets)) != NULL) {
		run_forget(j->run);
		job_free(j);
	}
}
