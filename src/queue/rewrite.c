/*
 * Senders that an account does not own become its own when its mail leaves.
 * Run by queue, at each attempt: what is stored stays as it came, and a
 * reload counts for mail that waits.  A header that cannot be taken as a
 * whole is left alone.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/num.h"
#include "mail/address.h"
#include "mail/header.h"
#include "mail/pattern.h"
#include "mail/rewrite.h"
#include "queue/internal.h"

#define HEADER_MAX (60u * 1024)		/* what fits into a job's text */

static const struct conf_account *
account_of(const struct message *m)
{
	const struct conf *conf = m->q->conf;
	size_t i = m->rec->account != NULL ?
	    conf_account_find(conf, m->rec->account) : SIZE_MAX;

	return i != SIZE_MAX ? &conf->accounts[i] : NULL;
}

/* One of its senders; without any, only what it rewrites to. */
static bool
owns(const struct conf_account *a, const char *address, struct slice sender)
{
	size_t i;

	if (mail_address_same(slice_cstr(address), sender))
		return true;
	for (i = 0; i < a->senders.n; i++)
		if (mail_pattern_matches(&a->senders.v[i], sender))
			return true;
	return false;
}

static bool
may_be_author(void *arg, struct slice address)
{
	const struct conf_account *a = arg;

	return owns(a, a->rewrite_from, address);
}

const char *
rewrite_sender(const struct message *m)
{
	const struct conf_account *a = account_of(m);
	const char *from = m->rec->env->from;

	if (a == NULL || a->rewrite_envelope == NULL || from[0] == '\0')
		return from;
	if (!a->rewrite_envelope_always &&
	    owns(a, a->rewrite_envelope, slice_cstr(from)))
		return from;
	return a->rewrite_envelope;
}

static void
left_alone(const struct message *m, const char *why)
{
	char id[NUM_ID_LEN + 1];

	num_id_text(m->id, id);
	log_begin(LL_WARN, "rewrite");
	log_str("id", id);
	log_str("text", why);
	log_end();
}

/* The beginning of a body that is a file. */
static void
read_beginning(const struct message *m, struct strbuf *out)
{
	struct err e = { 0, "" };
	int fd = store_open_body(m->q->store, m->rec, &e);
	ssize_t n;

	if (fd < 0)
		return;
	n = pread(fd, strbuf_room(out, HEADER_MAX), HEADER_MAX, 0);
	if (n > 0)
		out->n += (size_t)n;
	close(fd);
}

static uint32_t
rewrite_header(const struct message *m, const struct conf_account *a,
    struct slice text, struct strbuf *head)
{
	struct rewrite r = { .address = a->rewrite_from,
	    .always = a->rewrite_from_always,
	    .signed_too = a->rewrite_signed, .owns = may_be_author,
	    .arg = (void *)(uintptr_t)a };
	struct header_scan scan;
	size_t before = head->n, skip = 0;

	if (text.n > HEADER_MAX)
		text.n = HEADER_MAX;
	header_scan(text, &scan);
	if ((!scan.complete && text.n < m->rec->body_size) ||
	    memchr(text.p, '\0', scan.fields_end) != NULL) {
		left_alone(m, "the header is too large, or not text");
		return 0;
	}
	text.n = scan.fields_end;
	if (!rewrite_from(text, &r, head, &skip) || head->n > HEADER_MAX) {
		head->n = before;
		return 0;
	}
	return (uint32_t)skip;
}

uint32_t
rewrite_head(const struct message *m, struct strbuf *head)
{
	const struct conf_account *a = account_of(m);
	struct strbuf text = STRBUF_INIT;
	uint32_t skip;

	if (a == NULL || a->rewrite_from == NULL)
		return 0;
	if (m->rec->body_kind != BODY_FILE)
		return rewrite_header(m, a, strbuf_slice(&m->body), head);
	read_beginning(m, &text);
	skip = rewrite_header(m, a, strbuf_slice(&text), head);
	strbuf_free(&text);
	return skip;
}
