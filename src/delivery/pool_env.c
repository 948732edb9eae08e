/*
 * What all pools share: scratch space, hosts that stand in several of them,
 * and descriptors.  Run by delivery.
 */
#include <string.h>

#include "delivery/pool_private.h"

void
pool_env_init(struct pool_env *env, struct loop *loop)
{
	memset(env, 0, sizeof(*env));
	smtp_client_env_init(&env->client, loop);
	env->uses = htab_new();
	TAILQ_INIT(&env->spf_notes);
	TAILQ_INIT(&env->idle);
	TAILQ_INIT(&env->starved);
}

void
pool_env_clear(struct pool_env *env)
{
	session_spf_forget(env);
	forecast_free(&env->forecast);
	smtp_client_env_clear(&env->client);
	htab_free(&env->uses);
}

void
pool_feed(struct pool_env *env)
{
	struct pool *p = TAILQ_FIRST(&env->starved);

	if (p == NULL || (env->sessions >= env->sessions_max &&
	    TAILQ_EMPTY(&env->idle)))
		return;
	TAILQ_REMOVE(&env->starved, p, starved);
	p->is_starved = false;
	pool_wake(p);
}

/* A descriptor: the session that has been idle longest, whosever it is, gives
 * up its own. */
bool
pool_has_descriptor(struct pool *p)
{
	struct pool_env *env = p->env;

	if (env->sessions_max == 0 || env->sessions < env->sessions_max)
		return true;
	if (!TAILQ_EMPTY(&env->idle))
		session_quit(TAILQ_FIRST(&env->idle));
	if (env->sessions < env->sessions_max)
		return true;
	if (!p->is_starved) {
		p->is_starved = true;
		TAILQ_INSERT_TAIL(&env->starved, p, starved);
	}
	return false;
}
