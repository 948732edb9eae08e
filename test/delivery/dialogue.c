/* The other side of the SMTP client: see dialogue.h. */
#include "delivery/dialogue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <cmocka.h>

#include "base/crc.h"
#include "base/mem.h"
#include "delivery/certificate.h"
#include "delivery/smtp_client.h"
#include "io/conn.h"
#include "ipc/msg.h"

#define TURNS 400

struct play {
	const struct dialogue *d;
	struct loop *loop;
	struct smtp_client_env env;
	struct smtp_client *client;
	struct conn *server;
	bool server_closed;
	bool secured;
	unsigned started;		/* jobs */
	bool ended;
	struct strbuf events;
	struct strbuf text;
	struct strbuf steps;		/* of auth, one in a line */
	struct port *auth_far;
	struct conf_transport transport;
	char *body;
	size_t body_n;
};

/* ---- the client's owner ---- */

static void
note(struct play *p, const char *what)
{
	strbuf_printf(&p->events, "%s%s", p->events.n > 0 ? " " : "", what);
}

static struct job *
make_job(struct play *p)
{
	const struct dialogue *d = p->d;
	struct msg_job_rcpt rcpt[6];
	struct msg_job m = {
		.id = 7, .transport = (char *)"t",
		.from = (char *)(uintptr_t)(d->from ? d->from : "s@example"),
		.trace = (char *)"Received: by us\r\n",
		.eight_bit = d->eight_bit,
		.body_size = p->body_n,
		.body_crc = crc32c(0, p->body, p->body_n) +
		    (d->wrong_crc ? 1 : 0),
		.rcpt = rcpt
	};
	struct port_message pm = { .type = MSG_JOB, .ref = 1, .fd = -1 };
	struct strbuf b = STRBUF_INIT;
	struct err e = { 0, "" };
	struct job *j;

	if (d->dsn) {
		m.ret = 2;
		m.envid = (char *)"E1";
	}
	memset(rcpt, 0, sizeof(rcpt));
	do {
		const char *to = d->to[m.n_rcpt];

		rcpt[m.n_rcpt].index = m.n_rcpt;
		rcpt[m.n_rcpt].address =
		    (char *)(uintptr_t)(to ? to : "a@example");
		rcpt[m.n_rcpt].notify = d->dsn ? 4 : 0;
		m.n_rcpt++;
	} while (m.n_rcpt < 6 && d->to[m.n_rcpt] != NULL);
	msg_job_encode(&b, &m);
	pm.data = strbuf_slice(&b);
	if (d->file) {
		pm.fd = memfd_create("body", 0);
		assert_true(pm.fd >= 0);
		assert_int_equal(write(pm.fd, p->body, p->body_n),
		    (ssize_t)p->body_n);
	} else
		pm.body = slice_of(p->body, p->body_n);
	j = job_new(&pm, &e);
	assert_non_null(j);
	strbuf_free(&b);
	return j;
}

static void
on_done(void *arg, struct job *j)
{
	static const char *const classes[] = { "settled", "unreachable",
		"credential", "quota", "returned", "broken" };
	struct play *p = arg;
	struct strbuf b = STRBUF_INIT;
	struct msg_job_done done;
	uint32_t i;

	job_result_encode(j, &b);
	assert_int_equal(msg_job_done_decode(strbuf_slice(&b), &done), 0);
	strbuf_clear(&b);
	strbuf_printf(&b, "done(%s:", classes[j->class]);
	for (i = 0; i < done.n_rcpt; i++) {
		const struct msg_job_result *r = &done.rcpt[i];

		strbuf_printf(&b, "%s%u/%u.%u.%u", i > 0 ? " " : "", r->code,
		    r->status[0], r->status[1], r->status[2]);
		strbuf_clear(&p->text);
		strbuf_puts(&p->text, r->text);
	}
	strbuf_puts(&b, ")");
	note(p, strbuf_cstr(&b));
	strbuf_free(&b);
	msg_job_done_clear(&done);
	job_free(&j);
}

static void
finish(void *arg, struct job *j)
{
	on_done(arg, j);
}

static void
on_done_event(void *arg, struct job *j)
{
	j->done = finish;
	j->arg = arg;
	job_finish(j);
}

static void
on_ready(void *arg)
{
	struct play *p = arg;

	note(p, "ready");
	if (p->started < (p->d->jobs ? p->d->jobs : 1)) {
		p->started++;
		smtp_client_start(p->client, make_job(p));
	}
}

static void
on_ended(void *arg, enum smtp_client_end how, struct job *left,
    const char *text)
{
	static const char *const ends[] = { "unreachable", "unsafe", "tls",
		"credential", "token", "full", "shut", "again", "closed" };
	struct play *p = arg;

	note(p, ends[how]);
	if (how != SMTP_END_FULL)
		assert_int_equal(left != NULL, how == SMTP_END_AGAIN ||
		    how == SMTP_END_SHUT);
	job_free(&left);
	if (how != SMTP_END_CLOSED) {
		strbuf_clear(&p->text);
		strbuf_puts(&p->text, text);
	}
	p->ended = true;
	smtp_client_free(&p->client);
}

/* ---- the server ---- */

static void
server_closed(void *arg, const struct err *why)
{
	(void)why;
	((struct play *)arg)->server_closed = true;
}

static void
server_secured(void *arg)
{
	((struct play *)arg)->secured = true;
}

static void
turn(struct play *p)
{
	loop_turn(p->loop, false);
}

/* One line of the client's, without its end. */
static bool
client_line(struct play *p, struct strbuf *line)
{
	struct slice in;
	const char *end;
	int i;

	strbuf_clear(line);
	for (i = 0; i < TURNS; i++) {
		in = p->server ? conn_input(p->server) : slice_of("", 0);
		end = in.n > 0 ? memmem(in.p, in.n, "\r\n", 2) : NULL;
		if (end != NULL) {
			strbuf_add(line, in.p, (size_t)(end - in.p));
			conn_consume(p->server,
			    (size_t)(end - in.p) + 2);
			return true;
		}
		turn(p);
	}
	return false;
}

static void
server_handshake(struct play *p)
{
	struct err e = { 0, "" };
	struct tls_context *ctx = certificate_server();
	int i;

	assert_int_equal(conn_start_tls_server(p->server, ctx, 5000, &e), 0);
	tls_context_free(&ctx);
	for (i = 0; i < 100000 && !p->secured && !p->ended; i++)
		turn(p);
}

static void
expect_line(struct play *p, const char *want)
{
	struct strbuf line = STRBUF_INIT;

	if (!client_line(p, &line))
		fail_msg("%s: no line, wanted \"%s\" (so far: %s)",
		    p->d->name, want, strbuf_cstr(&p->events));
	if (strcmp(strbuf_cstr(&line), want) != 0)
		fail_msg("%s: \"%s\", wanted \"%s\"", p->d->name,
		    strbuf_cstr(&line), want);
	strbuf_free(&line);
}

static void
skip_lines(struct play *p, int n)
{
	struct strbuf line = STRBUF_INIT;

	while (n-- > 0) {
		if (!client_line(p, &line))
			fail_msg("%s: a line is missing", p->d->name);
	}
	strbuf_free(&line);
}

static void
be_quiet(struct play *p)
{
	int i;

	for (i = 0; i < 20; i++)
		turn(p);
	if (p->server != NULL && conn_input(p->server).n > 0)
		fail_msg("%s: the client says \"%.*s\"", p->d->name,
		    (int)conn_input(p->server).n, conn_input(p->server).p);
}

static void
wait_end(struct play *p)
{
	int i;

	/* Timers are coarse: turns that wait. */
	for (i = 0; i < TURNS && !p->ended; i++) {
		if (p->d->timeout != 0)
			loop_turn(p->loop, true);
		else
			turn(p);
	}
	if (!p->ended)
		fail_msg("%s: the session did not end", p->d->name);
}

static bool
is(const char *line, const char *word)
{
	return strncmp(line, word, strlen(word)) == 0;
}

static void
act(struct play *p, const char *line)
{
	int i;

	if (is(line, "S: "))
		conn_printf(p->server, "%s\r\n", line + 3);
	else if (is(line, "RAW "))
		conn_puts(p->server, line + 4);
	else if (is(line, "C: "))
		expect_line(p, line + 3);
	else if (is(line, "C* "))
		skip_lines(p, atoi(line + 3));
	else if (is(line, "C:"))
		expect_line(p, "");
	else if (is(line, "TLS"))
		server_handshake(p);
	else if (is(line, "BADTLS"))
		conn_puts(p->server, "this is not TLS at all, is it\r\n");
	else if (is(line, "CLOSE"))
		conn_close(&p->server);
	else if (is(line, "RESET"))
		conn_abort(&p->server);
	else if (is(line, "QUIET"))
		be_quiet(p);
	else if (is(line, "WAIT"))
		wait_end(p);
	else if (is(line, "IDLE"))
		for (i = 0; i < 20; i++)
			turn(p);
	else if (is(line, "AUTH "))
		strbuf_printf(&p->steps, "%s\n", line + 5);
	else
		fail_msg("%s: what is \"%s\"?", p->d->name, line);
}

/* ---- auth ---- */

static int
auth_message(void *arg, struct port_message *m, struct err *e)
{
	struct play *p = arg;
	struct msg_auth_step step = { .state = AUTH_REFUSED };
	char state[32] = "", mechanism[32] = "", data[2048] = "";
	struct strbuf b = STRBUF_INIT;
	const char *end;

	(void)e;
	if (m->type == MSG_CRED_DROP)
		return 0;
	end = p->steps.n > 0 ? strchr(p->steps.p, '\n') : NULL;
	if (end == NULL)
		return 0;		/* silence */
	sscanf(p->steps.p, "%31s %31s %2047s", state, mechanism, data);
	strbuf_drop(&p->steps, (size_t)(end + 1 - p->steps.p));
	if (strcmp(state, "continue") == 0)
		step.state = AUTH_CONTINUE;
	else if (strcmp(state, "ok") == 0)
		step.state = AUTH_OK;
	else if (strcmp(state, "temporary") == 0)
		step.state = AUTH_TEMPORARY;
	else if (strcmp(state, "nomech") == 0)
		step.state = AUTH_NO_MECHANISM;
	step.mechanism = mechanism;
	step.has_data = strcmp(data, "-") != 0;
	step.data = slice_cstr(strcmp(data, "empty") == 0 ? "" : data);
	msg_auth_step_encode(&b, &step);
	port_send_reply(p->auth_far, MSG_CRED_STEP, m->ref, strbuf_slice(&b));
	strbuf_free(&b);
	return 0;
}

static void
auth_closed(void *arg, const struct err *why)
{
	(void)arg;
	(void)why;
}

static void
make_auth(struct play *p)
{
	static const struct port_handler h = { auth_message, auth_closed,
		NULL };
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK,
	    0, fds), 0);
	p->env.auth = port_new(p->loop, fds[0], "auth", &h, p);
	p->auth_far = port_new(p->loop, fds[1], "delivery", &h, p);
}

/* ---- the whole ---- */

static void
set_up(struct play *p)
{
	static const struct smtp_client_events ev = { on_ready, NULL,
		on_done_event, on_ended };
	static const struct conn_events server = { NULL, NULL,
		server_secured, server_closed };
	const struct dialogue *d = p->d;
	struct smtp_client_target to = {
		.transport = &p->transport, .host = "mx.example",
		.remote = "mx.example[192.0.2.1]:25", .helo = "us.example",
		.tls = d->tls == TLS_UNSET ? TLS_OFF : d->tls,
		.lmtp = d->lmtp
	};
	struct err e = { 0, "" };
	int fds[2];

	p->loop = loop_new(&e);
	assert_non_null(p->loop);
	smtp_client_env_init(&p->env, p->loop);
	p->transport.name = (char *)"t";
	p->transport.kind = TRANSPORT_SMARTHOST;
	p->transport.messages_per_connection = d->message_max;
	p->transport.recipients_per_message = d->rcpt_max ? d->rcpt_max : 100;
	p->transport.timeout = d->timeout;
	p->transport.has_credential = d->credential;
	p->transport.tls = to.tls;
	p->transport.tls_verify = d->verify ? VERIFY_ON : VERIFY_OFF;
	if (d->credential)
		make_auth(p);
	if (d->large > 0) {
		p->body_n = d->large;
		p->body = mem_alloc(d->large);
		memset(p->body, 'x', d->large);
		memcpy(p->body + d->large - 2, "\r\n", 2);
	} else {
		p->body = mem_strdup(d->body ? d->body :
		    "Subject: x\r\n\r\nhello\r\n");
		p->body_n = strlen(p->body);
	}
	if (to.tls != TLS_OFF)
		to.context = certificate_client(d->verify);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
	    fds), 0);
	p->server = conn_new(p->loop, fds[1], &server, p);
	conn_read_limit(p->server, 64u << 20);
	p->client = smtp_client_new(&p->env, fds[0], &to, &ev, p);
	tls_context_free(&to.context);
}

static void
tear_down(struct play *p)
{
	smtp_client_free(&p->client);
	conn_abort(&p->server);
	port_free(&p->env.auth);
	port_free(&p->auth_far);
	loop_turn(p->loop, false);
	smtp_client_env_clear(&p->env);
	loop_free(&p->loop);
	strbuf_free(&p->events);
	strbuf_free(&p->text);
	strbuf_free(&p->steps);
	free(p->body);
}

void
dialogue_run(const struct dialogue *d)
{
	struct play p = { .d = d };
	char *script = mem_strdup(d->script), *at = script, *line;

	set_up(&p);
	while ((line = strsep(&at, "\n")) != NULL) {
		if (*line != '\0')
			act(&p, line);
	}
	act(&p, "IDLE");
	if (strcmp(strbuf_cstr(&p.events), d->events) != 0)
		fail_msg("%s:\n  got    %s\n  wanted %s\n  text: %s", d->name,
		    strbuf_cstr(&p.events), d->events, strbuf_cstr(&p.text));
	if (d->text != NULL && strstr(strbuf_cstr(&p.text), d->text) == NULL)
		fail_msg("%s: \"%s\" says nothing of \"%s\"", d->name,
		    strbuf_cstr(&p.text), d->text);
	tear_down(&p);
	free(script);
}

void
dialogue_run_all(const struct dialogue *d, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		dialogue_run(&d[i]);
}
