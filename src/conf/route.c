/* The `route` statement, the same globally, in accounts and in domains.
 * monitor and queue. */
#include <string.h>

#include "conf/directives.h"
#include "mail/pattern.h"

enum route_key {
	KEY_NONE, KEY_FROM, KEY_TO, KEY_ATTEMPTS, KEY_LOGIN, KEY_CLIENT,
	KEY_LARGER, KEY_AGE, KEY_VIA, KEY_COUNT
};

static const char *const keys[KEY_COUNT] = {
	NULL, "from", "to", "attempts", "login", "client", "larger", "age",
	"via"
};

#define VIA_MAX 16		/* as struct route_answer holds */

static enum route_key
key_of(const struct conf_word *w)
{
	int k;

	for (k = KEY_FROM; k < KEY_COUNT; k++)
		if (word_is(w, keys[k]))
			return (enum route_key)k;
	return KEY_NONE;
}

static bool
takes_one(enum route_key k)
{
	return k == KEY_ATTEMPTS || k == KEY_LARGER || k == KEY_AGE;
}

static void
add_via(struct build *b, const struct conf_stmt *s, const struct conf_word *w,
    struct conf_route *r)
{
	if (r->via.n >= VIA_MAX) {
		build_error(b, s, w, "route: more than %d transports",
		    VIA_MAX);
		return;
	}
	build_ref(b, s, w, REF_TRANSPORT, &r->via_index[r->via.n]);
	value_add_word(b, &r->via, w->s);
}

static void
add_value(struct build *b, const struct conf_stmt *s, enum route_key key,
    const struct conf_word *w, struct conf_route *r)
{
	struct mail_pattern p;
	struct conf_net net;

	switch (key) {
	case KEY_FROM:
	case KEY_TO:
		if (value_pattern(b, s, w, &p))
			value_add_pattern(b, key == KEY_FROM ? &r->from :
			    &r->to, &p);
		break;
	case KEY_ATTEMPTS:
		if (strcmp(w->s, "0") != 0)
			value_number(b, s, w, 1000000, &r->attempts);
		break;
	case KEY_LOGIN:
		value_add_word(b, &r->login, w->s);
		build_ref(b, s, w, REF_LOGIN, NULL);
		break;
	case KEY_CLIENT:
		if (value_net(b, s, w, &net))
			value_add_net(b, &r->client, &net);
		break;
	case KEY_LARGER:
		value_size(b, s, w, &r->larger);
		r->larger_set = true;
		break;
	case KEY_AGE:
		value_duration(b, s, w, &r->age);
		break;
	case KEY_VIA:
		add_via(b, s, w, r);
		break;
	case KEY_NONE:
	case KEY_COUNT:
		break;
	}
}

/* A keyword; false: the statement cannot be followed any more. */
static bool
begin_key(struct build *b, const struct conf_stmt *s, size_t i,
    enum route_key old, enum route_key key, const unsigned *count)
{
	if (old == KEY_VIA) {
		build_error(b, s, &s->w[i], "route: `%s` belongs before "
		    "`via` (in quotes it is a name)", s->w[i].s);
		return false;
	}
	if (takes_one(key) && count[key] > 0) {
		build_error(b, s, &s->w[i], "route: `%s` stands twice",
		    s->w[i].s);
		return false;
	}
	if (i + 1 >= s->n || key_of(&s->w[i + 1]) != KEY_NONE) {
		build_error(b, s, &s->w[i], "route: nothing stands behind "
		    "`%s`", s->w[i].s);
		return false;
	}
	return true;
}

static void
stray_word(struct build *b, const struct conf_stmt *s,
    const struct conf_word *w)
{
	char buf[64];

	build_error(b, s, w, "route: `%s` is not one of from, to, attempts, "
	    "login, client, larger, age, via%s", w->s,
	    conf_suggestion(w->s, keys, KEY_COUNT, buf, sizeof(buf)));
}

static void
via_missing(struct build *b, const struct conf_stmt *s)
{
	static const char *const via[] = { "via" };
	size_t i;

	for (i = 1; i < s->n; i++)
		if (!s->w[i].quoted && conf_suggest(s->w[i].s, via, 1) != NULL)
			break;
	if (i < s->n)
		build_error(b, s, &s->w[i], "route: `via TRANSPORT` is "
		    "missing; did you mean `via` by `%s`?", s->w[i].s);
	else
		build_error(b, s, NULL, "route: `via TRANSPORT` is missing");
}

static bool
route_words(struct build *b, const struct conf_stmt *s, struct conf_route *r)
{
	enum route_key key = KEY_NONE, k;
	unsigned count[KEY_COUNT] = { 0 };
	size_t i;

	for (i = 1; i < s->n; i++) {
		k = key_of(&s->w[i]);
		if (k != KEY_NONE) {
			if (!begin_key(b, s, i, key, k, count))
				return false;
			key = k;
			continue;
		}
		if (key == KEY_NONE || (takes_one(key) && count[key] > 0)) {
			stray_word(b, s, &s->w[i]);
			return false;
		}
		count[key]++;
		add_value(b, s, key, &s->w[i], r);
	}
	if (r->via.n == 0) {
		via_missing(b, s);
		return false;
	}
	return true;
}

void
build_route(struct build *b, const struct conf_stmt *s,
    struct conf_route **routes, size_t *n)
{
	struct conf_route r;

	memset(&r, 0, sizeof(r));
	r.where = build_where(b, s);
	r.via_index = conf_arena_alloc(b->arena,
	    VIA_MAX * sizeof(*r.via_index));
	if (route_words(b, s, &r))
		*(struct conf_route *)conf_arena_push(b->arena, routes, n,
		    sizeof(r)) = r;
}

void
set_route(struct build *b, void *obj, const struct conf_stmt *s,
    const struct conf_directive *d)
{
	struct conf *conf = obj;

	(void)d;
	build_route(b, s, &conf->routes, &conf->n_routes);
}
