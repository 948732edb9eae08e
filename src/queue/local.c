/*
 * What does not go through delivery: maildir and commands, which monitor runs
 * as the user concerned (one recipient at a time), and transports that are
 * settled here: discard, fail, direct (not there yet), and those that the
 * configuration no longer has.  Run by queue.
 */
#include <sys/mman.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/fs.h"
#include "base/mem.h"
#include "mail/received.h"
#include "mail/status.h"
#include "queue/internal.h"

struct verdict {
	uint16_t code;
	uint8_t subject, detail;
};

/* What an exit status of sysexits means to the sender.  What may be a fault
 * of ours or of the moment is tried again. */
static struct verdict
exit_verdict(unsigned status)
{
	switch (status) {
	case EX_OK:
		return (struct verdict){ 250, 0, 0 };
	case EX_DATAERR:
		return (struct verdict){ 550, 6, 0 };
	case EX_NOUSER:
		return (struct verdict){ 550, 1, 1 };
	case EX_NOHOST:
		return (struct verdict){ 550, 1, 2 };
	case EX_UNAVAILABLE:
	case EX_USAGE:
	case EX_SOFTWARE:
		return (struct verdict){ 550, 3, 0 };
	case EX_NOPERM:
		return (struct verdict){ 550, 7, 0 };
	case EX_CANTCREAT:
		return (struct verdict){ 450, 2, 0 };
	default:
		return (struct verdict){ 451, 3, 0 };
	}
}

/* One result for all recipients of the attempt. */
static void
settle_all(struct attempt *a, enum job_class class, struct verdict v,
    const char *text)
{
	struct msg_job_done d;
	struct mail_status own;
	size_t k, used = 0;

	if (class == JOB_SETTLED)
		rate_spend(a);
	/* `fail 451 "4.7.1 not now"` brings its own */
	if (mail_status_parse(slice_cstr(text), &own, &used)) {
		v.subject = (uint8_t)own.subject;
		v.detail = (uint8_t)own.detail;
		text += used + strspn(text + used, " \t");
	}
	memset(&d, 0, sizeof(d));
	d.class = (uint8_t)class;
	d.text = mem_strdup(text);
	d.n_rcpt = (uint32_t)a->n_rcpt;
	d.rcpt = mem_zarray(a->n_rcpt, sizeof(*d.rcpt));
	for (k = 0; k < a->n_rcpt; k++) {
		d.rcpt[k].index = a->rcpt[k];
		d.rcpt[k].code = v.code;
		d.rcpt[k].status[0] = (uint8_t)(v.code / 100);
		d.rcpt[k].status[1] = v.subject;
		d.rcpt[k].status[2] = v.detail;
		d.rcpt[k].text = mem_printf("%u %u.%u.%u %s", v.code,
		    v.code / 100u, v.subject, v.detail, text);
	}
	settle_job(a, &d);
	msg_job_done_clear(&d);
}

bool
local_settle(struct attempt *a)
{
	const struct conf_transport *t = a->lane->transport;
	char text[160];

	a->sent_us = clock_mono_us();
	if (t == NULL && !a->lane->direct) {
		snprintf(text, sizeof(text), "transport %.100s is not in the "
		    "configuration", a->lane->name);
		settle_all(a, JOB_UNREACHABLE, (struct verdict){ 451, 3, 5 },
		    text);
	} else if (t == NULL || t->kind == TRANSPORT_DIRECT) {
		settle_all(a, JOB_UNREACHABLE, (struct verdict){ 451, 3, 5 },
		    "no transport: direct delivery is not supported yet");
	} else if (t->kind == TRANSPORT_DISCARD) {
		settle_all(a, JOB_SETTLED, (struct verdict){ 250, 0, 0 },
		    "discarded");
	} else if (t->kind == TRANSPORT_FAIL) {
		settle_all(a, JOB_SETTLED, (struct verdict){
		    (uint16_t)t->fail_code, 7, 0 }, t->fail_text != NULL ?
		    t->fail_text : "refused by the configuration");
	} else {
		return false;
	}
	return true;
}

/* ---- maildir and commands ---- */

static int
copy_body(const struct message *m, int out, struct err *e)
{
	char *buf = loop_scratch(m->q->loop);
	uint64_t done = 0;
	int in, rc = -1;

	if (m->rec->body_kind != BODY_FILE)
		return fs_write_all(out, m->body.p, m->body.n) < 0 ?
		    err_errno(e, "write the message for local delivery") : 0;
	in = store_open_body(m->q->store, m->rec, e);
	if (in < 0)
		return -1;
	while (done < m->rec->body_size) {
		ssize_t n = read(in, buf, LOOP_SCRATCH);

		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			err_set(e, EILSEQ, "the body's file is too short");
		else if (n < 0 || fs_write_all(out, buf, (size_t)n) < 0)
			err_errno(e, "copy the message for local delivery");
		else {
			done += (uint64_t)n;
			continue;
		}
		goto out;
	}
	rc = 0;
out:
	close(in);
	return rc;
}

/* A file of its own, as the final delivery wants it: Return-Path (RFC 5321,
 * 4.4), our trace line, the message.  Large ones do not go into memory. */
static int
local_file(struct attempt *a, const char *to, struct err *e)
{
	struct message *m = a->m;
	struct strbuf head = STRBUF_INIT;
	int fd;

	if (message_need_body(m, e) < 0)
		return -1;
	fd = m->rec->body_kind == BODY_FILE ?
	    store_body_file(m->q->store, e) :
	    memfd_create("message", MFD_CLOEXEC);
	if (fd < 0) {
		if (e->code == 0)
			err_errno(e, "make a file for local delivery");
		return -1;
	}
	strbuf_puts(&head, "Return-Path: <");
	strbuf_puts(&head, m->rec->env->from);
	strbuf_puts(&head, ">\r\n");
	received_compose(&head, m->rec->env, m->q->conf->hostname, to);
	if (fs_write_all(fd, head.p, head.n) < 0)
		err_errno(e, "write the message for local delivery");
	else
		copy_body(m, fd, e);
	strbuf_free(&head);
	if (e->code == 0 && lseek(fd, 0, SEEK_SET) == 0)
		return fd;
	close(fd);
	return -1;
}

static void
local_done(void *arg, struct port_message *pm)
{
	struct attempt *a = arg;
	struct message *m = a->m;
	struct msg_local_done d;
	struct verdict v;

	if (pm != NULL && pm->fd >= 0)
		close(pm->fd);
	if (pm == NULL || pm->type != MSG_LOCAL_DONE ||
	    msg_local_done_decode(pm->data, &d) < 0) {
		settle_lost(a);
	} else {
		v = exit_verdict(d.exit_status);
		settle_all(a, JOB_SETTLED, v, d.text[0] != 0 ? d.text :
		    v.code == 250 ? "delivered" : "local delivery failed");
	}
	message_rest(m);
}

/* Attempts of local lanes have one recipient. */
void
local_start(struct attempt *a)
{
	struct message *m = a->m;
	struct port *monitor = m->q->base.monitor;
	struct strbuf b = STRBUF_INIT;
	struct err e = { 0, "" };
	struct msg_local l;
	uint64_t ref;
	int fd;

	l.transport = a->lane->name;
	l.sender = m->rec->env->from;
	l.recipient = m->rec->env->recipients[a->rcpt[0]].address;
	fd = local_file(a, l.recipient, &e);
	if (fd < 0) {
		settle_broken(a, &e);
		return;
	}
	(void)FAULT("queue.before_job");
	msg_local_encode(&b, &l);
	a->state = ATTEMPT_RUNNING;
	a->sent_us = clock_mono_us();
	ref = port_request(monitor, 0, local_done, a);
	port_send_fd(monitor, MSG_LOCAL_JOB, ref, strbuf_slice(&b), fd);
	strbuf_free(&b);
}
