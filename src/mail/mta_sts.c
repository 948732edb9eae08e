/*
 * MTA-STS: the record (RFC 8461 3.1), the policy (3.2), which hosts it covers
 * (4.1), and the note that outlives a fetch.  No I/O.  Run by delivery, queue
 * and relayctl.
 *
 * A policy that is not quite right is none: what it would have forbidden is
 * not to be guessed.  Two things are forgiven, as they cannot be mistaken: an
 * empty line, and a max_age beyond the longest, which counts as the longest.
 */
#include "mail/mta_sts.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "mail/domain.h"
#include "mail/tag_list.h"

#define KEY_MAX 32
/* Octets of all patterns of one policy, so that a note has its bound. */
#define MX_MAX 12288u

/* ---- the record ---- */

bool
mta_sts_claims(struct slice text)
{
	return tag_list_claims(text, "STSv1");
}

static bool
is_id(struct slice s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if (!isalnum((unsigned char)s.p[i]))
			return false;
	return s.n > 0 && s.n <= MTA_STS_ID_MAX;
}

int
mta_sts_record(struct slice text, struct slice *id, struct err *e)
{
	if (tag_list_check(text, e) < 0)
		return -1;
	if (!tag_list_get(text, "id", id) || id->n == 0 ||
	    id->n > MTA_STS_ID_MAX)
		return err_set(e, EINVAL, "id= of 1 to %d characters is "
		    "missing", MTA_STS_ID_MAX);
	if (!is_id(*id))
		return err_set(e, EINVAL,
		    "id= has letters and digits only");
	return 0;
}

/* ---- the policy ---- */

static const char *const modes[] = { "none", "testing", "enforce" };

const char *
mta_sts_mode_name(enum mta_sts_mode mode)
{
	return modes[mode];
}

/* What was seen of a policy that is being read. */
struct reading {
	struct mta_sts_policy *p;
	unsigned line;
	size_t mx_octets;
	bool version, mode, max_age;
};

static int
wrong(const struct reading *r, struct err *e, const char *what)
{
	return err_set(e, EINVAL, "line %u: %s", r->line, what);
}

static int
read_version(struct reading *r, struct slice value, struct err *e)
{
	if (r->version)
		return 0;		/* the first one counts */
	r->version = true;
	return slice_eq_cstr(value, "STSv1") ? 0 :
	    wrong(r, e, "the version is not STSv1");
}

static int
read_mode(struct reading *r, struct slice value, struct err *e)
{
	size_t i;

	if (r->mode)
		return 0;
	for (i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (slice_eq_cstr(value, modes[i])) {
			r->mode = true;
			r->p->mode = (enum mta_sts_mode)i;
			return 0;
		}
	}
	return wrong(r, e, "the mode is none of enforce, testing, none");
}

static int
read_max_age(struct reading *r, struct slice value, struct err *e)
{
	uint64_t age;

	if (r->max_age)
		return 0;
	if (value.n > 10 || !num_u64(value, UINT64_MAX, &age))
		return wrong(r, e, "max_age is no number of seconds");
	r->max_age = true;
	r->p->max_age = age < MTA_STS_AGE_MAX ? (uint32_t)age :
	    MTA_STS_AGE_MAX;
	return 0;
}

static int
read_mx(struct reading *r, struct slice value, struct err *e)
{
	bool wild = value.n > 2 && value.p[0] == '*' && value.p[1] == '.';
	struct slice name = wild ? slice_skip(value, 2) : value;
	char normal[MAIL_DOMAIN_MAX + 1];
	struct mta_sts_policy *p = r->p;

	if (mail_domain_is_literal(name) ||
	    mail_domain_normal(name, normal) < 0)
		return wrong(r, e, "mx is the name of a host, \"*.\" may "
		    "stand for its first label");
	r->mx_octets += strlen(normal) + sizeof("mx: *.");
	if (r->mx_octets > MX_MAX)
		return wrong(r, e, "so many names are more than we keep");
	*(char **)mem_push(&p->mx, &p->n_mx, sizeof(*p->mx)) =
	    mem_printf("%s%s", wild ? "*." : "", normal);
	return 0;
}

static bool
is_key(struct slice s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if (!isalnum((unsigned char)s.p[i]) &&
		    (i == 0 || strchr("_-.", s.p[i]) == NULL))
			return false;
	return s.n > 0 && s.n <= KEY_MAX;
}

static bool
is_text(struct slice s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if (iscntrl((unsigned char)s.p[i]) && s.p[i] != '\t')
			return false;
	return s.n > 0;
}

static int
read_line(struct reading *r, struct slice line, struct err *e)
{
	static const struct {
		const char *key;
		int (*read)(struct reading *r, struct slice value,
		    struct err *e);
	} known[] = {
		{ "version", read_version }, { "mode", read_mode },
		{ "mx", read_mx }, { "max_age", read_max_age }
	};
	long colon = slice_find(line, ':');
	struct slice key = line, value;
	size_t i;

	if (slice_trim(line).n == 0)
		return 0;
	if (colon < 0)
		return wrong(r, e, "no `key: value`");
	key.n = (size_t)colon;
	value = slice_trim(slice_skip(line, key.n + 1));
	if (!is_key(key) || !is_text(value))
		return wrong(r, e, "no `key: value`");
	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (slice_eq_cstr(key, known[i].key))
			return known[i].read(r, value, e);
	return 0;
}

static int
read_all(struct reading *r, struct slice body, struct err *e)
{
	struct slice line;
	long end;

	if (body.n > MTA_STS_POLICY_MAX)
		return err_set(e, EFBIG, "longer than %d octets",
		    MTA_STS_POLICY_MAX);
	while (body.n > 0) {
		end = slice_find(body, '\n');
		line = body;
		if (end >= 0)
			line.n = (size_t)end;
		body = slice_skip(body, line.n + (end >= 0));
		if (end >= 0 && line.n > 0 && line.p[line.n - 1] == '\r')
			line.n--;
		r->line++;
		if (read_line(r, line, e) < 0)
			return -1;
	}
	if (!r->version)
		return err_set(e, EINVAL, "`version: STSv1` is missing");
	if (!r->mode)
		return err_set(e, EINVAL, "`mode` is missing");
	if (!r->max_age)
		return err_set(e, EINVAL, "`max_age` is missing");
	if (r->p->n_mx == 0 && r->p->mode != MTA_STS_NONE)
		return err_set(e, EINVAL, "`mx` is missing");
	return 0;
}

int
mta_sts_policy_parse(struct slice body, struct mta_sts_policy *p,
    struct err *e)
{
	struct reading r = { .p = p };

	memset(p, 0, sizeof(*p));
	if (read_all(&r, body, e) == 0)
		return 0;
	mta_sts_policy_clear(p);
	return -1;
}

void
mta_sts_policy_clear(struct mta_sts_policy *p)
{
	size_t i;

	for (i = 0; i < p->n_mx; i++)
		free(p->mx[i]);
	free(p->mx);
	memset(p, 0, sizeof(*p));
}

/* "*." stands for exactly one label. */
static bool
fits(const char *pattern, const char *host)
{
	const char *dot;

	if (pattern[0] != '*')
		return strcasecmp(pattern, host) == 0;
	dot = strchr(host, '.');
	return dot != NULL && dot != host && strcasecmp(pattern + 1, dot) == 0;
}

bool
mta_sts_covers(const struct mta_sts_policy *p, const char *host)
{
	size_t i;

	for (i = 0; i < p->n_mx; i++)
		if (fits(p->mx[i], host))
			return true;
	return false;
}

/* ---- the note ---- */

/* Two lines of words, "-" for what is not there, and the policy as text:
 *	policy ID FETCHED
 *	failed ID WHEN */

static void
put_moment(struct strbuf *out, const char *what, const char *id,
    uint64_t when)
{
	strbuf_printf(out, "%s %s %llu\n", what, id[0] != '\0' ? id : "-",
	    (unsigned long long)when);
}

void
mta_sts_note_encode(const struct mta_sts_note *n, struct strbuf *out)
{
	size_t i;

	put_moment(out, "policy", n->id, n->fetched);
	put_moment(out, "failed", n->failed_id, n->failed);
	if (n->fetched == 0)
		return;
	strbuf_printf(out, "version: STSv1\nmode: %s\nmax_age: %u\n",
	    modes[n->policy.mode], n->policy.max_age);
	for (i = 0; i < n->policy.n_mx; i++)
		strbuf_printf(out, "mx: %s\n", n->policy.mx[i]);
}

static bool
get_moment(struct slice *text, const char *what, char id[MTA_STS_ID_MAX + 1],
    uint64_t *when)
{
	long end = slice_find(*text, '\n');
	struct slice line = *text, word;

	if (end < 0)
		return false;
	line.n = (size_t)end;
	*text = slice_skip(*text, line.n + 1);
	if (!slice_word(&line, &word) || !slice_eq_cstr(word, what) ||
	    !slice_word(&line, &word))
		return false;
	id[0] = '\0';
	if (is_id(word)) {
		memcpy(id, word.p, word.n);
		id[word.n] = '\0';
	} else if (!slice_eq_cstr(word, "-")) {
		return false;
	}
	return slice_word(&line, &word) && num_u64(word, UINT64_MAX / 2, when)
	    && slice_trim(line).n == 0;
}

static int
read_note(struct slice text, struct mta_sts_note *n)
{
	struct err e;

	if (text.n > MTA_STS_NOTE_MAX ||
	    !get_moment(&text, "policy", n->id, &n->fetched) ||
	    !get_moment(&text, "failed", n->failed_id, &n->failed))
		return -1;
	if (n->fetched == 0)
		return text.n == 0 ? 0 : -1;
	return mta_sts_policy_parse(text, &n->policy, &e);
}

int
mta_sts_note_decode(struct slice text, struct mta_sts_note *n)
{
	memset(n, 0, sizeof(*n));
	if (read_note(text, n) == 0)
		return 0;
	memset(n, 0, sizeof(*n));
	return -1;
}

void
mta_sts_note_clear(struct mta_sts_note *n)
{
	mta_sts_policy_clear(&n->policy);
	memset(n, 0, sizeof(*n));
}

uint64_t
mta_sts_note_expires(const struct mta_sts_note *n)
{
	return n->fetched == 0 ? 0 : n->fetched +
	    (uint64_t)n->policy.max_age * 1000;
}
