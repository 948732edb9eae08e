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

/* Both sides of AUTH: where clients log in to us, where we log in. */
static const struct {
	const char *name;
	enum conf_when listen, transport;
} mechanisms[] = {
	{ "PLAIN", NOW, NOW },
	{ "LOGIN", NOW, NOW },
	{ "CRAM-MD5", NOW, NOW },
	{ "DIGEST-MD5", LATER, NOW },
	{ "SCRAM-SHA-1", NOW, NOW },
	{ "SCRAM-SHA-1-PLUS", NOW, NOW },
	{ "SCRAM-SHA-224", LATER, LATER },
	{ "SCRAM-SHA-224-PLUS", LATER, LATER },
	{ "SCRAM-SHA-256", NOW, NOW },
	{ "SCRAM-SHA-256-PLUS", NOW, NOW },
	{ "SCRAM-SHA-384", LATER, LATER },
	{ "SCRAM-SHA-384-PLUS", LATER, LATER },
	{ "SCRAM-SHA-512", LATER, LATER },
	{ "SCRAM-SHA-512-PLUS", LATER, LATER },
	{ "EXTERNAL", NOW, NOW },
	{ "XOAUTH2", LATER, NOW },
	{ "OAUTHBEARER", LATER, NOW },
	{ "NTLM", LATER, NOW },
	{ "GSSAPI", LATER, NOW }
};
#define N_MECHANISMS (sizeof(mechanisms) / sizeof(mechanisms[0]))

/* N_MECHANISMS: it is none. */
static size_t
mechanism_find(const char *name)
{
	size_t i;

	for (i = 0; i < N_MECHANISMS; i++)
		if (slice_eq_case_cstr(slice_cstr(name), mechanisms[i].name))
			break;
	return i;
}

static void
mechanism_unknown(struct build *b, const struct conf_stmt *s,
    const struct conf_word *w)
{
	const char *names[N_MECHANISMS];
	char buf[64];
	size_t i;

	for (i = 0; i < N_MECHANISMS; i++)
		names[i] = mechanisms[i].name;
	build_error(b, s, w, "`%s` is not a mechanism of AUTH%s", w->s,
	    conf_suggestion(w->s, names, N_MECHANISMS, buf, sizeof(buf)));
}

/* Names of what is not there yet beside one that is: told, and left out.
 * Alone they are an error, for nothing would be left. */
static void
mechanism_later(struct build *b, const struct conf_stmt *s,
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
    const struct conf_directive *d, struct conf_list *list)
{
	enum conf_when when[N_MECHANISMS];
	bool listen = (d->roles & L) != 0, alone = true;
	size_t i, j;

	for (j = 0; j < N_MECHANISMS; j++)
		when[j] = listen ? mechanisms[j].listen :
		    mechanisms[j].transport;
	for (i = 1; i < s->n; i++) {
		j = mechanism_find(s->w[i].s);
		alone &= j == N_MECHANISMS || when[j] == LATER;
	}
	for (i = 1; i < s->n; i++) {
		j = mechanism_find(s->w[i].s);
		if (j == N_MECHANISMS)
			mechanism_unknown(b, s, &s->w[i]);
		else if (when[j] == NOW)
			value_add_word(b, list, mechanisms[j].name);
		else
			mechanism_later(b, s, &s->w[i], mechanisms[j].name,
			    alone);
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
		build_mechanisms(b, s, d, field);
		break;
	case ARG_HOSTS:
	case ARG_WORDS:
	case ARG_IPS:
		build_list(b, s, d, field);
		break;
	case ARG_CUSTOM:
	case ARG_CERTIFICATE:
	case ARG_SECRET:
	case ARG_KERBEROS:
	case ARG_LOGINS:
	case ARG_UIDS:
		break;			/* have setters of their own */
	}
}
