/*
 * sasl-xoauth2's token files (auth).  Whatever else a file holds is kept to
 * the octet: other programs read it too, and some lose what they do not know.
 */
#include "auth/token_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/oauth_form.h"
#include "base/json_reader.h"
#include "base/json_writer.h"
#include "base/mem.h"

#define WINDOW_MAX 86400u

void
token_file_clear(struct token_file *f)
{
	mem_wipe_text(&f->refresh_token);
	mem_wipe_text(&f->access_token);
	mem_wipe_text(&f->client_secret);
	free(f->user);
	free(f->client_id);
	free(f->token_endpoint);
	free(f->proxy);
	free(f->scope);
	memset(f, 0, sizeof(*f));
}

int
token_file_parse(struct slice text, struct token_file *f, struct err *e)
{
	memset(f, 0, sizeof(*f));
	if (json_object_check(text, e) < 0)
		return -1;
	f->refresh_token = json_text_of(text, "refresh_token");
	f->access_token = json_text_of(text, "access_token");
	f->user = json_text_of(text, "user");
	f->client_id = json_text_of(text, "client_id");
	f->client_secret = json_text_of(text, "client_secret");
	f->token_endpoint = json_text_of(text, "token_endpoint");
	f->proxy = json_text_of(text, "proxy");
	f->scope = json_text_of(text, "scope");
	(void)json_number_of(text, "expiry", UINT64_MAX / 2000, &f->expiry);
	(void)json_number_of(text, "refresh_window", WINDOW_MAX,
	    &f->refresh_window);
	if (f->refresh_token != NULL && f->refresh_token[0] != '\0')
		return 0;
	token_file_clear(f);
	return err_set(e, -1, "there is no refresh_token");
}

/* ---- changing ---- */

struct edit {
	const char *name;
	const char *value;		/* NULL: stays */
	bool done;
};

static void
put_string(struct strbuf *out, const char *value)
{
	struct json_writer w = json_to(out);

	json_text(&w, NULL, value);
}

static struct edit *
edit_of(struct edit *edits, size_t n, const struct json_member *m)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (edits[i].value != NULL &&
		    json_member_is(m, edits[i].name))
			return &edits[i];
	return NULL;
}

/* The members that are there; returns where the last one ends. */
static size_t
replace_members(struct slice before, struct edit *edits, size_t n,
    struct strbuf *out)
{
	struct json_member m;
	struct edit *edit;
	size_t at = 0, copied = 0, value;

	while (json_member_next(before, &at, &m)) {
		edit = edit_of(edits, n, &m);
		if (edit == NULL)
			continue;
		value = (size_t)(m.value.p - before.p);
		strbuf_add(out, before.p + copied, value - copied);
		put_string(out, edit->value);
		copied = value + m.value.n;
		edit->done = true;
	}
	if (at > copied) {
		strbuf_add(out, before.p + copied, at - copied);
		copied = at;
	}
	return copied;
}

void
token_file_update(struct slice before, const struct token_change *c,
    struct strbuf *out)
{
	char expiry[24];
	struct edit edits[] = {
		{ "access_token", c->access_token, false },
		{ "expiry", c->access_token != NULL ? expiry : NULL, false },
		{ "refresh_token", c->refresh_token, false },
		{ "scope", c->scope, false },
		{ "user", c->user, false },
	};
	size_t i, n = sizeof(edits) / sizeof(edits[0]), copied;
	bool some;

	snprintf(expiry, sizeof(expiry), "%" PRIu64, c->expiry);
	if (slice_trim(before).n == 0)
		before = SLICE_LIT("{\n}\n");
	copied = replace_members(before, edits, n, out);
	some = copied > 0;
	if (!some) {			/* no member: up to its brace */
		copied = (size_t)slice_find(before, '{') + 1;
		strbuf_add(out, before.p, copied);
	}
	for (i = 0; i < n; i++) {
		if (edits[i].value == NULL || edits[i].done)
			continue;
		strbuf_printf(out, "%s\n  \"%s\": ", some ? "," : "",
		    edits[i].name);
		put_string(out, edits[i].value);
		some = true;
	}
	strbuf_add(out, before.p + copied, before.n - copied);
}
