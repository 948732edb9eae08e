/*
 * Jobs: taken from queue's message, answered recipient by recipient, turned
 * into the result.  Run by delivery.  A job that cannot be sent as it is
 * (damaged body, control characters in an address) is JOB_BROKEN and harms
 * nothing else.
 */
#include "delivery/job.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"

#define TEXT_KEPT 900		/* octets of a reply that are passed on */
#define RESULT_MAX (40u * 1024)	/* octets of all the results' texts */
#define RESULTS_MAX 2500u	/* that fit it without any text */

/* Nothing that could end a command early or begin another one. */
static bool
clean(const char *s)
{
	if (s == NULL)
		return true;
	for (; *s != '\0'; s++) {
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return false;
	}
	return true;
}

static bool
clean_word(const char *s)
{
	return clean(s) && (s == NULL || strchr(s, ' ') == NULL);
}

static const char *
job_unsound(const struct job *j)
{
	const struct msg_job *m = &j->m;
	size_t n = strlen(m->trace);
	uint32_t i;

	if (n > 0 && (n < 2 || memcmp(m->trace + n - 2, "\r\n", 2) != 0))
		return "trace lines without their end";
	if (!clean(m->from) || !clean_word(m->envid) || !clean_word(m->helo))
		return "control characters in the envelope";
	for (i = 0; i < m->n_rcpt; i++) {
		if (!clean(m->rcpt[i].address) || !clean_word(m->rcpt[i].orcpt))
			return "control characters in a recipient";
	}
	return NULL;
}

/* The body must be as long as was said; its octets are checked when they
 * leave. */
static const char *
take_body(struct job *j, struct port_message *m)
{
	struct stat st;

	if (m->fd >= 0) {
		j->fd = m->fd;
		m->fd = -1;
		if (fstat(j->fd, &st) < 0 || !S_ISREG(st.st_mode) ||
		    st.st_size < 0 || (uint64_t)st.st_size < j->m.body_size)
			return "body shorter than its record says";
		return NULL;
	}
	if (m->body.n != j->m.body_size)
		return "body not as long as its record says";
	j->body = mem_dup(m->body.p, m->body.n);
	return NULL;
}

/* Recipients whose results would not fit the answer are not even tried. */
static void
leave_too_many(struct job *j)
{
	uint32_t i;

	for (i = RESULTS_MAX; i < j->m.n_rcpt; i++)
		job_answer(j, i, 451, MAIL_STATUS(4, 5, 3), "451 4.5.3 "
		    "more recipients than one job can have");
	j->left_out = j->m.n_rcpt - j->open;
}

struct job *
job_new(struct port_message *m, struct err *e)
{
	struct job *j = mem_zalloc(sizeof(*j));
	const char *bad;

	j->fd = -1;
	j->credit = m->data.n + m->body.n;
	j->ref = m->ref;
	j->arrived_ms = clock_mono_ms();
	if (msg_job_decode(m->data, &j->m) < 0) {
		if (m->fd >= 0)
			close(m->fd);
		m->fd = -1;
		free(j);
		err_set(e, EPROTO, "a job that cannot be read");
		return NULL;
	}
	j->rcpt = mem_zarray(j->m.n_rcpt, sizeof(*j->rcpt));
	j->open = j->m.n_rcpt;
	j->size = strlen(j->m.trace) + j->m.body_size - j->m.skip;
	leave_too_many(j);
	bad = take_body(j, m);
	if (bad == NULL)
		bad = job_unsound(j);
	if (bad != NULL)
		job_fail(j, JOB_BROKEN, bad);
	return j;
}

void
job_free(struct job **jp)
{
	struct job *j = *jp;
	uint32_t i;

	if (j == NULL)
		return;
	*jp = NULL;
	for (i = 0; i < j->m.n_rcpt; i++)
		free(j->rcpt[i].text);
	free(j->rcpt);
	msg_job_clear(&j->m);
	free(j->body);
	if (j->fd >= 0)
		close(j->fd);
	free(j->text);
	free(j->hint_text);
	free(j->remote);
	free(j->tls);
	free(j->verify);
	free(j->spf);
	strbuf_free(&j->why);
	free(j);
}

void
job_answer(struct job *j, uint32_t i, int code, struct mail_status st,
    const char *text)
{
	struct job_rcpt *r = &j->rcpt[i];

	if (r->state == RCPT_ANSWERED)
		return;
	r->state = RCPT_ANSWERED;
	r->put_off = false;
	r->code = (uint16_t)code;
	r->status = st.class != 0 ? st : mail_status_of_code(code);
	free(r->text);
	r->text = mem_strndup(text, TEXT_KEPT);
	j->open--;
}

void
job_answer_rest(struct job *j, int code, struct mail_status st,
    const char *text)
{
	uint32_t i;

	for (i = 0; i < j->m.n_rcpt; i++)
		job_answer(j, i, code, st, text);
}

static struct mail_status
class_status(enum job_class class, int *code)
{
	switch (class) {
	case JOB_UNREACHABLE:
	case JOB_OFFLINE:
		*code = 450;
		return MAIL_STATUS(4, 4, 1);
	case JOB_CREDENTIAL:
		*code = 454;
		return MAIL_STATUS(4, 7, 0);
	case JOB_QUOTA:
		*code = 452;
		return MAIL_STATUS(4, 7, 1);
	case JOB_RETURNED:
		*code = 451;
		return MAIL_STATUS(4, 3, 2);
	case JOB_UNUSABLE:
		*code = 451;
		return MAIL_STATUS(4, 7, 23);
	default:
		*code = 451;
		return MAIL_STATUS(4, 3, 0);
	}
}

/* No other server could be asked: what the one before said holds. */
static void
keep_put_off(struct job *j)
{
	uint32_t i;

	for (i = 0; i < j->m.n_rcpt; i++) {
		struct job_rcpt *r = &j->rcpt[i];

		if (r->state == RCPT_ANSWERED || !r->put_off)
			continue;
		r->state = RCPT_ANSWERED;
		r->put_off = false;
		j->open--;
	}
}

bool
job_put_off(struct job *j)
{
	bool any = false;
	uint32_t i;

	if (j->hint != JOB_SETTLED)
		return false;
	for (i = 0; i < j->m.n_rcpt; i++) {
		struct job_rcpt *r = &j->rcpt[i];

		/* x.4.x is ours: of lost connections, where the message
		 * may have arrived. */
		if (r->state != RCPT_ANSWERED || r->code / 100 != 4 ||
		    r->status.subject == 4 || i >= RESULTS_MAX)
			continue;
		r->state = RCPT_WAITING;
		r->put_off = true;
		j->open++;
		any = true;
	}
	return any;
}

bool
job_rotate(struct job *j)
{
	bool any = false;
	uint32_t i;
	char *text;

	for (i = 0; i < j->m.n_rcpt; i++) {
		struct job_rcpt *r = &j->rcpt[i];

		if (r->state != RCPT_ANSWERED || r->code / 100 != 5 ||
		    r->status.subject != 7)
			continue;
		r->code = 450;
		r->status.class = 4;
		text = mem_printf("450 4.7.%u to be tried by the other "
		    "family of addresses; the server said: %s",
		    r->status.detail, r->text);
		free(r->text);
		r->text = text;
		any = true;
	}
	return any;
}

void
job_fail(struct job *j, enum job_class class, const char *text)
{
	struct mail_status st;
	int code;

	keep_put_off(j);

	if (j->open + j->left_out == j->m.n_rcpt) {
		j->class = class;
		free(j->text);
		j->text = mem_strndup(text, TEXT_KEPT);
	}
	st = class_status(class, &code);
	if (class == JOB_UNREACHABLE && j->unsafe)
		st = MAIL_STATUS(4, 7, 5);
	job_answer_rest(j, code, st, text);
}

void
job_reopen(struct job *j)
{
	uint32_t i;

	for (i = 0; i < j->m.n_rcpt; i++) {
		if (j->rcpt[i].state != RCPT_ANSWERED)
			j->rcpt[i].state = RCPT_WAITING;
	}
}

/* A refusal that is not about the message stands for the whole job only
 * where no recipient got a final answer of its own. */
static void
use_hint(struct job *j)
{
	uint32_t i;

	if (j->class != JOB_SETTLED || j->hint == JOB_SETTLED)
		return;
	for (i = 0; i < j->m.n_rcpt; i++) {
		if (j->rcpt[i].code / 100 != 4)
			return;
	}
	j->class = j->hint;
	j->text = j->hint_text;
	j->hint_text = NULL;
}

void
job_finish(struct job *j)
{
	use_hint(j);
	j->done(j->arg, j);
}

/* How long a text may be so that all of them fit. */
static size_t
text_room(const struct job *j)
{
	size_t total = 0;
	uint32_t i;

	for (i = 0; i < j->m.n_rcpt; i++)
		total += strlen(j->rcpt[i].text) + 16;
	if (total <= RESULT_MAX)
		return TEXT_KEPT;
	total = RESULT_MAX / j->m.n_rcpt;
	return total > 16 ? total - 16 : 0;
}

void
job_result_encode(const struct job *j, struct strbuf *out)
{
	uint64_t now = clock_mono_ms();
	struct msg_job_done d = {
		.class = (uint8_t)j->class,
		.remote = j->remote,
		.tls = j->tls,
		.verify = j->verify,
		.spf = j->spf,
		.text = j->text,
		.setbacks = j->m.setbacks,
		.connect_ms = j->connect_ms,
		.transfer_ms = j->mail_ms == 0 ? 0 :
		    (uint32_t)(now - j->mail_ms)
	};
	struct msg_job_result one, *list = &one;
	size_t room = text_room(j), n;
	uint32_t i;

	if (j->news != NULL) {
		d.sessions = j->news->sessions;
		d.setbacks = j->news->setbacks;
		d.full = j->news->full;
		d.held = j->news->held;
	}
	/* Recipients without a result are tried again. */
	d.n_rcpt = j->m.n_rcpt < RESULTS_MAX ? j->m.n_rcpt : RESULTS_MAX;
	if (d.n_rcpt > 1)
		list = mem_zarray(d.n_rcpt, sizeof(*list));
	for (i = 0; i < d.n_rcpt; i++) {
		struct job_rcpt *r = &j->rcpt[i];

		n = strlen(r->text);
		if (n > room)
			r->text[room] = '\0';
		list[i] = (struct msg_job_result){ j->m.rcpt[i].index,
		    r->code, { r->status.class,
		    (uint8_t)(r->status.subject > 255 ? 0 : r->status.subject),
		    (uint8_t)(r->status.detail > 255 ? 0 : r->status.detail) },
		    r->text };
	}
	d.rcpt = list;
	msg_job_done_encode(out, &d);
	if (list != &one)
		free(list);
}

int
job_body(const struct job *j, uint64_t offset, char *buf, size_t n,
    struct slice *out, struct err *e)
{
	uint64_t left = j->m.body_size - offset;

	if (n == 0 || left < n)
		n = (size_t)left;
	if (j->fd < 0) {
		*out = slice_of(j->body + offset, n);
		return 0;
	}
	if (fs_pread_all(j->fd, buf, n, (off_t)offset) < 0)
		return err_errno(e, "read the body");
	*out = slice_of(buf, n);
	return 0;
}
