/*
 * providers: the presets, without a daemon.
 */
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "conf/provider.h"
#include "tools/relayctl.h"

static void
put_limits(struct json_writer *w, const struct conf_provider *p)
{
	char rate[48], per[24];

	json_object(w, "limits");
	if (p->size > 0)
		json_number(w, "max_message_size", p->size);
	if (p->connections > 0)
		json_number(w, "connections", p->connections);
	if (p->messages > 0)
		json_number(w, "messages_per_connection", p->messages);
	if (p->recipients > 0)
		json_number(w, "recipients_per_message", p->recipients);
	if (p->rate > 0) {
		snprintf(rate, sizeof(rate), "%llu/%s",
		    (unsigned long long)p->rate,
		    num_duration_text(p->per, per, sizeof(per)));
		json_text(w, "rate", rate);
	}
	if (p->daily > 0)
		json_number(w, "daily", p->daily);
	json_close_object(w);
}

static void
put_oauth(struct json_writer *w, const struct conf_provider *p)
{
	const struct conf_oauth_provider *o = p->oauth != NULL ?
	    conf_oauth_provider_find(p->oauth) : NULL;

	json_object(w, "oauth");
	if (o != NULL) {
		json_text(w, "provider", o->name);
		json_text(w, "authorization_endpoint", o->authorize);
		json_text(w, "token_endpoint", o->token);
		json_text(w, "device_endpoint", o->device);
		json_text(w, "scope", o->smtp);
	}
	json_close_object(w);
}

static void
put_json(const struct conf_provider *p, struct strbuf *out)
{
	struct json_writer w = json_to(out), m;
	struct slice list = slice_cstr(p->mechanisms), word;

	json_object(&w, NULL);
	json_text(&w, "name", p->name);
	json_text(&w, "host", p->host);
	json_number(&w, "port", p->port);
	json_text(&w, "tls", p->tls);
	json_array(&w, "mechanisms");
	m = json_to(out);
	while (slice_word(&list, &word))
		json_slice(&m, NULL, word);
	json_close_array(&w);
	put_limits(&w, p);
	put_oauth(&w, p);
	json_text(&w, "note", p->note);
	json_close_object(&w);
}

static const struct ctl_column columns[] = {
	{ "Provider", false, 0 }, { "host", false, 0 }, { "tls", false, 0 },
	{ "oauth2", false, 0 }, { "mechanisms", false, 0 },
};

static void
print_list(const struct ctl *c)
{
	struct ctl_table *t = ctl_table_new(columns, 5, "");
	struct strbuf out = STRBUF_INIT;
	const struct conf_provider *p;
	char host[300];
	size_t i;

	for (i = 0; (p = conf_provider_at(i)) != NULL; i++) {
		if (c->json) {
			strbuf_puts(&out, i > 0 ? ",\n" : "[\n");
			put_json(p, &out);
			continue;
		}
		snprintf(host, sizeof(host), "%s:%u", p->host, p->port);
		ctl_table_row(t, (const char *[]){ p->name, host, p->tls,
		    p->oauth != NULL ? p->oauth : "-", p->mechanisms });
	}
	ctl_table_end(&t);
	if (c->json)
		printf("%s\n]\n", strbuf_cstr(&out));
	strbuf_free(&out);
}

static void
print_one(const struct conf_provider *p)
{
	char size[24], per[24];

	printf("%s: %s:%u, TLS %s\nmechanisms: %s\n", p->name, p->host,
	    p->port, p->tls, p->mechanisms);
	if (p->size > 0)
		printf("max-message-size %s\n", num_size_text(p->size, size,
		    sizeof(size)));
	if (p->connections > 0)
		printf("connections %u\n", p->connections);
	if (p->recipients > 0)
		printf("recipients-per-message %u\n", p->recipients);
	if (p->rate > 0)
		printf("rate %llu/%s\n", (unsigned long long)p->rate,
		    num_duration_text(p->per, per, sizeof(per)));
	if (p->daily > 0)
		printf("daily %llu\n", (unsigned long long)p->daily);
	if (p->oauth != NULL)
		printf("oauth2 provider %s\n", p->oauth);
	if (p->note != NULL)
		printf("%s\n", p->note);
}

int
ctl_providers(struct ctl *c)
{
	const struct conf_provider *p;
	struct strbuf out = STRBUF_INIT;
	const char *name = NULL;
	char buf[64];
	int i;

	for (i = 0; i < c->n_rest; i++)
		if (c->rest[i][0] != '-')
			name = c->rest[i];
	if (name == NULL) {
		print_list(c);
		return CTL_OK;
	}
	p = conf_provider_find(name);
	for (i = 0; p == NULL && conf_provider_at((size_t)i) != NULL; i++)
		if (strcmp(conf_provider_at((size_t)i)->name, name) == 0)
			p = conf_provider_at((size_t)i);
	if (p == NULL)
		return ctl_error(CTL_NONE, "there is no provider `%s`%s",
		    name, conf_provider_suggest(name, buf, sizeof(buf)));
	if (c->json) {
		put_json(p, &out);
		puts(strbuf_cstr(&out));
		strbuf_free(&out);
	} else {
		print_one(p);
	}
	return CTL_OK;
}
