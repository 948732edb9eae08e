/* Expectations about routes: parsed with the configuration's own lexer, asked
 * of route_choose().  relayctl and `smarthostd -n`. */
#include "conf/expect.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "conf/build.h"

char *
conf_expect_path(const char *path)
{
	return mem_printf("%s.expect", path);
}

static int
query_client(const char *value, struct route_query *q, struct err *e)
{
	struct conf_net net;
	bool host_bits;
	uint64_t uid;

	q->client = value;
	if (strncmp(value, "uid:", 4) == 0) {
		if (!num_u64(slice_cstr(value + 4), UINT32_MAX, &uid))
			return err_set(e, -1, "`%s` is not uid:N", value);
		q->uid = (int64_t)uid;
		return 0;
	}
	if (strchr(value, '/') != NULL ||
	    !conf_net_parse(value, &net, &host_bits))
		return err_set(e, -1, "`%s` is not an IP address", value);
	return 0;
}

static int
query_number(const char *key, const char *value, struct route_query *q,
    struct err *e)
{
	struct slice v = slice_cstr(value);

	if (strcmp(key, "attempts") == 0) {
		if (!num_u64(v, UINT32_MAX, &q->attempts))
			return err_set(e, -1, "`%s` is not a number", value);
	} else if (strcmp(key, "size") == 0) {
		if (!num_size(v, &q->size))
			return err_set(e, -1, "`%s` is not a size (64K 50M)",
			    value);
	} else if (!num_duration(v, &q->age)) {
		return err_set(e, -1, "`%s` is not a duration (30s 5m 4h 5d)",
		    value);
	}
	return 0;
}

int
conf_query_word(const char *word, struct route_query *q, struct err *e)
{
	static const char *const keys[] = {
		"from", "to", "login", "client", "attempts", "size", "age"
	};
	const char *eq = strchr(word, '=');
	char key[16] = "", buf[64];
	size_t i, n = eq != NULL ? (size_t)(eq - word) : strlen(word);

	if (n < sizeof(key))
		memcpy(key, word, n);
	for (i = 0; i < 7; i++)
		if (strcmp(key, keys[i]) == 0)
			break;
	if (eq == NULL || i == 7)
		return err_set(e, -1, "`%s` is not one of from= to= login= "
		    "client= attempts= size= age=%s", word, eq == NULL ? "" :
		    conf_suggestion(key, keys, 7, buf, sizeof(buf)));
	switch (i) {
	case 0:
		q->from = strcmp(eq + 1, "<>") == 0 ? "" : eq + 1;
		return 0;
	case 1:
		q->to = eq + 1;
		return 0;
	case 2:
		q->login = eq + 1;
		return 0;
	case 3:
		return query_client(eq + 1, q, e);
	default:
		return query_number(key, eq + 1, q, e);
	}
}

static const char *
via_name(const struct conf *conf, size_t i)
{
	return i < conf->n_transports ? conf->transports[i].name : "direct";
}

/* Words behind `->` against the choice. */
static bool
holds(const struct conf *conf, const struct conf_stmt *s, size_t i,
    const struct route_answer *a)
{
	size_t wanted = s->n - i, j;

	if (a->n_via < wanted || (wanted > 1 && a->n_via != wanted))
		return false;
	for (j = 0; j < wanted; j++)
		if (strcmp(s->w[i + j].s, via_name(conf, a->via[j])) != 0)
			return false;
	return true;
}

static void
tell(const struct conf *conf, const struct conf_stmt *s, size_t i,
    const struct route_answer *a, struct conf_notes *notes)
{
	struct strbuf want = STRBUF_INIT, got = STRBUF_INIT;
	size_t j;

	for (; i < s->n; i++)
		strbuf_printf(&want, " %s", s->w[i].s);
	for (j = 0; j < a->n_via; j++)
		strbuf_printf(&got, " %s", via_name(conf, a->via[j]));
	if (a->route != NULL)
		strbuf_printf(&got, ", by the route in %s:%u",
		    a->route->where.file, a->route->where.line);
	else if (a->via[0] != SIZE_MAX)
		strbuf_puts(&got, ", the account's own transport");
	else
		strbuf_puts(&got, ", because no route matches");
	conf_error(notes, s->file, s->line, "expected%s, but it goes to%s",
	    strbuf_cstr(&want), strbuf_cstr(&got));
	strbuf_free(&want);
	strbuf_free(&got);
}

/* True: the line holds. */
static bool
run_line(const struct conf *conf, const struct conf_stmt *s,
    struct conf_notes *notes)
{
	struct route_query q = { .uid = -1 };
	struct route_answer a;
	struct err e = { 0 };
	size_t i;

	if (!word_is(&s->w[0], "expect") || s->block) {
		conf_error(notes, s->file, s->line, "a line is written "
		    "`expect from=A to=B -> TRANSPORT`");
		return false;
	}
	for (i = 1; i < s->n && !word_is(&s->w[i], "->"); i++)
		if (conf_query_word(s->w[i].s, &q, &e) == -1) {
			conf_error(notes, s->file, s->line, "%s", e.text);
			return false;
		}
	if (i + 1 >= s->n || q.from == NULL || q.to == NULL) {
		conf_error(notes, s->file, s->line, "%s is missing",
		    q.from == NULL ? "from=" : q.to == NULL ? "to=" :
		    "-> TRANSPORT");
		return false;
	}
	route_choose(conf, &q, &a, NULL, NULL);
	if (holds(conf, s, i + 1, &a))
		return true;
	tell(conf, s, i + 1, &a, notes);
	return false;
}

int
conf_expect_run(const struct conf *conf, const char *path,
    const struct conf_reader *reader, struct conf_messages *m,
    size_t *passed, struct err *e)
{
	struct conf_tree *tree = conf_tree_new();
	struct strbuf text = STRBUF_INIT;
	struct conf_notes notes = { 0 };
	size_t i, good = 0;
	int rc = -1;

	if (reader != NULL)
		tree->reader = *reader;
	if (conf_read_file(tree, path, &text, e) == -1)
		goto out;
	conf_parse_text(tree, path, strbuf_cstr(&text), text.n, &notes);
	for (i = 0; i < tree->root.n_kids; i++)
		if (!tree->root.kids[i].bad &&
		    run_line(conf, &tree->root.kids[i], &notes))
			good++;
	conf_notes_render(&notes, tree->files, tree->n_files, m);
	rc = notes.n_errors > INT32_MAX ? INT32_MAX : (int)notes.n_errors;
out:
	if (passed != NULL)
		*passed = good;
	strbuf_free(&text);
	conf_notes_free(&notes);
	conf_tree_free(&tree);
	return rc;
}
