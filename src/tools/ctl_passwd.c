/*
 * passwd: a hash for `password hash` of a login, or into the `login-file`
 * where the name is in it: SCRAM-SHA-256, or SCRAM-SHA-1 for old clients, as
 * RFC 5803 has it (RFC 5802, RFC 7677), of the password as SASLprep has it
 * (RFC 5802 2.2).  The password is asked for twice on a terminal and shown
 * nowhere.
 */
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/rand.h"
#include "mail/saslprep.h"
#include "tools/ctl_login_file.h"
#include "tools/relayctl.h"

#define ITERATIONS 4096
#define SALT_LEN 16
#define HASH_MAX 32

struct wish {
	const char *name;
	bool sha1, print;
	const char *account;		/* --store; NULL: not said */
};

/* One line without its end; NULL at the end of input. */
static char *
read_line(void)
{
	char *line = NULL;
	size_t cap = 0;
	ssize_t n = getline(&line, &cap, stdin);

	while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r'))
		line[--n] = 0;
	if (n < 0 || strlen(line) != (size_t)n) {
		free(line);
		return NULL;
	}
	return line;
}

static char *
ask(const char *prompt, const char *name)
{
	struct termios old, quiet;
	char *line;

	fprintf(stderr, "%s for %s: ", prompt, name);
	fflush(stderr);
	if (tcgetattr(STDIN_FILENO, &old) < 0)
		return NULL;
	quiet = old;
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
	line = read_line();
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &old);
	fputc('\n', stderr);
	return line;
}

/* NULL: told. */
static char *
get_password(const char *name)
{
	char *first, *second;

	if (!isatty(STDIN_FILENO)) {
		first = read_line();
	} else {
		first = ask("Password", name);
		second = first != NULL ? ask("Once more", name) : NULL;
		if (second == NULL || strcmp(first, second) != 0) {
			mem_wipe_text(&first);
			mem_wipe_text(&second);
			ctl_error(CTL_NONE, "passwd: the two are not the "
			    "same; nothing was done");
			return NULL;
		}
		mem_wipe_text(&second);
	}
	if (first == NULL || first[0] == 0) {
		mem_wipe_text(&first);
		ctl_error(CTL_NONE, "passwd: an empty password, or none");
		return NULL;
	}
	return first;
}

static bool
hmac(const EVP_MD *md, const unsigned char *key, const char *text,
    unsigned char *out)
{
	return HMAC(md, key, EVP_MD_get_size(md), (const unsigned char *)text,
	    strlen(text), out, NULL) != NULL;
}

static bool
derive(const EVP_MD *md, struct slice password,
    const unsigned char salt[SALT_LEN], unsigned char stored[HASH_MAX],
    unsigned char server[HASH_MAX])
{
	unsigned char salted[HASH_MAX], client[HASH_MAX];
	int n = EVP_MD_get_size(md);
	bool good;

	good = PKCS5_PBKDF2_HMAC(password.p, (int)password.n, salt,
	    SALT_LEN, ITERATIONS, md, n, salted) == 1 &&
	    hmac(md, salted, "Client Key", client) &&
	    hmac(md, salted, "Server Key", server) &&
	    EVP_Digest(client, (size_t)n, stored, NULL, md, NULL) == 1;
	mem_wipe(salted, sizeof(salted));
	mem_wipe(client, sizeof(client));
	return good;
}

/* NULL: OpenSSL cannot. */
static char *
make_hash(struct slice password, bool sha1)
{
	const EVP_MD *md = sha1 ? EVP_sha1() : EVP_sha256();
	unsigned char salt[SALT_LEN], stored[HASH_MAX], server[HASH_MAX];
	unsigned char salt64[32], stored64[64], server64[64];
	int n = EVP_MD_get_size(md);

	rand_bytes(salt, sizeof(salt));
	if (!derive(md, password, salt, stored, server))
		return NULL;
	EVP_EncodeBlock(salt64, salt, SALT_LEN);
	EVP_EncodeBlock(stored64, stored, n);
	EVP_EncodeBlock(server64, server, n);
	return mem_printf("SCRAM-SHA-%s$%d:%s$%s:%s", sha1 ? "1" : "256",
	    ITERATIONS, (char *)salt64, (char *)stored64, (char *)server64);
}

/* As SCRAM's clients take it.  One that has no form is hashed as it is. */
static char *
hash_of(const char *password, bool sha1)
{
	struct strbuf form = STRBUF_INIT;
	char *hash;

	if (mail_saslprep(slice_cstr(password), &form) < 0) {
		fprintf(stderr, "relayctl: passwd: the password holds what "
		    "not all programs send in the same way (control "
		    "characters, or what is no UTF-8); choose another if a "
		    "client cannot log in with it\n");
		strbuf_puts(&form, password);
	}
	hash = make_hash(strbuf_slice(&form), sha1);
	strbuf_wipe(&form);
	return hash;
}

/* ---- what is wanted ---- */

static int
wrong(const struct ctl *c, const char *what)
{
	ctl_error(CTL_USAGE, "passwd: %s", what);
	ctl_usage(c->cmd, true);
	return CTL_USAGE;
}

static int
read_wish(const struct ctl *c, struct wish *w)
{
	const char *a;
	int i;

	for (i = 0; i < c->n_rest; i++) {
		a = c->rest[i];
		if (strcmp(a, "--legacy") == 0)
			w->sha1 = true;
		else if (strcmp(a, "--print") == 0)
			w->print = true;
		else if (strcmp(a, "--store") == 0 && i + 1 < c->n_rest)
			w->account = c->rest[++i];
		else if (a[0] == '-' || w->name != NULL)
			return wrong(c, "one NAME is expected, and perhaps "
			    "options");
		else
			w->name = a;
	}
	if (w->name == NULL || w->name[0] == 0)
		return wrong(c, "whose?");
	if (w->account != NULL && w->print)
		return wrong(c, "--print and --store exclude each other");
	return 0;
}

/* Where it is to be stored; NULL: it is printed. */
static const char *
file_for(struct ctl *c, const struct wish *w)
{
	if (w->print)
		return NULL;
	(void)ctl_dirs(c);		/* reads what can be read */
	if (c->conf == NULL || c->conf->login_file == NULL)
		return NULL;
	return w->account != NULL ||
	    ctl_login_known(c->conf->login_file, w->name) ?
	    c->conf->login_file : NULL;
}

static int
check_store(struct ctl *c, const struct wish *w, const char *file)
{
	if (w->account == NULL)
		return 0;
	if (file == NULL)
		return ctl_error(CTL_CONFIG, "passwd: the configuration has "
		    "no `login-file` (or cannot be read)");
	if (strpbrk(w->name, ":\n\r#") != NULL ||
	    strpbrk(w->account, ":\n\r") != NULL)
		return ctl_error(CTL_USAGE, "passwd: a name or an account "
		    "with a colon has no place in %s", file);
	if (w->account[0] != 0 &&
	    conf_account_find(c->conf, w->account) == SIZE_MAX)
		return ctl_error(CTL_NONE, "passwd: there is no account `%s`",
		    w->account);
	return 0;
}

int
ctl_passwd(struct ctl *c)
{
	struct wish w = { NULL, false, false, NULL };
	struct err e = { 0, "" };
	char *password, *hash;
	const char *file;
	int rc = read_wish(c, &w);

	if (rc != 0)
		return rc;
	file = file_for(c, &w);
	if ((rc = check_store(c, &w, file)) != 0)
		return rc;
	password = get_password(w.name);
	if (password == NULL)
		return CTL_NONE;
	hash = hash_of(password, w.sha1);
	mem_wipe_text(&password);
	if (hash == NULL)
		return ctl_error(CTL_NONE, "passwd: OpenSSL cannot do "
		    "SHA-%s", w.sha1 ? "1" : "256");
	if (file == NULL) {
		printf("%s\n", hash);
	} else if (ctl_login_store(file, w.name, hash, w.account, &e) < 0) {
		rc = ctl_error(e.code == EACCES || e.code == EPERM ?
		    CTL_DENIED : CTL_NONE, "passwd: %s", e.text);
	} else {
		printf("%s: the password of `%s` is stored; a running daemon "
		    "takes it within seconds\n", file, w.name);
	}
	free(hash);
	return rc;
}
