/* The program `auth`, started by monitor. */
#include <openssl/crypto.h>

#include "auth/auth.h"
#include "ipc/role.h"

static void *
create(struct loop *loop, int fd)
{
	return auth_new(loop, fd);
}

static void
destroy(void *role)
{
	struct auth *a = role;

	auth_free(&a);
}

int
main(int argc, char **argv)
{
	/* openssl.cnf cannot be read later. */
	OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG, NULL);
	return role_main(ROLE_AUTH, argc, argv, create, destroy);
}
