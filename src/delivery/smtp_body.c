/*
 * Sending the message: trace lines and body, stuffed with dots or in one
 * chunk, as they are and otherwise unchanged.  Run by delivery.  RFC 5321
 * 4.5.2, RFC 3030.
 *
 * A small message leaves in one write.  A large one goes 64 KiB at a time and
 * a turn of the loop each, as fast as the socket takes it.  The last octets
 * only leave once the checksum of all of them is right: a damaged body never
 * becomes a message.
 */
#include <stdio.h>

#include "base/crc.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/num.h"
#include "delivery/smtp_client_private.h"

#define HIGH_WATER (256u * 1024)	/* octets that may wait to be sent */

/* Ours to answer for, not the server's and not the sender's. */
static void
damaged(struct smtp_client *c, const char *text)
{
	char id[NUM_ID_LEN + 1];

	num_id_text(c->job->m.id, id);
	log_begin(LL_WARN, "body");
	log_str("id", id);
	log_str("text", text);
	log_end();
	job_fail(c->job, JOB_BROKEN, text);
	/* What is pending must not go, nor anything behind it. */
	conn_abort(&c->conn);
	client_job_done(c);
	client_end(c, SMTP_END_CLOSED, "%s", text);
}

/* The next octets of the body, and whether they are the last. */
static int
next_octets(struct smtp_client *c, struct slice *s, bool *last)
{
	const struct job *j = c->job;
	uint64_t begin = c->offset;
	struct err e = { 0, "" };

	if (job_body(j, c->offset, c->env->chunk, SMTP_CLIENT_CHUNK, s,
	    &e) < 0) {
		damaged(c, e.text);
		return -1;
	}
	c->crc = crc32c(c->crc, s->p, s->n);
	c->offset += s->n;
	*last = c->offset == j->m.body_size;
	if (*last && c->crc != j->m.body_crc) {
		damaged(c, "the body's checksum is wrong");
		return -1;
	}
	/* What the header in front stands for is read, and not sent. */
	if (begin < j->m.skip)
		*s = slice_skip(*s, s->n < j->m.skip - begin ? s->n :
		    (size_t)(j->m.skip - begin));
	return 0;
}

static void
chunk_head(const struct smtp_client *c, struct strbuf *out)
{
	char line[64];
	int n = snprintf(line, sizeof(line), "BDAT %llu LAST\r\n",
	    (unsigned long long)c->job->size);

	strbuf_add(out, line, (size_t)n);
}

int
body_chunk_ahead(struct smtp_client *c, struct strbuf *out)
{
	struct slice s;
	bool last;

	chunk_head(c, out);
	strbuf_puts(out, c->job->m.trace);
	do {
		if (next_octets(c, &s, &last) < 0)
			return -1;
		strbuf_add_slice(out, s);
	} while (!last);
	(void)FAULT("delivery.before_dot");
	c->whole = true;
	return 0;
}

/* Puts the next part of the message where it goes out. */
static int
write_part(struct smtp_client *c)
{
	struct strbuf *out = &c->env->out;
	bool first = c->offset == 0, chunked = c->t.chunked;
	struct slice s, v[2];
	bool last;

	strbuf_clear(out);
	if (first && chunked)
		chunk_head(c, out);
	if (first) {
		dot_encoder_init(&c->dots);
		if (chunked)
			strbuf_puts(out, c->job->m.trace);
		else
			dot_encode(&c->dots, slice_cstr(c->job->m.trace),
			    out);
	}
	if (next_octets(c, &s, &last) < 0)
		return -1;
	if (!chunked) {
		dot_encode(&c->dots, s, out);
		s.n = 0;
	}
	if (last) {
		if (!chunked)
			dot_encode_end(&c->dots, out);
		(void)FAULT("delivery.before_dot");
		c->whole = true;
	}
	v[0] = strbuf_slice(out);
	v[1] = s;
	conn_writev(c->conn, v, 2);
	if (c->whole)
		conn_flush(c->conn);
	return 0;
}

/* The end has left: now, and only now, a reply is due. */
static void
body_sent(struct smtp_client *c)
{
	(void)FAULT("delivery.after_dot");
	c->due = c->t.finals;
	client_state(c, ST_FINAL);
}

static void
body_go_on(struct smtp_client *c)
{
	if (!c->whole && conn_pending_out(c->conn) <= HIGH_WATER) {
		if (write_part(c) < 0)
			return;
		conn_timeout(c->conn, c->to.transport->timeout != 0 ?
		    c->to.transport->timeout : 5 * 60 * 1000u);
	}
	if (c->whole) {
		if (conn_pending_out(c->conn) == 0)
			body_sent(c);
	} else if (conn_pending_out(c->conn) <= HIGH_WATER)
		loop_defer(c->env->loop, &c->more);
}

void
body_enter(struct smtp_client *c)
{
	/* A reply to the message that is here before the message: it will be
	 * read next and end the session. */
	if (conn_input(c->conn).n > 0) {
		c->early = true;
		return;
	}
	if (c->t.empty) {
		c->whole = true;
		conn_write(c->conn, ".\r\n", 3);
		conn_flush(c->conn);
	}
	body_go_on(c);
}

void
body_drained(struct smtp_client *c)
{
	if (c->early)
		return;
	body_go_on(c);
}
