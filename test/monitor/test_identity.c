/* Whom the roles run as, with a passwd file and rights of the test's own. */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "monitor/monitor.h"

/* ---- the system, as this test has it ---- */

static const char *const *known;	/* names; uid 100 and up */
static uid_t me;
static char done[256];			/* what was called, in order */
static int lookup_error;		/* what getpwnam_r returns */
static const char *failing;		/* the one that fails */

uid_t
geteuid(void)
{
	return me;
}

gid_t
getegid(void)
{
	return 7;
}

int
getpwnam_r(const char *name, struct passwd *pw, char *buf, size_t n,
    struct passwd **found)
{
	size_t i;

	(void)n;
	*found = NULL;
	if (lookup_error != 0)
		return lookup_error;
	for (i = 0; known[i] != NULL; i++) {
		if (strcmp(known[i], name) != 0)
			continue;
		strcpy(buf, "/home");
		*pw = (struct passwd){ .pw_name = buf, .pw_dir = buf,
		    .pw_uid = strcmp(name, "root") == 0 ? 0 :
		    (uid_t)(100 + i), .pw_gid = (gid_t)(200 + i) };
		*found = pw;
	}
	return 0;
}

static int
note(const char *what, unsigned n)
{
	size_t used = strlen(done);

	snprintf(done + used, sizeof(done) - used, "%s %u;", what, n);
	if (failing != NULL && strcmp(failing, what) == 0) {
		errno = EPERM;
		return -1;
	}
	return 0;
}

int
initgroups(const char *name, gid_t gid)
{
	return note(name, gid);
}

int
setgroups(size_t n, const gid_t *list)
{
	(void)list;
	return note("no groups", (unsigned)n);
}

int
setresgid(gid_t r, gid_t e, gid_t s)
{
	return note("gid", r == e && e == s ? r : 0);
}

int
setresuid(uid_t r, uid_t e, uid_t s)
{
	return note("uid", r == e && e == s ? r : 0);
}

/* ---- */

static int warned;

static void
count(void *arg, struct slice json)
{
	(void)arg;
	warned += memmem(json.p, json.n, "not separated", 13) != NULL;
}

static int
find(struct monitor *m, const char *const *users, struct err *e)
{
	static struct conf conf;
	static char user[] = "relay";
	int rc;

	memset(m, 0, sizeof(*m));
	conf.user = user;
	m->conf = &conf;
	known = users;
	warned = 0;
	log_tap(count, NULL);
	rc = identity_find(m, e);
	log_tap(NULL, NULL);
	return rc;
}

static void
a_user_for_each_role(void **state)
{
	static const char *const users[] = { "relay", "relay-listener",
		"relay-queue", "relay-delivery", "relay-auth", NULL };
	struct monitor m;
	struct err e;
	int i;

	(void)state;
	me = 0;
	assert_int_equal(find(&m, users, &e), 0);
	for (i = ROLE_LISTENER; i < ROLE_COUNT; i++) {
		assert_true(m.who[i].change);
		assert_int_equal(m.who[i].uid, 100 + i);
		assert_int_equal(m.who[i].gid, 200 + i);
	}
	assert_int_equal(warned, 0);
}

static void
the_users_of_the_roles_are_enough(void **state)
{
	static const char *const users[] = { "relay-listener", "relay-queue",
		"relay-delivery", "relay-auth", NULL };
	struct monitor m;
	struct err e;

	(void)state;
	me = 0;
	assert_int_equal(find(&m, users, &e), 0);
	assert_int_equal(warned, 0);
}

static void
roles_without_a_user_share_one(void **state)
{
	static const char *const users[] = { "relay", "relay-queue", NULL };
	struct monitor m;
	struct err e;

	(void)state;
	me = 0;
	assert_int_equal(find(&m, users, &e), 0);
	assert_int_equal(m.who[ROLE_QUEUE].uid, 101);
	assert_int_equal(m.who[ROLE_LISTENER].uid, 100);
	assert_int_equal(m.who[ROLE_AUTH].uid, 100);
	assert_int_equal(warned, 1);
}

static void
no_user_at_all_is_an_error_that_helps(void **state)
{
	static const char *const users[] = { "relay-queue", NULL };
	struct monitor m;
	struct err e;

	(void)state;
	me = 0;
	assert_int_equal(find(&m, users, &e), -1);
	assert_non_null(strstr(e.text, "user relay does not exist"));
	assert_non_null(strstr(e.text, "adduser"));
}

static void
without_root_all_stay_who_they_are(void **state)
{
	static const char *const users[] = { NULL };
	struct monitor m;
	struct err e;

	(void)state;
	me = 1000;
	assert_int_equal(find(&m, users, &e), 0);
	assert_int_equal(m.who[ROLE_LISTENER].uid, 1000);
	assert_int_equal(m.who[ROLE_LISTENER].gid, 7);
	assert_false(m.who[ROLE_LISTENER].change);
	assert_int_equal(warned, 1);
	done[0] = 0;
	assert_int_equal(identity_become(&m.who[ROLE_LISTENER]), 0);
	assert_string_equal(done, "");
}

static int
become(const char *name, const char *fails)
{
	struct identity who = { .change = true, .uid = 5, .gid = 6 };
	int rc;

	snprintf(who.name, sizeof(who.name), "%s", name);
	done[0] = 0;
	failing = fails;
	rc = identity_become(&who);
	failing = NULL;
	return rc;
}

/* The other way round the right to do the rest would be gone. */
static void
groups_are_left_before_the_user(void **state)
{
	(void)state;
	assert_int_equal(become("relay-auth", NULL), 0);
	assert_string_equal(done, "relay-auth 6;gid 6;uid 5;");
	assert_int_equal(become("", NULL), 0);
	assert_string_equal(done, "no groups 0;gid 6;uid 5;");
}

static void
a_half_change_is_none(void **state)
{
	(void)state;
	assert_int_equal(become("relay-auth", "relay-auth"), -1);
	assert_int_equal(become("relay-auth", "gid"), -1);
	assert_string_equal(done, "relay-auth 6;gid 6;");
	assert_int_equal(become("relay-auth", "uid"), -1);
}

static void
a_directory_that_is_away_is_no_unknown_user(void **state)
{
	static const char *const users[] = { "anna", NULL };
	static const int nobody[] = { ENOENT, ESRCH, EBADF, EPERM };
	static const int away[] = { EIO, EMFILE, ENFILE, ENOMEM, ERANGE,
	    EINTR, ECONNREFUSED };
	struct identity who;
	char home[16];
	size_t i;

	(void)state;
	known = users;
	assert_int_equal(identity_look_up("anna", &who, home, 16), 1);
	assert_int_equal(who.uid, 100);
	assert_string_equal(home, "/home");
	assert_int_equal(identity_look_up("bert", &who, home, 16), 0);
	for (i = 0; i < sizeof(nobody) / sizeof(nobody[0]); i++) {
		lookup_error = nobody[i];
		assert_int_equal(identity_look_up("anna", &who, home, 16), 0);
	}
	for (i = 0; i < sizeof(away) / sizeof(away[0]); i++) {
		lookup_error = away[i];
		assert_int_equal(identity_look_up("anna", &who, home, 16),
		    -1);
		assert_false(identity_user("anna", &who, home, 16));
	}
	lookup_error = 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_user_for_each_role),
		cmocka_unit_test(the_users_of_the_roles_are_enough),
		cmocka_unit_test(roles_without_a_user_share_one),
		cmocka_unit_test(no_user_at_all_is_an_error_that_helps),
		cmocka_unit_test(without_root_all_stay_who_they_are),
		cmocka_unit_test(groups_are_left_before_the_user),
		cmocka_unit_test(a_half_change_is_none),
		cmocka_unit_test(a_directory_that_is_away_is_no_unknown_user),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
