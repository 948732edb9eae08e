/*
 * What does not go through delivery: maildir and commands, which monitor runs
 * as the user concerned (one recipient at a time), and transports that are
 * settled here: discard, fail, and those that the configuration no longer
 * has.  Run by queue.
 */
#include <sys/mman.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crc.h"
#include "base/fault.h"
#include "base/fs.h"
#include "base/mem.h"
#include "mail/received.h"
#include "mail/status.h"
#include "queue/internal.h"

struct verdict {
	uint16_t code;
	uint8_t status[3];
};

static struct verdict
verdict(uint16_t code, uint8_t subject, uint8_t detail)
{
	return (struct verdict){ code, { (uint8_t)(code / 100), subject,
	    detail } };
}

/* What an exit status of sysexits means to the sender.  What may be a fault
 * of ours or of the moment is tried again. */
static struct verdict
exit_verdict(unsigned status)
{
	switch (status) {
	case EX_OK:
		return verdict(250, 0, 0);
	case EX_DATAERR:
		return verdict(550, 6, 0);
	case EX_NOUSER:
		return verdict(550, 1, 1);
	case EX_NOHOST:
		return verdict(550, 1, 2);
	case EX_UNAVAILABLE:
	case EX_USAGE:
	case EX_SOFTWARE:
		return verdict(550, 3, 0);
	case EX_NOPERM:
		return verdict(550, 7, 0);
	case EX_CANTCREAT:
		return verdict(450, 2, 0);
	default:
		return verdict(451, 3, 0);
	}
}

/* One result for all recipients of the attempt, but for those who have
 * another one (own may be NULL). */
static void
settle_all(struct attempt *a, enum job_class class, struct verdict v,
    const char *text, const struct msg_local_done *own)
{
	struct msg_job_done d;
	struct mail_status status;
	size_t k, used = 0;

	if (class == JOB_SETTLED)
		rate_spend(a);
	/* `fail 451 "4.7.1 not now"` brings its own */
	if (mail_status_parse(slice_cstr(text), &status, &used)) {
		v.status[1] = (uint8_t)status.subject;
		v.status[2] = (uint8_t)status.detail;
		text += used + strspn(text + used, " \t");
	}
	job_own_result(a, class, v.code, v.status, text, &d);
	for (k = 0; own != NULL && k < own->n_own && k < a->n_rcpt; k++) {
		if (own->own[k] == EX_OK)
			continue;
		v = exit_verdict(own->own[k]);
		job_set_result(&d.rcpt[k], v.code, v.status,
		    "cannot be delivered to on this machine");
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
	if (t == NULL) {
		snprintf(text, sizeof(text), "transport %.100s is not in the "
		    "configuration", a->lane->name);
		settle_all(a, JOB_UNREACHABLE, verdict(451, 3, 5), text, NULL);
	} else if (t->kind == TRANSPORT_DISCARD) {
		settle_all(a, JOB_SETTLED, verdict(250, 0, 0), "discarded",
		    NULL);
	} else if (t->kind == TRANSPORT_FAIL) {
		settle_all(a, JOB_SETTLED, verdict((uint16_t)t->fail_code, 7,
		    0), t->fail_text != NULL ? t->fail_text :
		    "refused by the configuration", NULL);
	} else {
		return false;
	}
	return true;
}

/* ---- maildir and commands ---- */

/* Where a message for a local program goes. */
struct target {
	int fd;
	bool lf;			/* CRLF becomes LF, as programs of this
					 * machine have it */
	bool cr;			/* the block before ended in CR */
};

static int
target_write(struct target *t, const char *p, size_t n)
{
	struct strbuf b = STRBUF_INIT;
	size_t i, from = 0;
	int rc;

	if (!t->lf)
		return fs_write_all(t->fd, p, n);
	for (i = 0; i < n; i++) {
		if (t->cr && p[i] != '\n')
			strbuf_putc(&b, '\r');
		t->cr = p[i] == '\r';
		if (t->cr) {
			strbuf_add(&b, p + from, i - from);
			from = i + 1;
		}
	}
	strbuf_add(&b, p + from, n - from);
	rc = fs_write_all(t->fd, b.p, b.n);
	strbuf_free(&b);
	return rc;
}

/* What the header in front stands for is read, and not copied: the checksum is
 * that of all of it. */
static int
copy_file(const struct message *m, int in, uint64_t skip, struct target *out,
    struct err *e)
{
	char *buf = loop_scratch(m->q->loop);
	uint64_t left = m->rec->body_size;
	uint32_t crc = 0;

	while (left > 0) {
		ssize_t n = read(in, buf, left < LOOP_SCRATCH ? left :
		    LOOP_SCRATCH);
		size_t from;

		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			return err_set(e, EILSEQ, "the body's file is too "
			    "short");
		if (n < 0)
			return err_errno(e, "read the message for local "
			    "delivery");
		crc = crc32c(crc, buf, (size_t)n);
		left -= (uint64_t)n;
		from = skip < (uint64_t)n ? skip : (size_t)n;
		skip -= from;
		if (target_write(out, buf + from, (size_t)n - from) < 0)
			return err_errno(e, "copy the message for local "
			    "delivery");
	}
	return crc == m->rec->body_crc ? 0 : err_set(e, EILSEQ,
	    "the body's checksum is wrong");
}

static int
copy_body(const struct message *m, uint32_t skip, struct target *out,
    struct err *e)
{
	int in, rc;

	if (m->rec->body_kind != BODY_FILE)
		return target_write(out, m->body.p + skip,
		    m->body.n - skip) < 0 ?
		    err_errno(e, "write the message for local delivery") : 0;
	in = store_open_body(m->q->store, m->rec, e);
	if (in < 0)
		return -1;
	rc = copy_file(m, in, skip, out, e);
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
	struct target out = { .lf = a->lane->transport->kind ==
	    TRANSPORT_MDA };
	uint32_t skip;
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
	strbuf_puts(&head, rewrite_sender(m));
	strbuf_puts(&head, ">\r\n");
	received_compose(&head, m->rec->env, m->q->conf->hostname, to);
	skip = rewrite_head(m, &head);
	out.fd = fd;
	if (target_write(&out, head.p, head.n) < 0)
		err_errno(e, "write the message for local delivery");
	else if (copy_body(m, skip, &out, e) == 0 && out.cr &&
	    fs_write_all(fd, "\r", 1) < 0)
		err_errno(e, "write the message for local delivery");
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
		    v.code == 250 ? "delivered" : "local delivery failed",
		    &d);
	}
	message_rest(m);
}

/* Attempts of local lanes have one recipient, but for an mda that takes all
 * of them. */
static void
set_recipients(const struct attempt *a, struct msg_local *l)
{
	const struct recipient *r = a->m->rec->env->recipients;
	size_t k;

	l->recipient = r[a->rcpt[0]].address;
	l->n_more = (uint32_t)a->n_rcpt - 1;
	l->more = mem_zarray(a->n_rcpt, sizeof(*l->more));
	for (k = 1; k < a->n_rcpt; k++)
		l->more[k - 1] = r[a->rcpt[k]].address;
}

void
local_start(struct attempt *a)
{
	struct message *m = a->m;
	struct port *monitor = m->q->base.monitor;
	struct strbuf b = STRBUF_INIT;
	struct err e = { 0, "" };
	struct msg_local l = { .transport = a->lane->name,
	    .sender = (char *)(uintptr_t)rewrite_sender(m) };
	uint64_t ref;
	int fd;

	fd = local_file(a, a->n_rcpt > 1 ? NULL :
	    m->rec->env->recipients[a->rcpt[0]].address, &e);
	if (fd < 0) {
		settle_broken(a, &e);
		return;
	}
	(void)FAULT("queue.before_job");
	set_recipients(a, &l);
	msg_local_encode(&b, &l);
	free(l.more);
	a->state = ATTEMPT_RUNNING;
	a->sent_us = clock_mono_us();
	ref = port_request(monitor, 0, local_done, a);
	port_send_fd(monitor, MSG_LOCAL_JOB, ref, strbuf_slice(&b), fd);
	strbuf_free(&b);
}
