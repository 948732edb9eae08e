/* SELECTORS of messages: parsed from words, matched against records.  Used by
 * queue for what comes on the control socket and by relayctl. */
#include "store/selector.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"

static const char *const status_names[] = {
	"", "queued", "active", "deferred", "held"
};

void
selector_clear(struct selector *s)
{
	size_t i;

	for (i = 0; i < s->n_ids; i++)
		free(s->ids[i].text);
	free(s->ids);
	mail_pattern_free(&s->from);
	mail_pattern_free(&s->to);
	free(s->account);
	free(s->transport);
	memset(s, 0, sizeof(*s));
}

static int
set_pattern(struct mail_pattern *p, bool *set, const char *value,
    struct err *e)
{
	mail_pattern_free(p);
	memset(p, 0, sizeof(*p));
	*set = false;
	if (mail_pattern_parse(slice_cstr(value), p, e) < 0)
		return -1;
	*set = true;
	return 0;
}

static int
set_text(char **to, const char *value)
{
	free(*to);
	*to = mem_strdup(value);
	return 0;
}

static int
set_status(struct selector *s, const char *value, struct err *e)
{
	int i;

	for (i = SELECT_QUEUED; i <= SELECT_HELD; i++) {
		if (strcmp(value, status_names[i]) == 0) {
			s->status = (enum selector_status)i;
			return 0;
		}
	}
	return err_set(e, -1, "`%s` is none of queued, active, deferred, "
	    "held", value);
}

static int
set_id(struct selector *s, const char *value)
{
	struct selector_id *id;

	id = mem_push(&s->ids, &s->n_ids, sizeof(*id));
	id->text = mem_strdup(value);
	if (!num_id_parse(slice_cstr(value), &id->id))
		id->id = 0;
	return 0;
}

int
selector_set(struct selector *s, const char *name, const char *value,
    struct err *e)
{
	struct slice v = slice_cstr(value);

	if (strcmp(name, "from") == 0)
		return set_pattern(&s->from, &s->from_set, value, e);
	if (strcmp(name, "to") == 0)
		return set_pattern(&s->to, &s->to_set, value, e);
	if (strcmp(name, "account") == 0)
		return set_text(&s->account, value);
	if (strcmp(name, "transport") == 0)
		return set_text(&s->transport, value);
	if (strcmp(name, "status") == 0)
		return set_status(s, value, e);
	if (strcmp(name, "id") == 0)
		return set_id(s, value);
	if (strcmp(name, "older") == 0) {
		if (!num_duration(v, &s->older))
			return err_set(e, -1, "`%s` is not a duration (30s "
			    "5m 4h 5d)", value);
		return 0;
	}
	if (strcmp(name, "larger") == 0) {
		if (!num_size(v, &s->larger))
			return err_set(e, -1, "`%s` is not a size (64K 50M)",
			    value);
		s->larger_set = true;
		return 0;
	}
	if (strcmp(name, "limit") == 0) {
		if (!num_u64(v, UINT32_MAX, &s->limit) || s->limit == 0)
			return err_set(e, -1, "`%s` is not a number above 0",
			    value);
		return 0;
	}
	return err_set(e, -1, "there is no selector `%s`", name);
}

bool
selector_empty(const struct selector *s)
{
	return !s->all && !s->from_set && !s->to_set && s->account == NULL &&
	    s->transport == NULL && s->status == SELECT_ANY &&
	    s->older == 0 && !s->larger_set && s->limit == 0 && s->n_ids == 0;
}

bool
selector_match_to(const struct selector *s, const char *address)
{
	return !s->to_set || mail_pattern_matches(&s->to,
	    slice_cstr(address));
}

static bool
match_recipients(const struct selector *s, const struct record *r)
{
	size_t i;

	for (i = 0; i < r->env->recipient_count; i++)
		if (selector_match_to(s, r->env->recipients[i].address))
			return true;
	return false;
}

static bool
match_text(const char *wanted, const char *have)
{
	return wanted == NULL || (have != NULL && strcmp(wanted, have) == 0);
}

bool
selector_match(const struct selector *s, const struct record *r,
    const char *status, uint64_t now)
{
	const struct envelope *env = r->env;

	if (s->status != SELECT_ANY &&
	    strcmp(status, status_names[s->status]) != 0)
		return false;
	if (s->older != 0 && env->received_ms + s->older > now)
		return false;
	if (s->larger_set && r->body_size <= s->larger)
		return false;
	if (!match_text(s->account, r->account) ||
	    !match_text(s->transport, r->pinned != NULL ? r->pinned :
	    r->transport))
		return false;
	if (s->from_set && !mail_pattern_matches(&s->from,
	    slice_cstr(env->from)))
		return false;
	return !s->to_set || match_recipients(s, r);
}
