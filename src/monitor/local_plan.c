/*
 * As whom and by which program a message is delivered on this machine.  Run
 * by monitor, which alone can look up users.  A recipient's name comes from
 * strangers: it never becomes a path or an option, and root is nobody.
 */
#include "monitor/local_plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/strbuf.h"
#include "conf/command_line.h"
#include "conf/mda_line.h"
#include "mail/address.h"
#include "mail/domain.h"

struct user {
	char name[256];			/* the local part, or who it is */
	char domain[MAIL_DOMAIN_MAX + 1];	/* in normal form */
	char home[4096];
	struct identity who;
	bool known;
};

static void
add(struct words *w, char *word)
{
	*(char **)mem_push(&w->v, &w->n, sizeof(char *)) = word;
}

static void
words_free(struct words *w)
{
	size_t i;

	for (i = 0; i < w->n; i++)
		free(w->v[i]);
	free(w->v);
	memset(w, 0, sizeof(*w));
}

void
local_plan_clear(struct local_plan *plan)
{
	free(plan->path);
	free(plan->dir);
	words_free(&plan->argv);
	words_free(&plan->env);
	memset(plan, 0, sizeof(*plan));
}

/* ---- users ---- */

/* As written, else in lower case: people write Root@ and Bob@.  EX_TEMPFAIL:
 * nobody can say now who is there. */
static uint8_t
find_user(struct user *u)
{
	int found = identity_look_up(u->name, &u->who, u->home,
	    sizeof(u->home));
	bool changed = false;
	char *p;

	for (p = u->name; found == 0 && *p != 0; p++) {
		if (*p >= 'A' && *p <= 'Z') {
			*p = (char)(*p + 32);
			changed = true;
		}
	}
	if (changed)
		found = identity_look_up(u->name, &u->who, u->home,
		    sizeof(u->home));
	u->known = found > 0;
	return found < 0 ? EX_TEMPFAIL : 0;
}

/* The local part without quotes that say nothing, false: it is no name that a
 * path or a command line could have. */
static bool
take_name(struct slice local, struct user *u)
{
	struct strbuf name = STRBUF_INIT;
	bool good;

	mail_local_unquote(local, &name);
	good = name.n > 0 && name.n < sizeof(u->name) && name.p[0] != '-' &&
	    name.p[0] != '.' && memchr(name.p, '/', name.n) == NULL;
	if (good)
		memcpy(u->name, name.p, name.n);
	strbuf_free(&name);
	return good;
}

/* Splits the recipient and looks it up where wanted. */
static uint8_t
take_recipient(const char *recipient, bool look, struct user *u,
    const char **why)
{
	struct slice local, domain;

	memset(u, 0, sizeof(*u));
	mail_address_split(slice_cstr(recipient), &local, &domain);
	*why = "unknown user";
	if (!take_name(local, u) || recipient[0] == '-' || (domain.n > 0 &&
	    mail_domain_normal(domain, u->domain) < 0) ||
	    u->domain[0] == '.' || strchr(u->domain, '/') != NULL)
		return EX_NOUSER;
	if (look && find_user(u) != 0) {
		*why = "the users of this machine cannot be looked up now";
		return EX_TEMPFAIL;
	}
	if (u->known && u->who.uid == 0 && geteuid() == 0) {
		*why = "nothing is delivered as root: give root's mail to "
		    "somebody by an alias";
		return EX_NOPERM;
	}
	return 0;
}

/* Somebody for whom we can work. */
static uint8_t
check_known(const struct user *u, const char **why)
{
	if (!u->known)
		return EX_NOUSER;
	if (geteuid() == 0 || u->who.uid == geteuid())
		return 0;
	*why = "not started as root: only its own user's mailbox can be "
	    "written";
	return EX_NOUSER;
}

/* ---- maildir ---- */

/* %u, %d and a leading ~ of a maildir's path. */
static char *
fill_path(const char *p, const struct user *u)
{
	struct strbuf out = STRBUF_INIT;

	if (*p == '~') {
		strbuf_puts(&out, u->home);
		p++;
	}
	for (; *p != 0; p++) {
		if (p[0] == '%' && (p[1] == 'u' || p[1] == 'd')) {
			strbuf_puts(&out, p[1] == 'u' ? u->name : u->domain);
			p++;
		} else
			strbuf_putc(&out, *p);
	}
	return strbuf_take(&out);
}

static uint8_t
plan_maildir(struct monitor *m, const struct conf_transport *t,
    const struct msg_local *l, struct local_plan *plan, const char **why)
{
	bool home = t->maildir[0] == '~';
	struct user u;
	uint8_t status = take_recipient(l->recipient, home ||
	    strstr(t->maildir, "%u") != NULL, &u, why);

	if (status == 0 && home)
		status = check_known(&u, why);
	if (status != 0)
		return status;
	plan->who = m->who[ROLE_QUEUE];
	if (u.known && geteuid() == 0) {
		plan->who = u.who;
		plan->who.change = true;
	}
	if (geteuid() == 0 && plan->who.uid == 0) {	/* `user root` */
		*why = "nothing is delivered as root";
		return EX_TEMPFAIL;
	}
	plan->path = mem_printf("%s/local", m->libexec);
	add(&plan->argv, mem_strdup("local"));
	add(&plan->argv, mem_strdup("maildir"));
	add(&plan->argv, fill_path(t->maildir, &u));
	add(&plan->env, mem_strdup("PATH=/usr/bin:/bin"));
	return 0;
}

/* ---- mda ---- */

static void
set_environment(struct local_plan *plan, const char *name, const char *home,
    const struct msg_local *l)
{
	add(&plan->env, mem_strdup("PATH=" CONF_COMMAND_PATH));
	add(&plan->env, mem_strdup("SHELL=/bin/sh"));
	add(&plan->env, mem_printf("HOME=%s", home));
	add(&plan->env, mem_printf("USER=%s", name));
	add(&plan->env, mem_printf("LOGNAME=%s", name));
	add(&plan->env, mem_printf("SENDER=%s", l->sender));
	if (l->n_more == 0)
		add(&plan->env, mem_printf("RECIPIENT=%s", l->recipient));
	plan->dir = mem_strdup(home);
}

/* 75 where the machine lacks the program, which may come back. */
static uint8_t
set_program(struct local_plan *plan, const char *line,
    const struct mda_values *v, const char **why)
{
	struct err e = { 0, "" };
	char **argv = mda_line_fill(line, v, &e);
	size_t i;

	if (argv == NULL) {
		*why = "an address that begins with \"-\" is not given to a "
		    "program";
		return e.code == EPERM ? EX_NOPERM : EX_TEMPFAIL;
	}
	for (i = 0; argv[i] != NULL; i++)
		add(&plan->argv, argv[i]);
	free(argv);
	plan->path = conf_command_find(plan->argv.v[0], NULL);
	*why = "the program is not there";
	return plan->path != NULL ? 0 : EX_TEMPFAIL;
}

static uint8_t
plan_mda(const struct conf_transport *t, const struct msg_local *l,
    struct local_plan *plan, const char **why)
{
	struct user u;
	struct mda_values v = { .user = u.name, .recipient = l->recipient,
	    .sender = l->sender };
	uint8_t status = take_recipient(l->recipient, true, &u, why);

	if (status == 0)
		status = check_known(&u, why);
	if (status != 0)
		return status;
	v.domain = u.domain;
	plan->who = u.who;
	plan->who.change = geteuid() == 0;
	set_environment(plan, u.name, u.home, l);
	return set_program(plan, t->mda, &v, why);
}

/* ---- mda for all recipients ---- */

/* The daemon's own user. */
static uint8_t
become_own(struct monitor *m, struct local_plan *plan, char *home, size_t n,
    const char **why)
{
	strcpy(home, "/");
	if (geteuid() != 0) {
		identity_self(&plan->who, home, n);
		return 0;
	}
	memset(&plan->who, 0, sizeof(plan->who));
	*why = "the daemon's user is not there";
	if (!identity_user(m->conf->user, &plan->who, home, n))
		return EX_TEMPFAIL;
	*why = "nothing is delivered as root";
	if (plan->who.uid == 0)
		return EX_TEMPFAIL;
	plan->who.change = true;
	return 0;
}

/* Those who are there; the status of others is kept beside. */
static uint8_t
collect_users(const struct msg_local *l, struct local_plan *plan,
    struct words *users, const char **why)
{
	uint8_t status = 0;
	struct user u;
	uint32_t i;

	plan->n_own = l->n_more + 1;
	for (i = 0; i < plan->n_own; i++) {
		status = take_recipient(i == 0 ? l->recipient :
		    l->more[i - 1], true, &u, why);
		if (status == 0)
			status = check_known(&u, why);
		plan->own[i] = status;
		if (status == 0)
			add(users, mem_strdup(u.name));
	}
	return users->n > 0 ? 0 : status;
}

static uint8_t
plan_all(struct monitor *m, const struct conf_transport *t,
    const struct msg_local *l, struct local_plan *plan, const char **why)
{
	struct words users = { NULL, 0 };
	struct mda_values v = { .user = "", .domain = "", .recipient = "",
	    .sender = l->sender };
	char home[4096];
	uint8_t status = collect_users(l, plan, &users, why);

	if (status == 0)
		status = become_own(m, plan, home, sizeof(home), why);
	if (status == 0) {
		v.users = (const char *const *)users.v;
		v.n_users = users.n;
		set_environment(plan, plan->who.name, home, l);
		status = set_program(plan, t->mda, &v, why);
	}
	words_free(&users);
	return status;
}

uint8_t
local_plan_make(struct monitor *m, const struct conf_transport *t,
    const struct msg_local *l, struct local_plan *plan, const char **why)
{
	uint8_t status;

	memset(plan, 0, sizeof(*plan));
	if (t->kind == TRANSPORT_MAILDIR)
		status = plan_maildir(m, t, l, plan, why);
	else if (t->mda_all)
		status = plan_all(m, t, l, plan, why);
	else
		status = plan_mda(t, l, plan, why);
	add(&plan->argv, NULL);
	add(&plan->env, NULL);
	return status;
}
