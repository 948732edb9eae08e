/* Files that a configuration names: there, readable, and private where they
 * hold a secret. */
#include "conf/fixture.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

#define HEAD "postmaster a@b.test\nroute via t\n"

/* Loads it as a file of that mode; the caller frees. */
static char *
errors_of(const char *config, unsigned mode)
{
	struct conf_messages m = { .n_errors = 0 };
	char *path = temp_file("t.conf", config, mode);
	struct conf *conf = conf_load(path, NULL, true, NULL, &m);
	char *errors = strbuf_take(&m.errors);

	assert_true((conf == NULL) == (errors[0] != '\0'));
	if (strstr(errors, "geheim") != NULL)
		fail_msg("a secret is shown: %s", errors);
	conf_free(&conf);
	conf_messages_free(&m);
	free(path);
	return errors;
}

static void
is_fine(const char *config, unsigned mode)
{
	char *errors = errors_of(config, mode);

	if (errors[0] != '\0')
		fail_msg("%s", errors);
	free(errors);
}

static void
is_refused(const char *config, unsigned mode, unsigned line,
    const char *words)
{
	char *errors = errors_of(config, mode);
	char *place = mem_printf("%s/t.conf:%u: ", temp_dir(), line);

	if (strncmp(errors, place, strlen(place)) != 0 ||
	    strstr(errors, words) == NULL)
		fail_msg("%s: not %s%s", errors, place, words);
	free(place);
	free(errors);
}

static const char inline_secret[] =
    "transport t { discard }\n"
    "login l {\n"
    "  password geheim\n"
    "}\n" HEAD;

static void
a_secret_makes_its_file_private(void **state)
{
	(void)state;
	is_fine(inline_secret, 0600);
	is_fine(inline_secret, 0400);
	is_refused(inline_secret, 0644, 3, "a secret stands in this file");
	is_refused(inline_secret, 0640, 3, "mode 0640");
	is_refused(inline_secret, 0602, 3, "chmod 600");
	is_fine("transport t { discard }\n" HEAD, 0644);
	is_refused("transport t { discard }\nlogin l { password hash "
	    "$6$geheim }\n" HEAD, 0644, 2, "a secret");
}

static void
a_secret_of_the_environment_stands_in_no_file(void **state)
{
	(void)state;
	setenv("T_SECRET", "geheim", 1);
	is_fine("transport t { discard }\n"
	    "login l { password ${T_SECRET} }\n" HEAD, 0644);
	is_refused("transport t { discard }\n"
	    "login l { password ${T_NONE:-geheim} }\n" HEAD, 0644, 2,
	    "a secret");
	is_refused("transport t { discard }\n"
	    "login l { password x${T_SECRET} }\n" HEAD, 0644, 2, "a secret");
}

static const char by_file[] =
    "transport t { submission h; username u; password file s.pw }\n" HEAD;

static void
a_file_of_a_secret_is_private(void **state)
{
	char *path = temp_file("s.pw", "geheim\n", 0600);

	(void)state;
	is_fine(by_file, 0644);
	assert_int_equal(chmod(path, 0644), 0);
	is_refused(by_file, 0644, 1, "others can read or change it");
	assert_int_equal(chmod(path, 0640), 0);
	is_refused(by_file, 0644, 1, "s.pw holds a secret");
	free(path);
	free(temp_file("s.pw", "\ngeheim\n", 0600));
	is_refused(by_file, 0644, 1, "its first line is empty");
	free(temp_file("s.pw", "", 0600));
	is_refused(by_file, 0644, 1, "its first line is empty");
	path = mem_printf("%s/s.pw", temp_dir());
	unlink(path);
	is_refused(by_file, 0644, 1, "No such file");
	assert_int_equal(mkdir(path, 0700), 0);
	is_refused(by_file, 0644, 1, "not a regular file");
	rmdir(path);
	/* A FIFO would keep us waiting. */
	assert_int_equal(mkfifo(path, 0600), 0);
	is_refused(by_file, 0644, 1, "not a regular file");
	unlink(path);
	free(path);
}

/* What is told of a token file: an error, or a flaw with which a daemon
 * starts. */
static void
tells(const char *words, bool refused)
{
	static const char config[] = "transport t { submission h; "
	    "oauth2 token-file tok }\n" HEAD;
	struct conf_messages m = { .n_errors = 0 };
	char *path = temp_file("t.conf", config, 0644);
	struct conf *conf = conf_load(path, NULL, true, NULL, &m);
	const char *told = strbuf_cstr(refused ? &m.errors : &m.flaws);

	assert_true((conf == NULL) == refused);
	assert_int_equal(m.n_errors, refused);
	assert_int_equal(m.n_flaws, !refused && words != NULL);
	if (words != NULL && (strstr(told, words) == NULL ||
	    strstr(told, "t.conf:1: ") == NULL))
		fail_msg("%s: not %s", told, words);
	assert_null(strstr(told, "geheim"));
	conf_free(&conf);
	conf_messages_free(&m);
	free(path);
}

static void
a_broken_token_file_is_its_accounts_trouble(void **state)
{
	char *path = temp_file("tok", "{\"refresh_token\": \"geheim\"}", 0600);

	(void)state;
	tells(NULL, false);
	assert_int_equal(chmod(path, 0644), 0);
	tells("others can read or change it", true);
	free(temp_file("tok", "{\"refresh_token\": 1, \"x\": \"geheim\"}",
	    0600));
	tells("has no refresh_token", false);
	free(temp_file("tok", "geheim", 0600));
	tells("an object is expected", false);
	unlink(path);
	tells("No such file", false);
	assert_int_equal(mkfifo(path, 0600), 0);
	tells("not a regular file", false);
	unlink(path);
	free(path);
}

static void
keys_are_private_certificates_are_not(void **state)
{
	static const char two[] = "transport t { discard }\n"
	    "listen 127.0.0.1:25 { certificate c.pem key k.pem }\n" HEAD;
	static const char one[] = "transport t { discard }\n"
	    "listen 127.0.0.1:25 { certificate k.pem }\n" HEAD;
	char *cert = temp_file("c.pem", "C", 0644);
	char *key = temp_file("k.pem", "K", 0600);

	(void)state;
	is_fine(two, 0644);
	is_fine(one, 0644);
	/* As Debian's ssl-cert group has it. */
	assert_int_equal(chmod(key, 0640), 0);
	is_fine(two, 0644);
	assert_int_equal(chmod(key, 0644), 0);
	is_refused(two, 0644, 2, "k.pem holds a secret");
	is_refused(one, 0644, 2, "k.pem holds a secret");
	unlink(cert);
	is_refused(two, 0644, 2, "c.pem: No such file");
	is_refused("transport t { smarthost h; tls-ca none.pem }\n" HEAD,
	    0644, 1, "none.pem: No such file");
	is_refused("transport t { smarthost h; certificate c.pem kee k.pem }"
	    "\n" HEAD, 0644, 1, "certificate is written");
	free(cert);
	free(key);
}

static void
credentials_come_from_systemd(void **state)
{
	static const char config[] = "transport t { submission h; "
	    "username u; password credential cred }\n" HEAD;

	(void)state;
	unsetenv("CREDENTIALS_DIRECTORY");
	is_refused(config, 0644, 1, "gave us no credential");
	setenv("CREDENTIALS_DIRECTORY", temp_dir(), 1);
	is_refused(config, 0644, 1, "cred: No such file");
	free(temp_file("cred", "geheim\n", 0440));
	is_fine(config, 0644);
	is_refused("transport t { submission h; username u; "
	    "password credential ../cred }\n" HEAD, 0644, 1,
	    "gave us no credential");
	unsetenv("CREDENTIALS_DIRECTORY");
}

static int
clean_up(void **state)
{
	(void)state;
	temp_remove();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_secret_makes_its_file_private),
		cmocka_unit_test(
		    a_secret_of_the_environment_stands_in_no_file),
		cmocka_unit_test(a_file_of_a_secret_is_private),
		cmocka_unit_test(
		    a_broken_token_file_is_its_accounts_trouble),
		cmocka_unit_test(keys_are_private_certificates_are_not),
		cmocka_unit_test(credentials_come_from_systemd),
	};

	return cmocka_run_group_tests(tests, NULL, clean_up);
}
