/* Building changes, on the loop of queue.  A change is one run of octets
 * that holds all of its mutations (no allocation for each); it is kept in a
 * pool afterwards.  What cannot be stored at all is noted in the change and
 * told by its callback.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crc.h"
#include "base/mem.h"
#include "store/internal.h"
#include "store/value.h"

#define LANE_VERSION 1

struct store_change *
store_change_new(struct store *s)
{
	struct store_change *c = STAILQ_FIRST(&s->pool);

	if (c != NULL) {
		STAILQ_REMOVE_HEAD(&s->pool, link);
		s->pooled--;
	} else {
		c = mem_zalloc(sizeof(*c));
		c->s = s;
	}
	return c;
}

void
change_release(struct store_change *c)
{
	struct store *s = c->s;
	struct strbuf ops = c->ops;
	size_t i;

	for (i = 0; i < c->n_files; i++) {
		if (c->files[i].fd >= 0)
			close(c->files[i].fd);
		htab_del_u64(s->linking, c->files[i].id);
	}
	free(c->files);
	free(c->gone);
	if (s->pooled >= CHANGE_POOL || ops.cap > ARENA_KEEP)
		strbuf_free(&ops);
	if (s->pooled >= CHANGE_POOL) {
		free(c);
		return;
	}
	strbuf_clear(&ops);
	*c = (struct store_change){ .s = s, .ops = ops };
	STAILQ_INSERT_HEAD(&s->pool, c, link);
	s->pooled++;
}

void
store_change_drop(struct store_change **cp)
{
	struct store_change *c = *cp;

	*cp = NULL;
	if (c != NULL)
		change_release(c);
}

void
change_fail(struct store_change *c, int code, const char *fmt, ...)
{
	va_list ap;

	if (c->code != 0)
		return;
	c->code = code;
	va_start(ap, fmt);
	vsnprintf(c->text, sizeof(c->text), fmt, ap);
	va_end(ap);
}

/* ---- the arena ---- */

/* Begins a mutation whose value is then appended; op_end says where. */
static size_t
op_begin(struct store_change *c, enum op_kind kind, enum db_table table,
    const void *key, size_t key_len)
{
	struct op op = { (uint8_t)kind, (uint8_t)table, (uint16_t)key_len, 0 };
	size_t at = c->ops.n;

	strbuf_add(&c->ops, &op, sizeof(op));
	strbuf_add(&c->ops, key, key_len);
	c->n_ops++;
	return at;
}

static void
op_end(struct store_change *c, size_t at)
{
	struct op op;

	memcpy(&op, c->ops.p + at, sizeof(op));
	op.value_len = (uint32_t)(c->ops.n - at - sizeof(op) - op.key_len);
	memcpy(c->ops.p + at, &op, sizeof(op));
}

static void
op_add(struct store_change *c, enum op_kind kind, enum db_table table,
    const void *key, size_t key_len, struct slice value)
{
	size_t at = op_begin(c, kind, table, key, key_len);

	if (value.n != 0) {
		strbuf_add_slice(&c->ops, value);
		op_end(c, at);
	}
}

bool
change_next(const struct store_change *c, size_t *pos, struct op *op,
    struct slice *key, struct slice *value)
{
	if (*pos >= c->ops.n)
		return false;
	memcpy(op, c->ops.p + *pos, sizeof(*op));
	*pos += sizeof(*op);
	*key = slice_of(c->ops.p + *pos, op->key_len);
	*pos += op->key_len;
	*value = slice_of(c->ops.p + *pos, op->value_len);
	*pos += op->value_len;
	return true;
}

/* ---- messages ---- */

static void
add_state(struct store_change *c, enum op_kind kind, const struct record *r,
    struct slice body)
{
	unsigned char key[KEY_ID];
	struct err e;
	size_t at;

	put_be64(key, r->env->id);
	at = op_begin(c, kind, T_MESSAGE, key, sizeof(key));
	if (record_write(r, &c->ops, &e) < 0)
		change_fail(c, e.code > 0 ? e.code : EINVAL, "%.150s", e.text);
	strbuf_add_slice(&c->ops, body);
	op_end(c, at);
}

static void
add_parts(struct store_change *c, uint64_t id, struct slice body)
{
	unsigned char key[KEY_PART];
	uint32_t part;

	for (part = 0; body.n > 0; part++) {
		size_t n = body.n < BODY_PART ? body.n : BODY_PART;

		key_part(key, id, part);
		op_add(c, OP_PUT, T_BODY, key, sizeof(key),
		    slice_of(body.p, n));
		body = slice_skip(body, n);
	}
}

void
store_new_message(struct store_change *c, struct record *r, struct slice body)
{
	uint32_t crc = crc32c(0, body.p ? body.p : "", body.n);

	if ((r->body_size != 0 || r->body_crc != 0) &&
	    (r->body_size != body.n || r->body_crc != crc))
		change_fail(c, EILSEQ, "the body is not what was announced");
	r->body_size = body.n;
	r->body_crc = crc;
	r->body_kind = body.n <= STORE_SMALL_BODY ? BODY_RECORD : BODY_PARTS;
	c->grows = true;
	add_state(c, OP_NEW, r, slice_of(body.p,
	    r->body_kind == BODY_RECORD ? body.n : 0));
	if (r->body_kind == BODY_PARTS)
		add_parts(c, r->env->id, body);
}

void
store_new_message_file(struct store_change *c, struct record *r, int fd)
{
	struct body_file *f;
	uint64_t id = r->env->id;

	r->body_kind = BODY_FILE;
	c->grows = true;
	add_state(c, OP_NEW, r, slice_of(NULL, 0));
	if (htab_get_u64(c->s->linking, id) != NULL) {
		/* Its holder's entry must outlive this change. */
		close(fd);
		change_fail(c, EEXIST, "the id is taken");
		return;
	}
	f = mem_push(&c->files, &c->n_files, sizeof(*f));
	*f = (struct body_file){ .id = id, .fd = fd, .size = r->body_size,
	    .crc = r->body_crc };
	htab_put_u64(c->s->linking, id, c);
}

void
store_put_state(struct store_change *c, const struct record *r)
{
	add_state(c, OP_STATE, r, slice_of(NULL, 0));
}

void
store_delete(struct store_change *c, const struct record *r)
{
	unsigned char key[KEY_PART];
	uint64_t id = r->env->id;
	uint32_t part, n;

	put_be64(key, id);
	op_add(c, OP_DEL, T_MESSAGE, key, KEY_ID, slice_of(NULL, 0));
	if (r->body_kind == BODY_PARTS) {
		n = body_parts(r->body_size);
		for (part = 0; part < n; part++) {
			key_part(key, id, part);
			op_add(c, OP_DEL, T_BODY, key, sizeof(key),
			    slice_of(NULL, 0));
		}
	} else if (r->body_kind == BODY_FILE) {
		*(uint64_t *)mem_push(&c->gone, &c->n_gone,
		    sizeof(uint64_t)) = id;
	}
}

void
store_quarantine(struct store_change *c, uint64_t id,
    enum store_count counted)
{
	unsigned char key[KEY_ID], kind = (unsigned char)counted;

	put_be64(key, id);
	op_add(c, OP_QUARANTINE, T_MESSAGE, key, sizeof(key),
	    slice_of(&kind, 1));
}

/* ---- the other tables ---- */

static void
op_due(struct store_change *c, enum op_kind kind, uint32_t lane,
    uint64_t time, uint64_t id)
{
	unsigned char key[KEY_DUE];

	key_due(key, lane, time, id);
	op_add(c, kind, T_DUE, key, sizeof(key), slice_of(NULL, 0));
}

static void
op_history(struct store_change *c, enum op_kind kind, uint64_t time,
    uint64_t id, struct slice value)
{
	unsigned char key[KEY_HISTORY];

	put_be64(key, time);
	put_be64(key + 8, id);
	op_add(c, kind, T_HISTORY, key, sizeof(key), value);
}

void
store_due_add(struct store_change *c, uint32_t lane, uint64_t time,
    uint64_t id)
{
	op_due(c, OP_PUT, lane, time, id);
}

void
store_due_del(struct store_change *c, uint32_t lane, uint64_t time,
    uint64_t id)
{
	op_due(c, OP_DEL, lane, time, id);
}

void
store_put_history(struct store_change *c, uint64_t time, uint64_t id,
    struct slice value)
{
	op_history(c, OP_PUT, time, id, value);
}

void
change_del_history(struct store_change *c, uint64_t time, uint64_t id)
{
	op_history(c, OP_DEL, time, id, slice_of(NULL, 0));
}

void
store_put_lane(struct store_change *c, uint32_t lane, struct slice text,
    struct slice state)
{
	unsigned char key[KEY_LANE], head[LANE_HEADER];
	size_t at;

	put_be32(key, lane);
	head[0] = LANE_VERSION;
	put_be32(head + 1, crc32c(crc32c(0, text.p, text.n), state.p,
	    state.n));
	put_be32(head + 5, (uint32_t)text.n);
	at = op_begin(c, OP_PUT, T_LANE, key, sizeof(key));
	strbuf_add(&c->ops, head, sizeof(head));
	strbuf_add_slice(&c->ops, text);
	strbuf_add_slice(&c->ops, state);
	op_end(c, at);
}

int
lane_value(struct slice value, struct slice *text, struct slice *state)
{
	const unsigned char *p = (const unsigned char *)value.p;
	size_t n;

	if (value.n < LANE_HEADER || p[0] != LANE_VERSION)
		return -1;
	n = get_be32(p + 5);
	if (n > value.n - LANE_HEADER ||
	    crc32c(0, p + LANE_HEADER, value.n - LANE_HEADER) !=
	    get_be32(p + 1))
		return -1;
	*text = slice_of(value.p + LANE_HEADER, n);
	*state = slice_skip(value, LANE_HEADER + n);
	return 0;
}

void
store_del_lane(struct store_change *c, uint32_t lane)
{
	unsigned char key[KEY_LANE];

	put_be32(key, lane);
	op_add(c, OP_DEL, T_LANE, key, sizeof(key), slice_of(NULL, 0));
}

void
store_count(struct store_change *c, enum store_count which, int delta)
{
	c->count[which] += delta;
}

/* ---- notes ---- */

#define NAME_MAX_OCTETS 500		/* LMDB takes 511 */

void
store_put_meta(struct store_change *c, const char *name, struct slice value)
{
	size_t n = strlen(name);

	if (n == 0 || n > NAME_MAX_OCTETS)
		change_fail(c, EINVAL, "a note's name is too long");
	else
		op_add(c, OP_PUT, T_META, name, n, value);
}

void
store_del_meta(struct store_change *c, const char *name)
{
	size_t n = strlen(name);

	if (n > 0 && n <= NAME_MAX_OCTETS)
		op_add(c, OP_DEL, T_META, name, n, slice_of(NULL, 0));
}
