/*
 * Whom the roles run as.  Started as root each role becomes NAME-ROLE where
 * that user exists, else NAME; otherwise all stay what they are.  A user that
 * does not exist is an error at the start.
 */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "monitor/monitor.h"

int
identity_look_up(const char *name, struct identity *who, char *home,
    size_t home_n)
{
	struct passwd pw, *found = NULL;
	char buf[8192];
	int error = getpwnam_r(name, &pw, buf, sizeof(buf), &found);

	if (found == NULL)
		/* ways in which "not there" is said, by getpwnam(3) */
		return error == 0 || error == ENOENT || error == ESRCH ||
		    error == EBADF || error == EPERM ? 0 : -1;
	who->uid = pw.pw_uid;
	who->gid = pw.pw_gid;
	snprintf(who->name, sizeof(who->name), "%s", name);
	if (home != NULL)
		snprintf(home, home_n, "%s", pw.pw_dir);
	return 1;
}

bool
identity_user(const char *name, struct identity *who, char *home,
    size_t home_n)
{
	return identity_look_up(name, who, home, home_n) > 0;
}

void
identity_self(struct identity *who, char *home, size_t home_n)
{
	struct passwd pw, *found = NULL;
	char buf[8192];

	memset(who, 0, sizeof(*who));
	who->uid = geteuid();
	who->gid = getegid();
	if (getpwuid_r(who->uid, &pw, buf, sizeof(buf), &found) != 0 ||
	    found == NULL)
		return;
	snprintf(who->name, sizeof(who->name), "%s", pw.pw_name);
	snprintf(home, home_n, "%s", pw.pw_dir);
}

int
identity_of_command(const struct monitor *m, const char *name,
    struct identity *who, char *home, size_t home_n, struct err *e)
{
	memset(who, 0, sizeof(*who));
	if (name == NULL && geteuid() != 0) {
		identity_self(who, home, home_n);
		return 0;
	}
	if (name == NULL)
		name = m->conf->user;
	if (!identity_user(name, who, home, home_n))
		return err_set(e, ENOENT, "there is no user %s", name);
	if (who->uid == geteuid())
		return 0;
	if (geteuid() != 0)
		return err_set(e, EPERM, "not started as root: it cannot be "
		    "run as %s", name);
	who->change = true;
	return 0;
}

bool
identity_group(const char *name, uint32_t *gid)
{
	const struct group *g = getgrnam(name);

	if (g != NULL)
		*gid = g->gr_gid;
	return g != NULL;
}

int
identity_find(struct monitor *m, struct err *e)
{
	bool apart = true;
	char name[128];
	int i;

	memset(m->who, 0, sizeof(m->who));
	if (geteuid() != 0) {
		for (i = 0; i < ROLE_COUNT; i++) {
			m->who[i].uid = geteuid();
			m->who[i].gid = getegid();
		}
		log_msg(LL_INFO, "privileges", "not started as root: all "
		    "roles run as uid %u, not separated from each other",
		    (unsigned)geteuid());
		return 0;
	}
	for (i = ROLE_LISTENER; i < ROLE_COUNT; i++) {
		snprintf(name, sizeof(name), "%s-%s", m->conf->user,
		    role_name((enum role)i));
		if (!identity_user(name, &m->who[i], NULL, 0)) {
			apart = false;
			if (!identity_user(m->conf->user, &m->who[i], NULL, 0))
				return err_set(e, ENOENT, "user %s does not "
				    "exist: make it with `adduser --system "
				    "--group %s`, or name another by `user`",
				    m->conf->user, m->conf->user);
		}
		m->who[i].change = m->who[i].uid != 0;
	}
	if (!apart)
		log_msg(LL_WARN, "privileges", "users %s-listener, -queue, "
		    "-delivery, -auth do not all exist: roles share %s and "
		    "are not separated from each other", m->conf->user,
		    m->conf->user);
	return 0;
}

int
identity_become(const struct identity *who)
{
	if (!who->change)
		return 0;
	/* Somebody without a name has no groups either. */
	if ((who->name[0] != 0 ? initgroups(who->name, who->gid) :
	    setgroups(0, NULL)) < 0 ||
	    setresgid(who->gid, who->gid, who->gid) < 0 ||
	    setresuid(who->uid, who->uid, who->uid) < 0)
		return -1;
	return 0;
}
