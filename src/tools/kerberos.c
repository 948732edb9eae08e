/*
 * kerberos: logs in to the next hops of one transport by GSSAPI, for auth.
 *
 *   kerberos keytab [PRINCIPAL]        the keytab is descriptor 3
 *   kerberos cache NAME [PRINCIPAL]    a cache with a ticket
 *
 * Started by monitor, as `user` or the cache's own; standard input is the
 * channel to auth, whose end is ours.  What is asked is answered one after the
 * other: the library waits for files, name servers and KDCs, which is why this
 * is a program of its own.  Whatever it waits for has 20 seconds, then SIGALRM
 * ends it.  Exit statuses of sysexits.
 */
#include <sys/prctl.h>
#include <sys/resource.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/htab.h"
#include "base/log.h"
#include "base/mem.h"
#include "ipc/msg.h"
#include "ipc/port.h"
#include "tools/kerberos_login.h"

#define STEP_SECONDS 20
#define KEYTAB_FD 3
#define LOGINS_MAX 10000

struct server {
	struct loop *loop;
	struct port *port;
	struct tickets *tickets;	/* NULL: broken says why */
	struct failure broken;
	struct htab *logins;		/* number -> struct login */
	int status;
};

static void
answer(struct server *s, uint64_t ref, int rc, struct slice data,
    const struct failure *f)
{
	struct msg_auth_step m = {
		.state = (uint8_t)(rc < 0 ? f->state : rc > 0 ?
		    AUTH_CONTINUE : AUTH_OK),
		/* no token at all is an empty response, too */
		.has_data = rc >= 0,
		.data = data,
		.text = rc < 0 ? (char *)(uintptr_t)f->text : NULL,
	};
	struct strbuf b = STRBUF_INIT;

	msg_auth_step_encode(&b, &m);
	port_send_reply(s->port, MSG_CRED_STEP, ref, strbuf_slice(&b));
	strbuf_wipe(&b);
}

static void
forget(struct server *s, uint64_t number)
{
	struct login *l = htab_del_u64(s->logins, number);

	login_free(&l);
}

static struct login *
begin(struct server *s, const struct msg_cred *m, struct failure *f)
{
	struct login *l = NULL;

	if (s->tickets == NULL)
		*f = s->broken;
	else
		l = login_new(s->tickets, m->host, f);
	if (l != NULL)
		htab_put_u64(s->logins, m->session, l);
	return l;
}

static void
step(struct server *s, const struct msg_cred *m, uint64_t ref, bool first)
{
	struct failure f = { AUTH_TEMPORARY, "no such exchange" };
	struct strbuf out = STRBUF_INIT;
	struct login *l;
	int rc = -1;

	alarm(STEP_SECONDS);
	l = first ? begin(s, m, &f) : htab_get_u64(s->logins, m->session);
	if (l != NULL)
		rc = login_take(l, m->data, &out, &f);
	alarm(0);
	answer(s, ref, rc, strbuf_slice(&out), &f);
	strbuf_wipe(&out);
	if (rc <= 0)
		forget(s, m->session);
}

static int
on_message(void *arg, struct port_message *pm, struct err *e)
{
	struct server *s = arg;
	struct msg_cred m;
	bool first = pm->type == MSG_CRED_START, good;

	if (pm->fd >= 0)
		close(pm->fd);
	if (msg_cred_decode(pm->data, &m) < 0)
		return err_set(e, -1, "a request is garbage");
	good = !first || (m.host != NULL &&
	    htab_count(s->logins) < LOGINS_MAX &&
	    htab_get_u64(s->logins, m.session) == NULL);
	if (good && (first || pm->type == MSG_CRED_NEXT))
		step(s, &m, pm->ref, first);
	else if (pm->type == MSG_CRED_DROP)
		forget(s, m.session);
	else
		good = false;
	msg_cred_clear(&m);
	return good ? 0 : err_set(e, -1, "a request makes no sense");
}

static void
on_closed(void *arg, const struct err *why)
{
	struct server *s = arg;

	if (!port_peer_ended(why)) {
		fprintf(stderr, "%s\n", why->text);
		s->status = EX_PROTOCOL;
	}
	loop_stop(s->loop);
}

static void
serve(struct server *s)
{
	static const struct port_handler handler = {
		on_message, on_closed, NULL
	};
	struct login *l;
	size_t pos = 0;

	s->logins = htab_new();
	s->port = port_new(s->loop, STDIN_FILENO, "auth", &handler, s);
	loop_run(s->loop);
	while ((l = htab_next(s->logins, &pos, NULL)) != NULL)
		login_free(&l);
	htab_free(&s->logins);
	port_free(&s->port);
	tickets_free(&s->tickets);
	loop_free(&s->loop);
}

/* Keys will be in this memory. */
static void
leave_no_core(void)
{
	struct rlimit none = { 0, 0 };

	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

/* No tracer.  Nothing of ourselves in /proc can be opened from here on: the
 * keytab has been read. */
static void
harden(void)
{
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

int
main(int argc, char **argv)
{
	struct server s = { .status = 0 };
	struct err e = { 0, "" };
	bool keytab = argc > 1 && strcmp(argv[1], "keytab") == 0;
	int words = keytab ? 2 : 3;

	if (argc < words || argc > words + 1 ||
	    (!keytab && strcmp(argv[1], "cache") != 0)) {
		fprintf(stderr, "kerberos: this program is started by "
		    "smarthostd, not by hand\n");
		return EX_USAGE;
	}
	log_open("kerberos", STDERR_FILENO, LOG_STREAM, LOG_TEXT, LL_ERROR);
	s.loop = loop_new(&e);
	if (s.loop == NULL) {
		fprintf(stderr, "%s\n", e.text);
		return EX_OSERR;
	}
	leave_no_core();
	alarm(STEP_SECONDS);
	s.tickets = tickets_new(keytab ? KEYTAB_FD : -1, argv[2],
	    argc > words ? argv[words] : NULL, &s.broken);
	alarm(0);
	harden();
	fs_set_nonblock(STDIN_FILENO, 1);
	fs_set_cloexec(STDIN_FILENO, 1);
	serve(&s);
	return s.status;
}
