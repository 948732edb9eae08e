/*
 * oauth status, refresh, revoke, token.  auth answers; what it sends of a
 * token is written to standard output alone, and wiped.
 */
#include <sys/prctl.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "io/base64.h"
#include "tools/relayctl.h"

/* An option's value, in either form; 1 it is this one, -1 without a value. */
static int
option_is(const struct ctl *c, int *i, const char *name, const char **value)
{
	const char *w = c->rest[*i];
	size_t n = strlen(name);

	if (strncmp(w, name, n) != 0)
		return 0;
	if (w[n] == '=') {
		*value = w + n + 1;
		return 1;
	}
	if (w[n] != '\0')
		return 0;
	if (*i + 1 >= c->n_rest)
		return -1;
	*value = c->rest[++*i];
	return 1;
}

static int
misuse(const struct ctl *c, const char *text, const char *what)
{
	ctl_error(CTL_USAGE, "%s: %s%s", c->cmd->name, text, what);
	ctl_usage(c->cmd, true);
	return CTL_USAGE;
}

int
ctl_oauth_args(struct ctl *c, struct ctl_oauth *o)
{
	bool login = strcmp(c->cmd->name, "oauth login") == 0;
	bool token = strcmp(c->cmd->name, "oauth token") == 0;
	int i, r;

	memset(o, 0, sizeof(*o));
	o->output = "token";
	for (i = 0; i < c->n_rest; i++) {
		if (c->rest[i][0] != '-') {
			if (o->name != NULL)
				return misuse(c, "one word too many: ",
				    c->rest[i]);
			o->name = c->rest[i];
			continue;
		}
		r = login ? option_is(c, &i, "--flow", &o->flow) : token ?
		    option_is(c, &i, "--output", &o->output) : 0;
		if (r < 0)
			return misuse(c, "a value is missing: ", c->rest[i]);
		if (r > 0)
			continue;
		if (login && strcmp(c->rest[i], "--no-browser") == 0)
			o->no_browser = true;
		else if (token && (strcmp(c->rest[i], "--no-newline") == 0 ||
		    strcmp(c->rest[i], "--no_newline") == 0))
			o->no_newline = true;
		else if (strcmp(c->rest[i], "--json") != 0)
			return misuse(c, "it does not take ", c->rest[i]);
	}
	if (o->name == NULL && strcmp(c->cmd->name, "oauth status") != 0)
		return misuse(c, "which account?", "");
	if (o->flow != NULL && strcmp(o->flow, "device") != 0 &&
	    strcmp(o->flow, "code") != 0)
		return misuse(c, "--flow is device or code, not ", o->flow);
	if (strcmp(o->output, "token") != 0 &&
	    strcmp(o->output, "xoauth2") != 0 &&
	    strcmp(o->output, "xoauth2-b64") != 0)
		return misuse(c, "--output is token, xoauth2 or xoauth2-b64, "
		    "not ", o->output);
	return 0;
}

int
ctl_oauth_request(struct ctl *c, const struct ctl_oauth *o,
    const char *command, const char *more, struct ctl_sink *sink)
{
	struct strbuf members = STRBUF_INIT;
	struct json_writer w = json_to(&members);
	int rc;

	if (o->name != NULL)
		json_text(&w, "name", o->name);
	if (more != NULL)
		strbuf_printf(&members, "%s%s", members.n > 0 ? "," : "",
		    more);
	rc = ctl_request(c, command, strbuf_cstr(&members), sink);
	strbuf_wipe(&members);
	if (rc != CTL_DOWN)
		return rc;
	/* Who has mistyped a name need not start a daemon first. */
	if (o->name != NULL && ctl_load(c, ctl_file(c)) == 0 &&
	    conf_account_find(c->conf, o->name) == SIZE_MAX &&
	    conf_transport_find(c->conf, o->name) == SIZE_MAX)
		return ctl_error(CTL_NONE, "there is no account `%s`",
		    o->name);
	return ctl_down();
}

/* ---- status ---- */

static const struct ctl_column columns[] = {
	{ "Account", false, 40 }, { "flow", false, 0 }, { "state", false, 0 },
	{ "left", true, 0 }, { "why", false, 0 },
};

struct rows {
	struct ctl *c;
	bool one;
	struct ctl_table *table;
	unsigned n;
};

static void
status_item(void *arg, struct slice json)
{
	struct rows *r = arg;
	uint64_t expires, now = clock_real_ms();
	char left[CTL_AGE_LEN] = "-";
	cJSON *o;

	if (r->c->json) {
		printf("%s%.*s", r->one ? "" : r->n > 0 ? ",\n" : "[\n",
		    (int)json.n, json.p);
		r->n++;
		return;
	}
	o = cJSON_ParseWithLength(json.p, json.n);
	if (o == NULL)
		return;
	expires = ctl_time(ctl_get(o, "expires"));
	if (expires > now)
		ctl_age(expires - now, left);
	ctl_table_row(r->table, (const char *[]){ ctl_get(o, "account"),
	    ctl_get(o, "flow"), ctl_get(o, "state"), left,
	    ctl_get(o, "why") });
	cJSON_Delete(o);
}

static int
status(struct ctl *c, const struct ctl_oauth *o)
{
	struct rows r = { .c = c, .one = o->name != NULL,
	    .table = ctl_table_new(columns, 5, "") };
	struct ctl_sink sink = { .arg = &r, .item = status_item };
	int rc;

	clock_update();
	rc = ctl_oauth_request(c, o, "oauth status", NULL, &sink);
	ctl_table_end(&r.table);
	if (c->json && rc == 0)
		puts(r.one ? "" : r.n > 0 ? "\n]" : "[]");
	free(sink.text);
	return rc;
}

/* ---- token ---- */

static void
token_item(void *arg, struct slice json)
{
	const struct ctl_oauth *o = arg;
	struct strbuf out = STRBUF_INIT, b64 = STRBUF_INIT;
	cJSON *t = cJSON_ParseWithLength(json.p, json.n);

	if (t == NULL)
		return;
	if (strcmp(o->output, "token") == 0)
		strbuf_puts(&out, ctl_get(t, "token"));
	else
		strbuf_printf(&out, "user=%s\001auth=Bearer %s\001\001",
		    ctl_get(t, "user"), ctl_get(t, "token"));
	if (strcmp(o->output, "xoauth2-b64") == 0) {
		base64_encode(strbuf_slice(&out), &b64);
		fwrite(b64.p, 1, b64.n, stdout);
	} else {
		fwrite(out.p, 1, out.n, stdout);
	}
	if (!o->no_newline)
		putchar('\n');
	fflush(stdout);
	cJSON_Delete(t);
	strbuf_free(&out);
	strbuf_free(&b64);
}

int
ctl_oauth_account(struct ctl *c)
{
	struct ctl_sink sink = { .arg = NULL };
	struct ctl_oauth o;
	int rc = ctl_oauth_args(c, &o);

	if (rc != 0)
		return rc;
	if (strcmp(c->cmd->name, "oauth status") == 0)
		return status(c, &o);
	sink.arg = &o;
	if (strcmp(c->cmd->name, "oauth token") == 0) {
		prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
		sink.item = token_item;
	}
	rc = ctl_oauth_request(c, &o, c->cmd->name, NULL, &sink);
	if (rc == 0 && sink.text != NULL && sink.text[0] != '\0')
		puts(sink.text);
	free(sink.text);
	return rc;
}
