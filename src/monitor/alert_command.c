/*
 * The command of the `alert` block: queue says what has begun or is over, the
 * configuration says which program is run for it.  Run by monitor, the program
 * as `user`, with what it is about in its environment.
 *
 * A program that cannot be run, fails or does not end costs a line in the log
 * and nothing else.  While too many run, queue is told to ask again.
 */
#include "monitor/alert_command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/command_line.h"
#include "monitor/run_command.h"

#define LIMIT_MS 30000u
#define RUNS_MAX 32			/* run_count() at a time */

static int
find_user(const struct monitor *m, struct identity *who, char home[4096],
    struct err *e)
{
	memset(who, 0, sizeof(*who));
	if (geteuid() != 0) {
		identity_self(who, home, 4096);
		return 0;
	}
	if (!identity_user(m->conf->user, who, home, 4096))
		return err_set(e, ENOENT, "there is no user %s",
		    m->conf->user);
	who->change = who->uid != 0;
	return 0;
}

static void
ended(void *arg, uint8_t status, struct slice out, const char *said)
{
	(void)arg;
	(void)out;
	if (status == 0)
		return;
	log_begin(LL_WARN, "alert");
	log_str("command", "failed");
	log_num("status", status);
	if (said[0] != 0)
		log_str("said", said);
	log_end();
}

static int
begin(struct monitor *m, const struct msg_alert *a, struct err *e)
{
	struct run_command c = { .limit_ms = LIMIT_MS };
	char home[4096] = "/", *env[5] = { NULL }, *path = NULL, **argv;
	struct identity who;
	int rc = -1;
	size_t i;

	argv = conf_command_split(m->conf->alert.command, e);
	if (argv != NULL)
		path = conf_command_find(argv[0], e);
	if (path == NULL || find_user(m, &who, home, e) < 0)
		goto out;
	env[0] = mem_printf("SMARTHOSTD_ALERT_KIND=%s", a->kind);
	env[1] = mem_printf("SMARTHOSTD_ALERT_OBJECT=%s", a->object);
	env[2] = mem_printf("SMARTHOSTD_ALERT_STATE=%s", a->begin ? "begin" :
	    "end");
	env[3] = mem_printf("SMARTHOSTD_ALERT_TEXT=%s", a->text);
	c.path = path;
	c.argv = argv;
	c.home = home;
	c.env = env;
	rc = run_start_command(m, &who, &c, ended, m) != NULL ? 0 :
	    err_set(e, -1, "%s cannot be started", argv[0]);
out:
	for (i = 0; env[i] != NULL; i++)
		free(env[i]);
	free(path);
	conf_command_free(&argv);
	return rc;
}

int
alert_command(struct process *p, struct port_message *msg, struct err *e)
{
	struct err why = { 0, "" };
	struct msg_alert a;
	bool wanted, later;

	if (msg->fd >= 0)
		close(msg->fd);
	if (msg->ref == 0 || msg_alert_decode(msg->data, &a) < 0)
		return err_set(e, EPROTO, "an alert is garbage");
	(void)FAULT("monitor.alert.begin");
	wanted = p->m->conf->alert.command != NULL && !p->m->stopping;
	later = wanted && run_count(p->m) >= RUNS_MAX;
	if (wanted && !later && begin(p->m, &a, &why) < 0)
		log_msg(LL_WARN, "alert", "the command cannot be run: %s",
		    why.text);
	port_send_reply(p->port, MSG_ALERT_DONE, msg->ref, slice_of("",
	    later ? 1 : 0));
	return 0;
}
