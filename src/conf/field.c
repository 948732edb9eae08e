/* A statement's arguments into the field of its row, by the row's type.  Used
 * by the walker (build.c); mistakes are told with their word. */
#include <string.h>

#include "base/num.h"
#include "conf/directives.h"
#include "mail/address.h"
#include "mail/pattern.h"

static void
build_bool(struct build *b, const struct conf_stmt *s, bool *out)
{
	static const struct conf_choice on_off[] = {
		{ "on", 1, NOW }, { "off", 0, NOW }, { NULL, 0, NOW }
	};
	int v;

	if (value_choice(b, s, &s->w[1], on_off, &v))
		*out = v != 0;
}

static void
build_address(struct build *b, const struct conf_stmt *s, bool null_ok,
    char **out)
{
	const struct conf_word *w = &s->w[1];

	if (null_ok && strcmp(w->s, "<>") == 0)
		*out = conf_arena_strdup(b->arena, "");
	else if (mail_address_valid(slice_cstr(w->s), true))
		*out = conf_arena_strdup(b->arena, w->s);
	else
		build_error(b, s, w, "`%s` is not an address%s", w->s,
		    null_ok ? " or <>" : "");
}

static void
build_file(struct build *b, const struct conf_stmt *s, char **out)
{
	if (!build_is_main(b)) {
		*out = conf_arena_strdup(b->arena, s->w[1].s);
		return;
	}
	*out = build_path(b, s, &s->w[1]);
	check_file(b, s, *out, false, false);
}

static void
build_nets(struct build *b, const struct conf_stmt *s, struct conf_nets *nets)
{
	struct conf_net net;
	size_t i;

	for (i = 1; i < s->n; i++)
		if (value_net(b, s, &s->w[i], &net))
			value_add_net(b, nets, &net);
}

static void
build_patterns(struct build *b, const struct conf_stmt *s,
    struct conf_patterns *patterns)
{
	struct mail_pattern p;
	size_t i;

	for (i = 1; i < s->n; i++)
		if (value_pattern(b, s, &s->w[i], &p))
			value_add_pattern(b, patterns, &p);
}

static const char *const mechanisms[] = {
	"PLAIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5", "SCRAM-SHA-1",
	"SCRAM-SHA-1-PLUS", "SCRAM-SHA-224", "SCRAM-SHA-224-PLUS",
	"SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-384",
	"SCRAM-SHA-384-PLUS", "SCRAM-SHA-512", "SCRAM-SHA-512-PLUS",
	"EXTERNAL", "XOAUTH2", "OAUTHBEARER", "NTLM", "GSSAPI"
};
#define N_MECHANISMS (sizeof(mechanisms) / sizeof(mechanisms[0]))
#define N_MECHANISMS_NOW 2	/* the rest: not supported yet */

/* Names of what is not there yet beside one that is: told, and left out.
 * Alone they are an error, for nothing would be left. */
static void
build_mechanism_later(struct build *b, const struct conf_stmt *s,
    const struct conf_word *w, const char *name, bool alone)
{
	if (alone)
		build_error(b, s, w, "auth-mechanisms %s: not supported yet",
		    name);
	else
		build_warning(b, s, "auth-mechanisms %s: not supported yet, "
		    "left out", name);
}

static void
build_mechanisms(struct build *b, const struct conf_stmt *s,
    struct conf_list *list)
{
	char buf[64];
	size_t i, j;
	bool alone = true;

	for (i = 1; i < s->n; i++)
		for (j = 0; j < N_MECHANISMS_NOW; j++)
			alone &= !slice_eq_case_cstr(slice_cstr(s->w[i].s),
			    mechanisms[j]);

	for (i = 1; i < s->n; i++) {
		for (j = 0; j < N_MECHANISMS; j++)
			if (slice_eq_case_cstr(slice_cstr(s->w[i].s),
			    mechanisms[j]))
				break;
		if (j < N_MECHANISMS_NOW)
			value_add_word(b, list, mechanisms[j]);
		else if (j < N_MECHANISMS)
			build_mechanism_later(b, s, &s->w[i], mechanisms[j],
			    alone);
		else
			build_error(b, s, &s->w[i],
			    "`%s` is not a mechanism of AUTH%s", s->w[i].s,
			    conf_suggestion(s->w[i].s, mechanisms,
			    N_MECHANISMS, buf, sizeof(buf)));
	}
}

static void
build_list(struct build *b, const struct conf_stmt *s,
    const struct conf_directive *d, struct conf_list *list)
{
	unsigned char addr[16];
	size_t i;
	char *host;
	bool v6;

	for (i = 1; i < s->n; i++) {
		if (d->arg == ARG_WORDS) {
			value_add_word(b, list, s->w[i].s);
		} else if (d->arg == ARG_HOSTS) {
			if ((host = value_host(b, s, &s->w[i])) != NULL)
				value_add_word(b, list, host);
		} else if (conf_parse_ip(s->w[i].s, &v6, addr)) {
			value_add_word(b, list, s->w[i].s);
		} else {
			build_error(b, s, &s->w[i],
			    "`%s` is not an IP address", s->w[i].s);
		}
	}
}

static void
build_durations(struct build *b, const struct conf_stmt *s,
    struct conf_durations *list)
{
	uint64_t ms;
	size_t i;

	for (i = 1; i < s->n; i++)
		if (value_duration(b, s, &s->w[i], &ms))
			*(uint64_t *)conf_arena_push(b->arena, &list->v,
			    &list->n, sizeof(ms)) = ms;
}

static void
build_rate(struct build *b, const struct conf_stmt *s, struct conf_rate *rate)
{
	uint64_t count, per;

	if (num_rate(slice_cstr(s->w[1].s), &count, &per) && count > 0 &&
	    per > 0) {
		rate->count = count;
		rate->per = per;
		return;
	}
	build_error(b, s, &s->w[1], "`%s` is not a rate (30/1m)", s->w[1].s);
}

void
build_value(struct build *b, const struct conf_stmt *s,
    const struct conf_directive *d, void *field)
{
	const struct conf_word *w = &s->w[1];
	uint64_t n;
	bool on = false;
	int choice;

	switch (d->arg) {
	case ARG_FLAG:
		*(bool *)field = true;
		break;
	case ARG_BOOL:
		build_bool(b, s, field);
		break;
	case ARG_SWITCH:
		build_bool(b, s, &on);
		*(enum conf_switch *)field = on ? SWITCH_ON : SWITCH_OFF;
		break;
	case ARG_CHOICE:
		if (value_choice(b, s, w, d->choices, &choice))
			*(int *)field = choice;
		break;
	case ARG_STRING:
		if (w->s[0] == '\0')
			build_error(b, s, w, "%s: the value is empty",
			    d->name);
		*(char **)field = conf_arena_strdup(b->arena, w->s);
		break;
	case ARG_HOST:
		*(char **)field = value_host(b, s, w);
		break;
	case ARG_ADDRESS:
	case ARG_SENDER:
		build_address(b, s, d->arg == ARG_SENDER, field);
		break;
	case ARG_PATH:
		*(char **)field = build_path(b, s, w);
		break;
	case ARG_FILE:
	case ARG_ALIASES:
		build_file(b, s, field);
		break;
	case ARG_DURATION:
		value_duration(b, s, w, field);
		break;
	case ARG_DURATIONS:
		build_durations(b, s, field);
		break;
	case ARG_SIZE:
		value_size(b, s, w, field);
		break;
	case ARG_COUNT:
		if (value_number(b, s, w, 1000000, &n))
			*(unsigned *)field = (unsigned)n;
		break;
	case ARG_NUMBER:
		value_number(b, s, w, UINT32_MAX, field);
		break;
	case ARG_RATE:
		build_rate(b, s, field);
		break;
	case ARG_NETS:
		build_nets(b, s, field);
		break;
	case ARG_PATTERNS:
		build_patterns(b, s, field);
		break;
	case ARG_MECHANISMS:
		build_mechanisms(b, s, field);
		break;
	case ARG_HOSTS:
	case ARG_WORDS:
	case ARG_IPS:
		build_list(b, s, d, field);
		break;
	case ARG_CUSTOM:
	case ARG_CERTIFICATE:
	case ARG_SECRET:
	case ARG_UIDS:
		break;			/* have setters of their own */
	}
}
