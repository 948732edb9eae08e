/* `token-server`: sockets where other programs fetch access tokens.  auth
 * builds it, monitor binds the sockets. */
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>

#include "base/num.h"
#include "conf/directives.h"

#define AT(field) .offset = offsetof(struct conf_token_server, field)

static conf_setter set_mode, set_group, set_accounts, set_users,
    set_protocols;

static const struct conf_choice protocol_choices[] = {
	{ "SMTP", TOKEN_SMTP, NOW }, { "IMAP", TOKEN_IMAP, NOW },
	{ NULL, 0, NOW }
};

static const struct conf_directive rows[] = {
{ "mode", "0660", ARG_CUSTOM, NOW, M, 0, 0, .set = set_mode, .min = 1,
    .max = 1, .deflt = "0600" },
{ "group", "NAME", ARG_CUSTOM, NOW, M, 0, 0, .set = set_group, .min = 1,
    .max = 1 },
{ "account", "NAME...", ARG_CUSTOM, NOW, A, LIST, 0, .set = set_accounts,
    .min = 1, .max = CONF_MANY },
{ "users", "UID...", ARG_UIDS, NOW, A, LIST, 0, .set = set_users, .min = 1,
    .max = CONF_MANY },
{ "protocols", "SMTP IMAP", ARG_CUSTOM, NOW, A, LIST, 0,
    .set = set_protocols, .min = 1, .max = 2, .deflt = "SMTP" },
};

const struct conf_table conf_table_token_server = {
	"in a `token-server` block", rows, sizeof(rows) / sizeof(rows[0])
};

static void
set_mode(struct build *b, void *obj, const struct conf_stmt *s,
    const struct conf_directive *d)
{
	struct conf_token_server *t = obj;
	const char *text = s->w[1].s;
	unsigned mode = 0;
	size_t i;

	(void)d;
	for (i = 0; text[i] >= '0' && text[i] <= '7' && i < 4; i++)
		mode = mode * 8 + (unsigned)(text[i] - '0');
	if (text[i] != 0 || i < 3 || mode > 0777 || (mode & 0600) != 0600)
		build_error(b, s, &s->w[1], "`%s` is no mode of a socket (0600, "
		    "0660, 0666)", text);
	else
		t->mode = mode;
}

static void
set_group(struct build *b, void *obj, const struct conf_stmt *s,
    const struct conf_directive *d)
{
	struct conf_token_server *t = obj;
	const struct group *gr = getgrnam(s->w[1].s);

	(void)d;
	if (gr == NULL) {
		build_error(b, s, &s->w[1], "there is no group `%s`",
		    s->w[1].s);
		return;
	}
	t->has_group = true;
	t->group = (unsigned)gr->gr_gid;
}

static void
set_accounts(struct build *b, void *obj, const struct conf_stmt *s,
    const struct conf_directive *d)
{
	struct conf_token_server *t = obj;
	size_t i;

	(void)d;
	for (i = 1; i < s->n; i++) {
		build_ref(b, s, &s->w[i], REF_ACCOUNT, NULL);
		value_add_word(b, &t->accounts, s->w[i].s);
	}
}

static void
set_users(struct build *b, void *obj, const struct conf_stmt *s,
    const struct conf_directive *d)
{
	struct conf_token_server *t = obj;
	const struct passwd *pw;
	char number[24];
	uint64_t uid;
	size_t i;

	(void)d;
	for (i = 1; i < s->n; i++) {
		if (num_u64(slice_cstr(s->w[i].s), UINT32_MAX - 1, &uid)) {
			value_add_word(b, &t->users, s->w[i].s);
			continue;
		}
		/* Views hold numbers; roles cannot look names up. */
		pw = build_is_main(b) ? getpwnam(s->w[i].s) : NULL;
		if (pw == NULL) {
			build_error(b, s, &s->w[i], "there is no user `%s`",
			    s->w[i].s);
			continue;
		}
		snprintf(number, sizeof(number), "%lu",
		    (unsigned long)pw->pw_uid);
		value_add_word(b, &t->users, number);
	}
}

static void
set_protocols(struct build *b, void *obj, const struct conf_stmt *s,
    const struct conf_directive *d)
{
	struct conf_token_server *t = obj;
	size_t i;
	int v;

	(void)d;
	for (i = 1; i < s->n; i++)
		if (value_choice(b, s, &s->w[i], protocol_choices, &v))
			t->protocols |= (unsigned)v;
}

void
set_token_server(struct build *b, void *obj, const struct conf_stmt *s,
    const struct conf_directive *d)
{
	struct conf *conf = obj;
	struct conf_token_server t;
	const char *path = s->w[1].s;
	size_t i;

	memset(&t, 0, sizeof(t));
	t.where = build_where(b, s);
	t.mode = 0600;
	build_block(b, s, d->block, &t, CTX_NONE, NULL);
	if (t.protocols == 0)
		t.protocols = TOKEN_SMTP;
	if (strncmp(path, "unix:/", 6) != 0 || strlen(path + 5) > 107) {
		build_error(b, s, &s->w[1], "token-server takes unix:PATH, an "
		    "absolute path of 107 octets at most");
		return;
	}
	t.path = conf_arena_strdup(b->arena, path + 5);
	for (i = 0; i < conf->n_token_servers; i++)
		if (strcmp(conf->token_servers[i].path, t.path) == 0)
			build_error(b, s, &s->w[1], "%s is used already, in "
			    "%s:%u", t.path,
			    conf->token_servers[i].where.file,
			    conf->token_servers[i].where.line);
	*(struct conf_token_server *)conf_arena_push(b->arena,
	    &conf->token_servers, &conf->n_token_servers, sizeof(t)) = t;
}
