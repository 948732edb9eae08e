/*
 * why: where a message would go and for what reason, by the configuration
 * alone (--if) or for a message that the daemon knows.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "conf/aliases.h"
#include "conf/expect.h"
#include "conf/local_choice.h"
#include "tools/relayctl.h"

#define PLACES_MAX 1000

/* ---- the answer ---- */

static const char *
tls_name(const struct conf_transport *t)
{
	switch (t->tls) {
	case TLS_OFF:
		return "off";
	case TLS_OPPORTUNISTIC:
		return "opportunistic";
	case TLS_STARTTLS:
	case TLS_REQUIRED:
		return "required";
	case TLS_IMPLICIT:
		return "implicit";
	default:
		return NULL;
	}
}

/* What is held for logins there. */
static const char *
credential_of(const struct conf_transport *t)
{
	if (t->oauth2 != NULL)
		return "token";
	if (t->kerberos)
		return "kerberos";
	if (t->password.kind != SECRET_NONE)
		return "password";
	return t->has_certificate ? "certificate" : NULL;
}

static void
write_hop(struct json_writer *w, const struct conf_transport *t)
{
	if (t != NULL && t->n_hosts > 0) {
		json_text(w, "host", t->hosts[0].name);
		json_number(w, "port", t->hosts[0].port);
	} else {
		json_text(w, "host", t != NULL ? t->lmtp_path : NULL);
		json_null(w, "port");
	}
	json_text(w, "tls", t == NULL ? "opportunistic" :
	    conf_transport_is_network(t) ? tls_name(t) : NULL);
	json_text(w, "username", t != NULL ? t->username : NULL);
	json_text(w, "credential", t != NULL ? credential_of(t) : NULL);
}

static void
write_place(struct json_writer *w, const char *key,
    const struct conf_where *where)
{
	struct strbuf text = STRBUF_INIT;

	strbuf_printf(&text, "%s:%u", where->file, where->line);
	json_slice(w, key, strbuf_slice(&text));
	strbuf_free(&text);
}

static void
trace(void *arg, const struct conf_route *route, const char *reason)
{
	struct json_writer *w = arg;

	json_object(w, NULL);
	write_place(w, "route", &route->where);
	json_bool(w, "matched", reason == NULL);
	json_text(w, "reason", reason);
	json_close_object(w);
}

/* ---- local recipients, as queue has it ---- */

enum place { PLACE_ROUTES, PLACE_LOCAL, PLACE_NONE };

/* q->to becomes where the first place is.  tree NULL: aliases were applied
 * when the message came. */
static enum place
place_of(const struct conf *conf, const struct conf_tree *tree,
    struct route_query *q, struct local_answer *a)
{
	struct strbuf aliases = STRBUF_INIT;
	enum place place = PLACE_ROUTES;
	struct conf_local *l;

	if (tree != NULL)
		conf_aliases_text(tree, conf, &aliases);
	l = conf_local_new(conf, strbuf_slice(&aliases));
	memset(a, 0, sizeof(*a));
	if (conf_local_has(l, q->to)) {
		conf_local_resolve(l, q->to, PLACES_MAX, a);
		place = a->result != LOCAL_FOUND ? PLACE_NONE :
		    a->v[0].here ? PLACE_LOCAL : PLACE_ROUTES;
	}
	if (place == PLACE_ROUTES && a->n > 0)
		q->to = a->v[0].address;
	conf_local_free(&l);
	strbuf_free(&aliases);
	return place;
}

static void
write_recipients(struct json_writer *w, const struct local_answer *a,
    const char *asked)
{
	size_t i;

	if (a->n == 0 || (a->n == 1 && strcmp(a->v[0].address, asked) == 0))
		return;
	json_array(w, "recipients");
	for (i = 0; i < a->n; i++)
		json_text(w, NULL, a->v[i].address);
	json_close_array(w);
}

static const struct conf_transport *
transport_at(const struct conf *conf, size_t i)
{
	return i < conf->n_transports ? &conf->transports[i] : NULL;
}

bool
ctl_why_json(const struct conf *conf, const struct conf_tree *tree,
    struct route_query *q, struct json_writer *w, const char *key)
{
	struct local_answer local;
	const char *asked = q->to;
	enum place place = place_of(conf, tree, q, &local);
	const struct conf_transport *first, *t;
	struct strbuf considered = STRBUF_INIT;
	struct json_writer cw = json_to(&considered);
	struct route_answer a;
	size_t i;

	memset(&a, 0, sizeof(a));
	a.account = route_account(conf, q);
	if (place == PLACE_ROUTES)
		route_choose(conf, q, &a, trace, &cw);
	else if (place == PLACE_LOCAL)
		a.via[a.n_via++] = conf_transport_find(conf, "local");
	first = a.n_via > 0 ? transport_at(conf, a.via[0]) : NULL;
	json_object(w, key);
	json_text(w, "account", a.account != NULL ? a.account->name : NULL);
	if (a.route != NULL)
		write_place(w, "route", &a.route->where);
	else
		json_null(w, "route");
	json_text(w, "transport", a.n_via == 0 ? NULL : first != NULL ?
	    first->name : "direct");
	json_array(w, "transports");
	for (i = 0; i < a.n_via; i++) {
		t = transport_at(conf, a.via[i]);
		json_text(w, NULL, t != NULL ? t->name : "direct");
	}
	json_close_array(w);
	if (a.n_via > 0) {
		write_hop(w, first);
	} else {
		json_null(w, "host");
		json_null(w, "port");
		json_null(w, "tls");
		json_null(w, "username");
		json_null(w, "credential");
	}
	json_array(w, "considered");
	strbuf_add_slice(w->out, strbuf_slice(&considered));
	json_close_array(w);
	write_recipients(w, &local, asked);
	json_close_object(w);
	q->to = asked;
	local_answer_clear(&local);
	strbuf_free(&considered);
	return place != PLACE_NONE;
}

/* ---- for people ---- */

static void
line(const char *name, const char *value)
{
	printf("%-13s%s\n", name, value);
}

static void
print_list(const char *name, const cJSON *list, const char *between)
{
	struct strbuf text = STRBUF_INIT;
	const cJSON *t;

	cJSON_ArrayForEach(t, list) {
		if (text.n > 0)
			strbuf_puts(&text, between);
		ctl_printable(&text, cJSON_IsString(t) ? t->valuestring :
		    "");
	}
	if (text.n > 0)
		line(name, text.p);
	strbuf_free(&text);
}

static void
print_considered(const cJSON *list)
{
	const cJSON *c;
	const char *name = "Considered";

	cJSON_ArrayForEach(c, list) {
		if (ctl_get_bool(c, "matched"))
			printf("%-13s%s  matches\n", name,
			    ctl_get(c, "route"));
		else
			printf("%-13s%s  no: `%s` does not match\n", name,
			    ctl_get(c, "route"), ctl_get(c, "reason"));
		name = "";
	}
}

static void
print_hop(const cJSON *why)
{
	const char *host = ctl_get(why, "host"), *tls = ctl_get(why, "tls");
	const char *user = ctl_get(why, "username");
	const char *kind = ctl_get(why, "credential");
	unsigned long long port = ctl_get_number(why, "port");

	if (strcmp(ctl_get(why, "transport"), "direct") == 0 &&
	    host[0] == 0)
		host = "the recipient's own server";
	if (host[0] == 0)
		return;
	printf("%-13s%s", "Next hop", host);
	if (port != 0)
		printf(":%llu", port);
	if (tls[0] != 0)
		printf(", TLS %s", tls);
	if (user[0] != 0)
		printf(", as %s", user);
	if (kind[0] != 0)
		printf(" (%s)\n", kind);
	else
		printf(user[0] != 0 ? "\n" : ", without a login\n");
}

void
ctl_why_print(const cJSON *why)
{
	const char *route = ctl_get(why, "route");
	const char *transport = ctl_get(why, "transport");

	print_list("Goes to", ctl_get_any(why, "recipients"), ", ");
	line("Account", ctl_get(why, "account")[0] != 0 ?
	    ctl_get(why, "account") : "none");
	print_considered(ctl_get_any(why, "considered"));
	if (transport[0] == 0)
		line("Transport", "none: there is no such local user");
	else if (route[0] != 0)
		line("Route", route);
	else
		line("Route", strcmp(transport, "direct") == 0 ?
		    "none matches" : strcmp(transport, "local") == 0 ?
		    "none: a local recipient" :
		    "none: the account's own transport");
	print_list("Transport", ctl_get_any(why, "transports"), ", then ");
	print_hop(why);
}

/* ---- --if ---- */

static int
ask(struct ctl *c, struct route_query *q)
{
	struct strbuf json = STRBUF_INIT;
	struct json_writer w = json_to(&json);
	cJSON *doc;

	(void)ctl_why_json(c->conf, c->tree, q, &w, NULL);
	if (c->json) {
		puts(json.p);
	} else {
		doc = cJSON_ParseWithLength(json.p, json.n);
		ctl_why_print(doc);
		cJSON_Delete(doc);
	}
	strbuf_free(&json);
	return 0;
}

static char *
bare(const char *address)
{
	size_t n = strlen(address);

	if (n > 2 && address[0] == '<' && address[n - 1] == '>')
		return mem_strndup(address + 1, n - 2);
	return mem_strdup(address);
}

int
ctl_why(struct ctl *c)
{
	struct route_query q = { .uid = -1 };
	struct err e = { 0, "" };
	char *from, *to;
	int i, rc;

	if (!c->dry)
		return ctl_why_message(c);
	for (i = 0; i < c->n_rest; i++)
		if (conf_query_word(c->rest[i], &q, &e) < 0)
			return ctl_error(CTL_USAGE, "why --if: %s", e.text);
	if (q.from == NULL || q.to == NULL || q.to[0] == 0) {
		ctl_error(CTL_USAGE, "why --if: %s is missing",
		    q.from == NULL ? "from=" : "to=");
		ctl_usage(c->cmd, true);
		return CTL_USAGE;
	}
	rc = ctl_load(c, ctl_file(c));
	if (rc != 0)
		return rc;
	q.from = from = bare(q.from);
	q.to = to = bare(q.to);
	rc = ask(c, &q);
	free(from);
	free(to);
	return rc;
}
