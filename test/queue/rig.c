/* Drives the whole role on one loop: its peers are played by the test. */
#include "queue/rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crc.h"
#include "base/fs.h"
#include "base/mem.h"
#include "conf/load.h"
#include "queue/control_private.h"
#include "support/tree.h"

#define TICK_MS 10

uint64_t
rig_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void
tick(void *arg)
{
	struct rig *r = arg;

	loop_alarm_set(&r->tick, TICK_MS);
}

static void
pair(int fd[2])
{
	assert_int_equal(0, socketpair(AF_UNIX, SOCK_SEQPACKET |
	    SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd));
}

/* ---- the other ends ---- */

static void
take_fd(struct rig_job *j, int fd)
{
	char buf[4096];
	off_t at = 0;
	ssize_t n;

	/* From its start, wherever the other's position is. */
	if (j->local.transport != NULL)
		at = lseek(fd, 0, SEEK_CUR);
	while ((n = pread(fd, buf, sizeof(buf), at)) > 0) {
		strbuf_add(&j->body, buf, (size_t)n);
		at += n;
	}
	close(fd);
}

static int
job_message(struct rig *r, struct port *port, struct port_message *m,
    struct err *e)
{
	struct rig_job *j;
	int rc;

	assert_true(r->n_jobs < RIG_JOBS);
	j = &r->jobs[r->n_jobs++];
	memset(j, 0, sizeof(*j));
	j->port = port;
	j->ref = m->ref;
	j->at = rig_now();
	if (m->type == MSG_JOB) {
		rc = msg_job_decode(m->data, &j->job);
		j->grant = m->data.n + m->body.n;
	} else {
		assert_int_equal(MSG_LOCAL_JOB, m->type);
		rc = msg_local_decode(m->data, &j->local);
	}
	assert_int_equal(0, rc);
	strbuf_add_slice(&j->body, m->body);
	if (m->fd >= 0)
		take_fd(j, m->fd);
	j->open = true;
	(void)e;
	return 0;
}

static int
delivery_message(void *arg, struct port_message *m, struct err *e)
{
	struct rig_end *end = arg;
	struct rig *r = end->rig;
	struct rig_question *q;

	if (m->type != MSG_NEXT_HOP)
		return job_message(r, end->port, m, e);
	assert_true(r->n_hops < RIG_JOBS);
	q = &r->hops[r->n_hops++];
	q->port = end->port;
	q->ref = m->ref;
	q->open = true;
	assert_int_equal(0, msg_next_hop_decode(m->data, &q->q));
	return 0;
}

static void
delivery_closed(void *arg, const struct err *why)
{
	struct rig_end *end = arg;
	struct rig *r = end->rig;

	(void)why;
	if (end->port == r->older) {
		port_free(&r->older);
		return;
	}
	r->delivery_closed = true;
	port_free(&r->delivery);
}

static int
listener_message(void *arg, struct port_message *m, struct err *e)
{
	(void)arg;
	(void)e;
	fail_msg("message %u for the listener", m->type);
	return 0;
}

static void
listener_closed(void *arg, const struct err *why)
{
	struct rig *r = arg;

	(void)why;
	r->listener_closed = true;
	port_free(&r->listener);
}

static void
answer_user(struct rig *r, const struct port_message *m)
{
	struct msg_local_done d = { .exit_status = r->user_status };
	struct strbuf b = STRBUF_INIT;
	struct msg_local l;

	assert_int_equal(0, msg_local_decode(m->data, &l));
	assert_string_equal("local", l.transport);
	snprintf(r->user, sizeof(r->user), "%s", l.recipient);
	r->questions++;
	msg_local_clear(&l);
	msg_local_done_encode(&b, &d);
	port_send_reply(r->monitor, MSG_LOCAL_DONE, m->ref, strbuf_slice(&b));
	strbuf_free(&b);
}

static int
alert_message(struct rig *r, const struct port_message *m)
{
	assert_true(r->n_alerts < RIG_ALERTS);
	assert_int_equal(0, msg_alert_decode(m->data,
	    &r->alerts[r->n_alerts++]));
	if (r->no_command)
		return 0;
	port_send_reply(r->monitor, MSG_ALERT_DONE, m->ref, slice_of("",
	    r->busy_commands > 0 ? 1 : 0));
	if (r->busy_commands > 0)
		r->busy_commands--;
	return 0;
}

static int
monitor_message(void *arg, struct port_message *m, struct err *e)
{
	struct rig *r = arg;

	switch (m->type) {
	case MSG_ROLE_READY:
		r->ready = true;
		return 0;
	case MSG_ROLE_BAD:
		r->accused++;
		return msg_peer_decode(m->data, &r->bad);
	case MSG_LOCAL_USER:
		answer_user(r, m);
		return 0;
	case MSG_ALERT:
		return alert_message(r, m);
	default:
		return job_message(r, r->monitor, m, e);
	}
}

static void
monitor_closed(void *arg, const struct err *why)
{
	struct rig *r = arg;

	(void)why;
	r->monitor_closed = true;
}

/* ---- start and stop ---- */

static int
read_conf(void *arg, const char *path, struct strbuf *out, struct err *e)
{
	struct rig *r = arg;

	if (r->aliases != NULL && strcmp(path, "/aliases") == 0) {
		strbuf_puts(out, r->aliases);
		return 0;
	}
	if (strcmp(path, "/test.conf") != 0)
		return err_set(e, 2, "%s: no such file", path);
	strbuf_add_slice(out, strbuf_slice(&r->conf));
	return 0;
}

static void
send_view(struct rig *r)
{
	struct conf_reader reader = { read_conf, r };
	struct conf_messages notes;
	struct conf_tree *tree = NULL;
	struct strbuf view = STRBUF_INIT, b = STRBUF_INIT;
	struct msg_role me = { .instance = 1 };
	struct err e = { 0, "" };
	struct conf *conf;
	int fd = memfd_create("view", MFD_CLOEXEC);

	memset(&notes, 0, sizeof(notes));
	conf = conf_load("/test.conf", &reader, false, &tree, &notes);
	if (conf == NULL)
		fail_msg("%s", strbuf_cstr(&notes.errors));
	assert_int_equal(0, conf_view_encode(tree, CONF_QUEUE, &view, &e));
	assert_int_equal(0, fs_write_all(fd, view.p, view.n));
	msg_role_encode(&b, &me);
	port_send_fd(r->monitor, MSG_ROLE_VIEW, 0, strbuf_slice(&b), fd);
	strbuf_free(&b);
	strbuf_free(&view);
	conf_free(&conf);
	conf_tree_free(&tree);
	conf_messages_free(&notes);
}

static void
set_conf(struct rig *r, const char *conf)
{
	strbuf_clear(&r->conf);
	strbuf_printf(&r->conf, "hostname relay.test\nspool-directory %s\n"
	    "%s", r->spool, conf);
}

static void
send_peer(struct rig *r, enum role role, uint32_t slot, int fd)
{
	struct msg_peer peer = { (uint8_t)role, slot };
	struct strbuf b = STRBUF_INIT;

	msg_peer_encode(&b, &peer);
	port_send_fd(r->monitor, MSG_ROLE_PEER, 0, strbuf_slice(&b), fd);
	strbuf_free(&b);
}

void
rig_add_listener(struct rig *r)
{
	static const struct port_handler h = {
		listener_message, listener_closed, NULL
	};
	int fd[2];

	pair(fd);
	r->listener_closed = false;
	r->listener = port_new(r->loop, fd[0], "listener", &h, r);
	send_peer(r, ROLE_LISTENER, 0, fd[1]);
}

void
rig_add_delivery(struct rig *r)
{
	static const struct port_handler h = {
		delivery_message, delivery_closed, NULL
	};
	struct rig_end *end;
	int fd[2];

	pair(fd);
	r->delivery_closed = false;
	r->older = r->delivery;
	end = &r->ends[r->slots % 8];
	end->rig = r;
	r->delivery = end->port = port_new(r->loop, fd[0], "delivery", &h,
	    end);
	send_peer(r, ROLE_DELIVERY, r->slots++, fd[1]);
}

void
rig_kill_delivery(struct rig *r)
{
	size_t i;

	for (i = 0; i < r->n_jobs; i++)
		if (r->jobs[i].port == r->delivery)
			r->jobs[i].open = false;
	port_free(&r->delivery);
}

void
rig_start(struct rig *r)
{
	static const struct port_handler h = {
		monitor_message, monitor_closed, NULL
	};
	int fd[2];

	pair(fd);
	r->ready = r->monitor_closed = false;
	r->monitor = port_new(r->loop, fd[0], "queue", &h, r);
	r->queue = queue_new(r->loop, fd[1]);
	send_view(r);
	rig_add_listener(r);
	rig_add_delivery(r);
	port_send(r->monitor, MSG_ROLE_START, 0, slice_of("", 0));
	rig_until(r, r->ready);
}

void
rig_stop(struct rig *r)
{
	size_t i;

	queue_free(&r->queue);
	port_free(&r->listener);
	port_free(&r->delivery);
	port_free(&r->older);
	port_free(&r->monitor);
	for (i = 0; i < r->n_jobs; i++) {
		msg_job_clear(&r->jobs[i].job);
		msg_local_clear(&r->jobs[i].local);
		strbuf_free(&r->jobs[i].body);
	}
	r->n_jobs = r->next = 0;
	for (i = 0; i < r->n_hops; i++)
		msg_next_hop_clear(&r->hops[i].q);
	r->n_hops = r->next_hop = 0;
}

void
rig_reload(struct rig *r, const char *conf)
{
	set_conf(r, conf);
	send_view(r);
	rig_settle(r);
}

struct rig *
rig_new(const char *conf)
{
	struct rig *r = mem_zalloc(sizeof(*r));

	r->loop = loop_new(NULL);
	strcpy(r->spool, "/tmp/test-queue-XXXXXX");
	assert_non_null(mkdtemp(r->spool));
	r->next_id = rig_now() << 22;
	loop_alarm_init(r->loop, &r->tick, tick, r);
	loop_alarm_set(&r->tick, TICK_MS);
	set_conf(r, conf);
	rig_start(r);
	return r;
}

void
rig_free(struct rig **rp)
{
	struct rig *r = *rp;

	*rp = NULL;
	if (r->queue != NULL)
		rig_stop(r);
	loop_alarm_cancel(&r->tick);
	loop_free(&r->loop);
	tree_remove(r->spool);
	strbuf_free(&r->conf);
	free(r);
}

void
rig_settle(struct rig *r)
{
	uint64_t end = rig_now() + 60;

	/* The store's thread needs time of its own: until it is idle, and
	 * a few turns of the clock beyond. */
	while (rig_now() < end || (r->queue != NULL &&
	    queue_store(r->queue) != NULL &&
	    store_in_flight(queue_store(r->queue)) > 0))
		loop_turn(r->loop, true);
}

/* ---- the listener's part ---- */

static void
replied(void *arg, struct port_message *m)
{
	struct rig_reply *out = arg;

	out->there = true;
	out->fd = -1;
	if (m == NULL) {
		out->done.code = 0;
	} else if (m->type == MSG_SPOOL_FILE) {
		out->fd = m->fd;
		out->done.code = 250;
	} else {
		assert_int_equal(MSG_DONE, m->type);
		assert_int_equal(0, msg_done_decode(m->data, &out->done));
	}
}

struct envelope *
rig_envelope(struct rig *r, const char *from, const char *to)
{
	struct envelope *env = envelope_new();
	struct slice rest = slice_cstr(to), word;

	env->id = ++r->next_id;
	env->received_ms = rig_now();
	env->protocol = MAIL_PROTO_ESMTP;
	envelope_set(&env->from, slice_cstr(from));
	envelope_set(&env->client, SLICE_LIT("192.0.2.7"));
	envelope_set(&env->helo, SLICE_LIT("printer"));
	while (slice_word(&rest, &word))
		envelope_add_recipient(env, word, 0, slice_of(NULL, 0));
	return env;
}

uint64_t
rig_mail_env(struct rig *r, struct envelope **envp, const char *body, int fd,
    struct msg_done *done)
{
	struct envelope *env = *envp;
	struct strbuf meta = STRBUF_INIT;
	struct rig_reply reply;
	uint64_t ref, id = env->id;

	memset(&reply, 0, sizeof(reply));
	if (fd < 0) {
		env->size = strlen(body);
		env->crc = crc32c(0, body, strlen(body));
	}
	assert_int_equal(0, envelope_encode(env, true, &meta, NULL));
	ref = port_request(r->listener, 0, replied, &reply);
	if (fd < 0)
		port_transfer(r->listener, MSG_MAIL, ref,
		    strbuf_slice(&meta), slice_cstr(body));
	else
		port_transfer_fd(r->listener, MSG_MAIL, ref,
		    strbuf_slice(&meta), fd);
	strbuf_free(&meta);
	envelope_free(envp);
	rig_until(r, reply.there);
	if (done != NULL)
		*done = reply.done;
	return reply.done.code == 250 ? id : 0;
}

uint64_t
rig_mail(struct rig *r, const char *from, const char *to, const char *body,
    struct msg_done *done)
{
	struct envelope *env = rig_envelope(r, from, to);

	return rig_mail_env(r, &env, body, -1, done);
}

void
rig_request(struct rig *r, uint16_t type, const char *text,
    struct rig_reply *out)
{
	uint64_t ref;

	memset(out, 0, sizeof(*out));
	ref = port_request(r->listener, 0, replied, out);
	port_send(r->listener, type, ref, slice_cstr(text));
	rig_until(r, out->there);
}

/* ---- the delivery's part ---- */

struct rig_job *
rig_job(struct rig *r)
{
	rig_until(r, r->next < r->n_jobs);
	return &r->jobs[r->next++];
}

static void
answer_as(struct rig_job *j, enum job_class class, const uint16_t *codes,
    const char *text, uint8_t subject, const char *remote)
{
	struct msg_job_done d;
	struct strbuf b = STRBUF_INIT;
	uint32_t i;

	assert_true(j->open);
	memset(&d, 0, sizeof(d));
	d.class = (uint8_t)class;
	d.text = mem_strdup(text);
	d.sessions = j->sessions;
	d.setbacks = j->setbacks != 0 ? j->setbacks : j->job.setbacks;
	d.full = j->full;
	d.held = j->held;
	if (class == JOB_SETTLED) {
		d.remote = mem_strdup(remote);
		d.tls = mem_strdup("TLSv1.3 TLS_AES_256_GCM_SHA384");
	}
	d.n_rcpt = j->job.n_rcpt;
	d.rcpt = mem_zarray(d.n_rcpt, sizeof(*d.rcpt));
	for (i = 0; i < d.n_rcpt; i++) {
		d.rcpt[i].index = j->job.rcpt[i].index;
		d.rcpt[i].code = codes[i];
		d.rcpt[i].status[0] = (uint8_t)(codes[i] / 100);
		d.rcpt[i].status[1] = subject;
		d.rcpt[i].text = mem_printf("%u %s", codes[i], text);
	}
	msg_job_done_encode(&b, &d);
	port_send_reply(j->port, MSG_JOB_DONE, j->ref, strbuf_slice(&b));
	port_grant(j->port, j->grant);
	j->open = false;
	strbuf_free(&b);
	msg_job_done_clear(&d);
}

static void
answer(struct rig_job *j, enum job_class class, const uint16_t *codes,
    const char *text)
{
	answer_as(j, class, codes, text, 0, "mx.test[192.0.2.1]:25");
}

void
rig_answer_from(struct rig_job *j, uint16_t code, const char *text,
    uint8_t subject, const char *remote)
{
	assert_int_equal(j->job.n_rcpt, 1);
	answer_as(j, JOB_SETTLED, &code, text, subject, remote);
}

static void
answer_all(struct rig_job *j, enum job_class class, uint16_t code,
    const char *text)
{
	uint16_t *codes = mem_zarray(j->job.n_rcpt, sizeof(*codes));
	uint32_t i;

	for (i = 0; i < j->job.n_rcpt; i++)
		codes[i] = code;
	answer(j, class, codes, text);
	free(codes);
}

void
rig_answer(struct rig_job *j, uint16_t code, const char *text)
{
	answer_all(j, JOB_SETTLED, code, text);
}

void
rig_answer_class(struct rig_job *j, enum job_class class, const char *text)
{
	answer_all(j, class, class == JOB_QUOTA ? 550 : 451, text);
}

void
rig_answer_each(struct rig_job *j, const uint16_t *codes)
{
	answer(j, JOB_SETTLED, codes, "as the test says");
}

void
rig_answer_local(struct rig_job *j, uint8_t exit_status)
{
	struct msg_local_done d;
	struct strbuf b = STRBUF_INIT;

	memset(&d, 0, sizeof(d));
	d.exit_status = exit_status;
	msg_local_done_encode(&b, &d);
	port_send_reply(j->port, MSG_LOCAL_DONE, j->ref, strbuf_slice(&b));
	j->open = false;
	strbuf_free(&b);
}

/* ---- the store ---- */

size_t
rig_messages(struct rig *r)
{
	return (size_t)store_total(queue_store(r->queue));
}

struct record *
rig_record(struct rig *r, uint64_t id)
{
	struct record *rec = NULL;

	(void)store_get(queue_store(r->queue), id, &rec, NULL);
	return rec;
}

static void
finding(void *arg, const char *text)
{
	(void)arg;
	print_error("%s\n", text);
}

void
rig_verify(struct rig *r)
{
	assert_int_equal(0, store_verify(queue_store(r->queue), finding,
	    NULL));
}

static bool
take_history(void *arg, uint64_t time, uint64_t id, struct slice value)
{
	char **out = arg;

	(void)time;
	(void)id;
	*out = slice_dup(value);
	return false;
}

char *
rig_history(struct rig *r)
{
	char *out = NULL;

	store_history(queue_store(r->queue), 0, true, take_history, &out);
	return out != NULL ? out : mem_strdup("");
}

struct op {
	bool there;
	enum queue_op_result result;
};

static void
op_done(void *arg, uint64_t id, enum queue_op_result result, const char *text)
{
	struct op *op = arg;

	(void)id;
	assert_non_null(text);
	op->there = true;
	op->result = result;
}

enum queue_op_result
rig_op(struct rig *r, void (*op)(struct queue *, uint64_t, queue_op_done *,
    void *), uint64_t id)
{
	struct op o = { false, QUEUE_OP_FAILED };

	op(r->queue, id, op_done, &o);
	rig_until(r, o.there);
	return o.result;
}

/* ---- next hops ---- */

struct rig_question *
rig_hop(struct rig *r)
{
	rig_until(r, r->next_hop < r->n_hops);
	return &r->hops[r->next_hop++];
}

void
rig_answer_hop(struct rig_question *q, const struct msg_site *answer)
{
	struct strbuf b = STRBUF_INIT;

	assert_true(q->open);
	q->open = false;
	msg_site_encode(&b, answer);
	port_send_reply(q->port, MSG_SITE, q->ref, strbuf_slice(&b));
	strbuf_free(&b);
}

void
rig_answer_site(struct rig_question *q, const char *site, uint32_t ttl)
{
	rig_answer_hop(q, &(struct msg_site){ .result = SITE_FOUND, .ttl = ttl,
	    .site = (char *)(uintptr_t)site });
}

void
rig_answer_no_site(struct rig_question *q, enum site_result result,
    uint16_t code, uint8_t subject, uint8_t detail, const char *text)
{
	rig_answer_hop(q, &(struct msg_site){ .result = (uint8_t)result,
	    .ttl = 60, .code = code,
	    .status = { (uint8_t)(code / 100), subject, detail },
	    .text = (char *)(uintptr_t)text });
}

enum queue_op_result
rig_steer(struct rig *r, void (*op)(struct queue *, const char *,
    queue_op_done *, void *), const char *name)
{
	struct op o = { false, QUEUE_OP_FAILED };

	op(r->queue, name, op_done, &o);
	rig_until(r, o.there);
	return o.result;
}

enum queue_op_result
rig_move(struct rig *r, uint64_t id, const char *transport)
{
	struct op o = { false, QUEUE_OP_FAILED };

	queue_op_move(r->queue, id, transport, op_done, &o);
	rig_until(r, o.there);
	return o.result;
}
