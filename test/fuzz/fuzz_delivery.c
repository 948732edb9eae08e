/* A whole session of the SMTP client with a server that says anything.
 *
 * The first octet chooses the options below, the rest is what the server
 * says: line by line, with turns of the loop between, but a line that begins
 * with 0x01 leaves together with the next one.  Whatever it is, each job is
 * given back exactly once, and no recipient counts as delivered before the
 * end of a message was sent. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/crc.h"
#include "base/log.h"
#include "delivery/smtp_client.h"
#include "ipc/msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	OPT_LMTP = 1, OPT_CREDENTIAL = 2, OPT_THREE = 4, OPT_FEW = 8,
	OPT_UTF8 = 16, OPT_LARGE = 32, OPT_ONE_ONLY = 64, OPT_TLS = 128
};

#define JOBS 3
#define LARGE 300000

struct fuzz {
	struct loop *loop;
	struct smtp_client_env env;
	struct smtp_client *client;
	struct port *far;
	unsigned options, started, finished, steps;
	bool end_sent;			/* a dot or a chunk arrived */
	size_t matched;			/* of "\r\n.\r\n" */
	int fd;
};

static void
check(bool ok)
{
	if (!ok)
		abort();
}

/* ---- the owner ---- */

static void
job_over(void *arg, struct job *j)
{
	struct fuzz *f = arg;
	struct strbuf b = STRBUF_INIT;
	struct msg_job_done d;
	uint32_t i;

	check(j->open == 0);
	for (i = 0; i < j->m.n_rcpt; i++)
		check(j->rcpt[i].code / 100 != 2 || f->end_sent);
	job_result_encode(j, &b);
	check(msg_job_done_decode(strbuf_slice(&b), &d) == 0);
	msg_job_done_clear(&d);
	strbuf_free(&b);
	f->finished++;
	job_free(&j);
}

static void
on_done(void *arg, struct job *j)
{
	j->done = job_over;
	j->arg = arg;
	job_finish(j);
}

static struct job *
make_job(struct fuzz *f)
{
	static char body[LARGE];
	size_t n = f->options & OPT_LARGE ? LARGE : 20;
	struct msg_job_rcpt rcpt[3] = {
		{ 0, (char *)"a@example", 0, NULL },
		{ 1, (char *)"b@example", 3, (char *)"rfc822;b@example" },
		{ 2, (char *)"c@example", 0, NULL }
	};
	struct msg_job m = {
		.id = 1, .transport = (char *)"t", .from = (char *)"s@example",
		.trace = (char *)"Received: x\r\n", .body_size = n,
		.rcpt = rcpt, .n_rcpt = f->options & OPT_THREE ? 3 : 1,
		.eight_bit = true
	};
	struct port_message pm = { .type = MSG_JOB, .ref = 1, .fd = -1 };
	struct strbuf b = STRBUF_INIT;
	struct err e;
	struct job *j;

	memset(body, 'x', sizeof(body));
	memcpy(body + n - 2, "\r\n", 2);
	m.body_crc = crc32c(0, body, n);
	if (f->options & OPT_UTF8)
		rcpt[0].address = (char *)"\xc3\xa4@example";
	msg_job_encode(&b, &m);
	pm.data = strbuf_slice(&b);
	pm.body = slice_of(body, n);
	j = job_new(&pm, &e);
	strbuf_free(&b);
	check(j != NULL);
	return j;
}

static void
on_ready(void *arg)
{
	struct fuzz *f = arg;

	if (f->started == JOBS)
		return;
	f->started++;
	smtp_client_start(f->client, make_job(f));
}

static void
on_ended(void *arg, enum smtp_client_end how, struct job *left,
    const char *text)
{
	struct fuzz *f = arg;

	(void)text;
	check((left != NULL) == (how == SMTP_END_AGAIN ||
	    how == SMTP_END_SHUT) || how == SMTP_END_FULL);
	if (left != NULL) {
		check(left->open > 0);
		f->finished++;
		job_free(&left);
	}
	smtp_client_free(&f->client);
}

/* ---- auth ---- */

static int
auth_message(void *arg, struct port_message *m, struct err *e)
{
	struct fuzz *f = arg;
	struct msg_auth_step step = { .state = AUTH_CONTINUE,
		.mechanism = (char *)"SCRAM-SHA-256", .has_data = true,
		.data = SLICE_LIT("abc") };
	struct strbuf b = STRBUF_INIT;

	(void)e;
	if (m->type == MSG_CRED_DROP)
		return 0;
	if (++f->steps > 1)
		step.state = AUTH_OK;
	msg_auth_step_encode(&b, &step);
	port_send_reply(f->far, MSG_CRED_STEP, m->ref, strbuf_slice(&b));
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
make_auth(struct fuzz *f)
{
	static const struct port_handler h = { auth_message, auth_closed,
		NULL };
	int fds[2];

	check(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0,
	    fds) == 0);
	f->env.auth = port_new(f->loop, fds[0], "auth", &h, f);
	f->far = port_new(f->loop, fds[1], "delivery", &h, f);
}

/* ---- the server ---- */

/* Reads what the client says, and notes the end of a message. */
static void
listen_to_client(struct fuzz *f)
{
	static const char end[] = "\r\n.\r\n";
	char buf[65536];
	ssize_t n, i;

	while ((n = recv(f->fd, buf, sizeof(buf), MSG_DONTWAIT)) > 0) {
		if (memmem(buf, (size_t)n, "BDAT ", 5) != NULL)
			f->end_sent = true;
		for (i = 0; i < n; i++) {
			if (buf[i] == end[f->matched])
				f->matched++;
			else
				f->matched = buf[i] == '\r';
			if (f->matched == sizeof(end) - 1) {
				f->end_sent = true;
				f->matched = 2;
			}
		}
	}
}

static void
turns(struct fuzz *f)
{
	int i;

	for (i = 0; i < 12; i++) {
		loop_turn(f->loop, false);
		listen_to_client(f);
	}
}

static void
play(struct fuzz *f, const uint8_t *data, size_t size)
{
	const uint8_t *end;
	size_t n;
	bool glued;

	while (size > 0 && f->client != NULL) {
		end = memchr(data, '\n', size);
		n = end != NULL ? (size_t)(end - data) + 1 : size;
		glued = data[0] == 1;
		if (send(f->fd, data + glued, n - glued,
		    MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			break;
		data += n;
		size -= n;
		if (!glued)
			turns(f);
	}
	turns(f);
	shutdown(f->fd, SHUT_WR);
	turns(f);
	close(f->fd);
	turns(f);
	check(f->client == NULL);
	check(f->finished == f->started);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct smtp_client_events ev = { on_ready, NULL, on_done,
		on_ended };
	struct fuzz f = { .fd = -1 };
	struct conf_transport t = { .name = (char *)"t",
		.kind = TRANSPORT_SMARTHOST, .recipients_per_message = 100,
		.messages_per_connection = 100, .tls = TLS_OFF,
		.tls_verify = VERIFY_OFF };
	struct smtp_client_target to = { .transport = &t, .host = "mx",
		.remote = "mx[::1]:25", .helo = "us", .tls = TLS_OFF };
	struct tls_client_options o = { .verify = false };
	struct err e;
	int fds[2];

	if (size < 1 || size > 200000)
		return 0;
	log_open("fuzz", -1, LOG_STREAM, LOG_TEXT, LL_ERROR);
	f.options = data[0];
	f.loop = loop_new(&e);
	smtp_client_env_init(&f.env, f.loop);
	to.lmtp = f.options & OPT_LMTP;
	if (f.options & OPT_FEW)
		t.recipients_per_message = 1;
	if (f.options & OPT_ONE_ONLY)
		t.messages_per_connection = 1;
	if (f.options & OPT_CREDENTIAL) {
		t.has_credential = true;
		make_auth(&f);
	}
	if (f.options & OPT_TLS) {
		to.tls = TLS_OPPORTUNISTIC;
		to.context = tls_client_new(&o, &e);
	}
	check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
	f.fd = fds[1];
	f.client = smtp_client_new(&f.env, fds[0], &to, &ev, &f);
	tls_context_free(&to.context);
	play(&f, data + 1, size - 1);
	port_free(&f.env.auth);
	port_free(&f.far);
	loop_turn(f.loop, false);
	smtp_client_env_clear(&f.env);
	loop_free(&f.loop);
	return 0;
}
