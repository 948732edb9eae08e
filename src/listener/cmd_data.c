/* DATA and BDAT (listener; RFC 5321 4.1.1.4 and 4.5.2, RFC 3030): reads the
 * text of a message.  What is wrong with it is said at its end, as the
 * protocol wants it; only a bare CR or LF ends the session at once, because
 * nobody can tell any more what is text and what is a command. */
#include "listener/session.h"

#include "mail/smtp_command.h"

/* A text that is refused is read on, but not for ever. */
static uint64_t
patience(const struct session *s)
{
	return s->limit + 1024 * 1024;
}

/* Decoded octets were added to the text, or thrown away; used: octets of
 * input.  Says whether the session is still there. */
static bool
taken(struct session *s, size_t used)
{
	struct transaction *tx = s->tx;

	if (tx->refused == REFUSE_NOTHING && tx->decoder.octets > s->limit)
		smtpd_body_refuse(tx, REFUSE_TOO_BIG);
	if (tx->refused == REFUSE_NOTHING && tx->decoder.nuls > 0)
		smtpd_body_refuse(tx, REFUSE_NUL);
	if (tx->refused == REFUSE_NOTHING) {
		smtpd_body_write(tx, false);
		return true;
	}
	strbuf_clear(&tx->text);
	tx->dropped += used;
	if (tx->dropped <= patience(s))
		return true;
	session_refuse(s, tx->refused);
	session_end(s, "a refused text without end");
	return false;
}

/* More text than is kept in memory, and no file yet. */
static bool
wants_file(const struct transaction *tx)
{
	return tx->refused == REFUSE_NOTHING && tx->fd == -1 &&
	    tx->text.n > SESSION_INLINE_MAX;
}

static void
text_end(struct session *s)
{
	s->tx->ended = true;
	if (s->tx->decoder.bare > 0)
		s->tx->env.flags |= ENVELOPE_FIXED;
	if (wants_file(s->tx))
		smtpd_body_spool(s);
	else
		smtpd_commit_begin(s);
}

void
smtpd_data(struct session *s, const struct smtp_command *c)
{
	(void)c;
	if (s->owner->queue == NULL) {
		session_refuse(s, REFUSE_QUEUE_GONE);
		return;
	}
	dot_decoder_init(&s->tx->decoder, s->fix_bare ? DOT_FIX : DOT_REJECT,
	    false);
	session_set_state(s, ST_DATA);
	SAY(s, "354 End data with <CR><LF>.<CR><LF>\r\n");
}

bool
session_input_data(struct session *s)
{
	struct slice in = conn_input(s->conn);
	enum dot_result r;
	size_t used;

	if (in.n == 0)
		return false;
	r = dot_decode(&s->tx->decoder, in, &used, &s->tx->text);
	conn_consume(s->conn, used);
	if (r == DOT_BARE) {
		session_refuse(s, REFUSE_BARE);
		return false;
	}
	if (!taken(s, used))
		return false;
	if (r == DOT_END)
		text_end(s);
	else if (wants_file(s->tx))
		smtpd_body_spool(s);
	return true;
}

/* ---- BDAT ---- */

void
smtpd_bdat(struct session *s, const struct smtp_command *c)
{
	struct smtp_bdat chunk;
	struct smtp_refusal no;

	if (smtp_bdat_parse(c->arg, &chunk, &no) != 0) {
		/* What follows may be chunk or command. */
		session_refuse_as(s, "syntax", &no);
		session_end(s, "syntax of BDAT");
		return;
	}
	s->chunk_left = s->chunk_size = chunk.size;
	s->chunk_last = chunk.last;
	s->chunk_refused = REFUSE_NOTHING;
	if (s->state == ST_RCPT) {
		dot_decoder_init(&s->tx->decoder,
		    s->fix_bare ? DOT_FIX : DOT_REJECT, true);
		s->tx->env.flags |= ENVELOPE_CHUNKED;
	} else if (s->state != ST_CHUNKS) {
		s->back = s->state;
		s->chunk_refused = s->state == ST_MAIL ?
		    REFUSE_NO_RECIPIENTS : REFUSE_SEQUENCE;
	}
	if (chunk.size > patience(s)) {
		session_refuse(s, s->chunk_refused != REFUSE_NOTHING ?
		    (enum refusal_id)s->chunk_refused : REFUSE_TOO_BIG);
		session_end(s, "an absurd chunk");
		return;
	}
	if (s->chunk_refused == REFUSE_NOTHING &&
	    s->tx->decoder.octets + chunk.size > s->limit)
		smtpd_body_refuse(s->tx, REFUSE_TOO_BIG);
	session_set_state(s, ST_CHUNK);
}

static void
chunk_done(struct session *s)
{
	struct transaction *tx = s->tx;

	if (s->chunk_refused != REFUSE_NOTHING) {
		session_set_state(s, (enum session_state)s->back);
		session_refuse(s, (enum refusal_id)s->chunk_refused);
	} else if (s->chunk_last) {
		if (tx->refused == REFUSE_NOTHING &&
		    dot_decode_finish(&tx->decoder, &tx->text) == DOT_BARE)
			session_refuse(s, REFUSE_BARE);
		else
			text_end(s);
	} else if (tx->refused != REFUSE_NOTHING) {
		smtpd_commit_begin(s);
	} else {
		session_set_state(s, ST_CHUNKS);
		SAY(s, "250 2.0.0 Chunk received\r\n");
	}
}

bool
session_input_chunk(struct session *s)
{
	struct slice in = conn_input(s->conn);
	struct transaction *tx = s->tx;
	size_t used;

	if (s->chunk_left == 0) {
		chunk_done(s);
		return true;
	}
	if (in.n == 0)
		return false;
	if (in.n > s->chunk_left)
		in.n = (size_t)s->chunk_left;
	used = in.n;
	if (s->chunk_refused != REFUSE_NOTHING ||
	    tx->refused != REFUSE_NOTHING) {
		s->chunk_left -= used;
		conn_consume(s->conn, used);
		return s->chunk_refused != REFUSE_NOTHING || taken(s, used);
	}
	if (dot_decode(&tx->decoder, in, &used, &tx->text) == DOT_BARE) {
		session_refuse(s, REFUSE_BARE);
		return false;
	}
	s->chunk_left -= used;
	conn_consume(s->conn, used);
	if (!taken(s, used))
		return false;
	if (wants_file(tx))
		smtpd_body_spool(s);
	return true;
}
