/*
 * Mail from listeners: what comes is checked, gets its account, its routes
 * and, where there is a free slot, its first attempt, all in one change; 250
 * is said once that is durable.  Run by queue.
 *
 * Garbage ends the listener's channel; what cannot be stored is answered 451
 * or 452 and harms nothing else.
 */
#include <sys/stat.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crc.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/num.h"
#include "conf/route_choice.h"
#include "mail/address.h"
#include "queue/internal.h"

#define RESERVE_MAX (64ull << 20)

static uint64_t
disk_reserve(const struct queue *q, uint64_t size)
{
	if (q->conf->disk_reserve != UINT64_MAX)
		return q->conf->disk_reserve;
	return size / 100 < RESERVE_MAX ? size / 100 : RESERVE_MAX;
}

/* New mail is refused before our own work lacks room; it is taken up again
 * once there is a quarter more than that. */
static bool
is_short(const struct queue *q, uint64_t room, bool *was, const char *what)
{
	uint64_t size = 0, reserve;

	(void)store_free_octets(q->store, &size);
	reserve = disk_reserve(q, size);
	if (*was)
		reserve += reserve / 4;
	if (*was != (room < reserve)) {
		*was = room < reserve;
		log_begin(*was ? LL_ERROR : LL_WARN, "disk");
		log_str("state", *was ? "short" : "enough");
		log_str("for", what);
		log_num("free", (int64_t)room);
		log_num("reserve", (int64_t)reserve);
		log_end();
	}
	return *was;
}

bool
ingest_disk_short(struct queue *q)
{
	return is_short(q, store_free_octets(q->store, NULL), &q->disk_short,
	    "mail");
}

/* The database's free pages are of no use to a file. */
bool
ingest_files_short(struct queue *q)
{
	return is_short(q, store_free_for_files(q->store), &q->files_short,
	    "large messages");
}

/* Answers and gives the credit back. */
static void
refuse(struct peer *p, const struct port_message *pm, uint16_t code,
    uint8_t subject, uint8_t detail, const char *text)
{
	peer_answer(p, pm->ref, code, subject, detail, text);
	port_grant(p->port, pm->data.n + pm->body.n);
}

void
ingest_want(struct peer *p, const struct port_message *pm)
{
	struct queue *q = p->q;
	struct err e = { 0, "" };
	int fd;

	if (q->store == NULL) {
		peer_answer(p, pm->ref, 451, 3, 0, "The queue is starting");
		return;
	}
	if (ingest_disk_short(q) || ingest_files_short(q)) {
		peer_answer(p, pm->ref, 452, 3, 1,
		    "Insufficient system storage");
		return;
	}
	fd = store_body_file(q->store, &e);
	if (fd < 0) {
		log_msg(LL_ERROR, "spool", "%s", e.text);
		peer_answer(p, pm->ref, 452, 3, 1,
		    "Insufficient system storage");
		return;
	}
	port_reply_fd(p->port, MSG_SPOOL_FILE, pm->ref, slice_of("", 0), fd);
}

/* Would a recipient of local-domains find a place? */
void
ingest_verify(struct peer *p, const struct port_message *pm)
{
	char *address = slice_dup(pm->data);

	names_verify(p, pm->ref, address);
	free(address);
}

/* A descriptor must be the file that we lent, with all of it inside. */
static int
check_file(const struct port_message *pm, const struct envelope *env,
    struct err *e)
{
	struct stat st;

	if (pm->body.n > 0)
		return err_set(e, EPROTO, "a body both inline and as a file");
	if (fstat(pm->fd, &st) < 0 || !S_ISREG(st.st_mode) ||
	    st.st_size < 0 || (uint64_t)st.st_size != env->size)
		return err_set(e, EPROTO, "a body file of another size");
	return 0;
}

static int
check_mail(const struct port_message *pm, const struct envelope *env,
    struct err *e)
{
	if (env->recipient_count == 0 || env->from == NULL || env->id == 0)
		return err_set(e, EPROTO, "an envelope that is not whole");
	if (pm->with_fd)
		return pm->fd < 0 ? 0 : check_file(pm, env, e);
	if (pm->body.n != env->size ||
	    crc32c(0, pm->body.p, pm->body.n) != env->crc)
		return err_set(e, EPROTO, "a body with another length or CRC");
	return 0;
}

/* The account is chosen once and for all. */
static void
choose_account(struct queue *q, struct record *r)
{
	const struct envelope *env = r->env;
	const struct conf_account *a;
	struct route_query query;

	if (q->conf->n_accounts == 0)
		return;
	memset(&query, 0, sizeof(query));
	query.from = env->from;
	query.login = env->login;
	query.client = env->client;
	query.uid = env->uid;
	query.size = env->size;
	a = route_account(q->conf, &query);
	free(r->account);
	r->account = a != NULL && a->name != NULL ? mem_strdup(a->name) : NULL;
}

/* Routes for all recipients; true when at least one has somewhere to go. */
static bool
choose_lanes(struct queue *q, struct message *m, uint64_t now,
    struct route_pick *pick)
{
	struct retry_time t = { 0, 0 };
	struct record *r = m->rec;
	size_t i, n = 0;

	for (i = 0; i < r->env->recipient_count; i++) {
		route_pick(q, r, i, pick);
		if (pick->n_via == 0)
			continue;
		/* Nothing is leased to a lane that takes no mail. */
		if (!route_admitted(pick)) {
			closed_defer(m, i, pick, &t, LL_INFO);
			n++;
			continue;
		}
		r->rcpt[i].lane = lane_line(pick->via[0], LINE_FRESH);
		r->rcpt[i].due = now;
		n++;
	}
	/* Where some have a place, the sender hears of the others. */
	for (i = 0; i < r->env->recipient_count && n > 0; i++)
		if (r->rcpt[i].lane == 0 && r->rcpt[i].state == RCPT_PENDING)
			settle_fail(m, i, RCPT_FAILED, 550, 1, 1,
			    "User unknown");
	return n > 0;
}

/* First attempts, in the lanes where nothing fresh waits in the store. */
static void
lease_fresh(struct queue *q, struct message *m, uint64_t now,
    const struct route_pick *pick)
{
	struct record *r = m->rec;
	size_t i, count = r->env->recipient_count;
	bool left;

	if (q->draining)
		return;
	for (i = 0; i < count; i++) {
		uint32_t id = r->rcpt[i].lane;
		struct lane *l;

		if (r->rcpt[i].state != RCPT_PENDING || id == 0 ||
		    (id & STORE_LEASED) != 0 || r->rcpt[i].due != now)
			continue;
		l = lane_of_id(q, id);
		if (lane_takes_fresh(m, l, now))
			(void)lease_message(m, l, LINE_FRESH, now,
			    count == 1 ? pick : NULL, &left);
	}
}

static void
ingest_store(struct peer *p, struct port_message *pm, struct envelope *env)
{
	struct queue *q = p->q;
	struct store_change *c;
	struct route_pick pick;
	struct message *m;
	struct record *r;
	uint64_t now = clock_real_ms();

	r = record_new(env);
	choose_account(q, r);
	m = message_new(q, &r);
	if (!choose_lanes(q, m, now, &pick)) {
		message_free(m);
		refuse(p, pm, 550, 1, 1, "User unknown");
		if (pm->fd >= 0)
			close(pm->fd);
		return;
	}
	m->light = share_is_light(q, m);
	lease_fresh(q, m, now, &pick);
	alert_count(q, m->rec->env);
	m->origin = p;
	p->refs++;
	m->origin_ref = pm->ref;
	m->origin_octets = pm->data.n + pm->body.n;
	c = store_change_new(q->store);
	if (pm->fd >= 0) {
		store_new_message_file(c, m->rec, pm->fd);
	} else {
		store_new_message(c, m->rec, pm->body);
		if (!TAILQ_EMPTY(&m->attempts)) {
			strbuf_add(&m->body, pm->body.p, pm->body.n);
			m->has_body = true;
		}
	}
	message_write(m, c);
}

int
ingest_mail(struct peer *p, struct port_message *pm, struct err *e)
{
	struct queue *q = p->q;
	struct envelope *env = envelope_new();
	int fault = FAULT("queue.mail.received");

	if (pm->ref == 0 || envelope_decode(pm->data, env, e) < 0 ||
	    check_mail(pm, env, e) < 0) {
		if (e->code == 0)
			err_set(e, EPROTO, "mail without a request");
		goto fail;
	}
	if (q->store == NULL || fault != 0 || (pm->with_fd && pm->fd < 0)) {
		refuse(p, pm, 451, 3, 0, "Local error, try again later");
		goto refused;
	}
	if (message_find(q, env->id) != NULL) {
		refuse(p, pm, 451, 3, 0, "This id is taken, try again");
		goto refused;
	}
	if (ingest_disk_short(q)) {
		refuse(p, pm, 452, 3, 1, "Insufficient system storage");
		goto refused;
	}
	switch (names_expand(q, env)) {
	case LOCAL_LATER:
		refuse(p, pm, 451, 3, 0, "A list of recipients cannot be "
		    "read, try again later");
		goto refused;
	case LOCAL_TOO_MANY:
		refuse(p, pm, 550, 5, 3, "Aliases make too many recipients "
		    "of these");
		goto refused;
	default:
		break;
	}
	ingest_store(p, pm, env);
	return 0;
refused:
	if (pm->fd >= 0)
		close(pm->fd);
	envelope_free(&env);
	return 0;
fail:
	if (pm->fd >= 0)
		close(pm->fd);
	envelope_free(&env);
	return -1;
}

void
ingest_answer(struct message *m, int code)
{
	static const char head[] = "Ok: queued as ";
	struct peer *p = m->origin;
	char text[sizeof(head) + NUM_ID_LEN];

	if (p == NULL)
		return;
	if (p->port != NULL)
		port_grant(p->port, m->origin_octets);
	if (code == 0) {
		memcpy(text, head, sizeof(head));
		num_id_text(m->id, text + sizeof(head) - 1);
		peer_answer(p, m->origin_ref, 250, 0, 0, text);
		if (fault_armed)
			loop_reap(m->q->loop, &m->q->after_reply);
	} else if (code == ENOSPC) {
		peer_answer(p, m->origin_ref, 452, 3, 1,
		    "Insufficient system storage");
	} else {
		peer_answer(p, m->origin_ref, 451, 3, 0,
		    "Local error, try again later");
	}
	peer_unref(&m->origin);
}
