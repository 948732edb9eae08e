/*
 * passwd: a hash for `password hash` of a login: SCRAM-SHA-256 as RFC 5803
 * has it (RFC 5802, RFC 7677).  The password is asked for twice on a terminal
 * and shown nowhere.
 */
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/rand.h"
#include "tools/relayctl.h"

#define ITERATIONS 4096
#define SALT_LEN 16
#define HASH_LEN 32

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

static void
forget(char **secret)
{
	if (*secret == NULL)
		return;
	mem_wipe(*secret, strlen(*secret));
	free(*secret);
	*secret = NULL;
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
			forget(&first);
			forget(&second);
			ctl_error(CTL_NONE, "passwd: the two are not the "
			    "same; nothing was done");
			return NULL;
		}
		forget(&second);
	}
	if (first == NULL || first[0] == 0) {
		forget(&first);
		ctl_error(CTL_NONE, "passwd: an empty password, or none");
		return NULL;
	}
	return first;
}

static bool
hmac(const unsigned char *key, const char *text, unsigned char *out)
{
	unsigned n = HASH_LEN;

	return HMAC(EVP_sha256(), key, HASH_LEN,
	    (const unsigned char *)text, strlen(text), out, &n) != NULL;
}

static bool
derive(const char *password, const unsigned char salt[SALT_LEN],
    unsigned char stored[HASH_LEN], unsigned char server[HASH_LEN])
{
	unsigned char salted[HASH_LEN], client[HASH_LEN];
	bool good;

	good = PKCS5_PBKDF2_HMAC(password, (int)strlen(password), salt,
	    SALT_LEN, ITERATIONS, EVP_sha256(), HASH_LEN, salted) == 1 &&
	    hmac(salted, "Client Key", client) &&
	    hmac(salted, "Server Key", server) &&
	    EVP_Digest(client, HASH_LEN, stored, NULL, EVP_sha256(),
	    NULL) == 1;
	mem_wipe(salted, sizeof(salted));
	mem_wipe(client, sizeof(client));
	return good;
}

int
ctl_passwd(struct ctl *c)
{
	unsigned char salt[SALT_LEN], stored[HASH_LEN], server[HASH_LEN];
	unsigned char salt64[32], stored64[64], server64[64];
	char *password = get_password(c->rest[0]);
	bool good;

	if (password == NULL)
		return CTL_NONE;
	rand_bytes(salt, sizeof(salt));
	good = derive(password, salt, stored, server);
	forget(&password);
	if (!good)
		return ctl_error(CTL_NONE, "passwd: OpenSSL cannot do "
		    "SHA-256");
	EVP_EncodeBlock(salt64, salt, SALT_LEN);
	EVP_EncodeBlock(stored64, stored, HASH_LEN);
	EVP_EncodeBlock(server64, server, HASH_LEN);
	printf("SCRAM-SHA-256$%d:%s$%s:%s\n", ITERATIONS, (char *)salt64,
	    (char *)stored64, (char *)server64);
	return 0;
}
