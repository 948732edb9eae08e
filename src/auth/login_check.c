/* Checking a password beside the loop (auth): crypt(3) and PBKDF2 take as
 * long as whoever made the hash wished.  What is copied for it is wiped. */
#include "auth/login_check.h"

#include <stddef.h>
#include <stdlib.h>

#include "auth/password.h"
#include "auth/throttle.h"
#include "base/mem.h"
#include "base/strbuf.h"

struct login_check {
	struct work work;		/* first: the two are one */
	struct conf_secret secret;
	struct strbuf password;
	bool known, good;
	void (*cb)(void *arg, bool good);	/* NULL: dropped */
	void *arg;
};

static void
free_check(struct login_check *c)
{
	mem_wipe_text(&c->secret.text);
	strbuf_wipe(&c->password);
	free(c);
}

static void
run(struct work *w)
{
	struct login_check *c = (struct login_check *)w;

	c->good = auth_password_check(&c->secret,
	    strbuf_slice(&c->password)) && c->known;
}

static void
done(struct work *w)
{
	struct login_check *c = (struct login_check *)w;

	if (c->cb != NULL)
		c->cb(c->arg, c->good && w->ran);
	free_check(c);
}

struct login_check *
login_check_new(struct work_pool *pool, const char *who,
    const struct conf_secret *secret, bool known, struct slice password,
    void (*cb)(void *arg, bool good), void *arg)
{
	struct login_check *c = mem_zalloc(sizeof(*c));
	char client[THROTTLE_CLIENT];

	auth_throttle_client(who, client);
	c->work.who = client;
	c->work.run = run;
	c->work.done = done;
	c->secret.kind = secret->kind;
	if (secret->text != NULL)
		c->secret.text = mem_strdup(secret->text);
	strbuf_add_slice(&c->password, password);
	c->known = known;
	c->cb = cb;
	c->arg = arg;
	if (work_submit(pool, &c->work) == 0)
		return c;
	free_check(c);
	return NULL;
}

void
login_check_drop(struct login_check **c)
{
	if (*c != NULL)
		(*c)->cb = NULL;
	*c = NULL;
}
