/* The envelope's memory, for all roles that carry one.  Nothing here fails;
 * envelope_codec.c has its stored form. */
#include "mail/envelope.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void
envelope_init(struct envelope *env)
{
	memset(env, 0, sizeof(*env));
	env->uid = -1;
	env->from = mem_strdup("");
}

struct envelope *
envelope_new(void)
{
	struct envelope *env = mem_alloc(sizeof(*env));

	envelope_init(env);
	return env;
}

void
envelope_clear(struct envelope *env)
{
	for (size_t i = 0; i < env->recipient_count; i++) {
		free(env->recipients[i].address);
		free(env->recipients[i].orcpt);
	}
	free(env->recipients);
	free(env->from);
	free(env->envid);
	free(env->helo);
	free(env->client);
	free(env->client_name);
	free(env->listener);
	free(env->login);
	free(env->account);
	free(env->tls);
	memset(env, 0, sizeof(*env));
	env->uid = -1;
}

void
envelope_free(struct envelope **envp)
{
	if (*envp == NULL)
		return;
	envelope_clear(*envp);
	free(*envp);
	*envp = NULL;
}

void
envelope_set(char **field, struct slice text)
{
	char *copy = text.p != NULL ? slice_dup(text) : NULL;

	free(*field);
	*field = copy;
}

struct recipient *
envelope_add_recipient(struct envelope *env, struct slice address,
    unsigned notify, struct slice orcpt)
{
	struct recipient *r = mem_push(&env->recipients,
	    &env->recipient_count, sizeof(*r));

	r->address = slice_dup(address);
	r->notify = notify;
	r->orcpt = orcpt.n > 0 ? slice_dup(orcpt) : NULL;
	return r;
}

static char *
dup_or_null(const char *s)
{
	return s != NULL ? mem_strdup(s) : NULL;
}

struct envelope *
envelope_dup(const struct envelope *env)
{
	struct envelope *copy = mem_dup(env, sizeof(*env));

	copy->from = mem_strdup(env->from != NULL ? env->from : "");
	copy->envid = dup_or_null(env->envid);
	copy->helo = dup_or_null(env->helo);
	copy->client = dup_or_null(env->client);
	copy->client_name = dup_or_null(env->client_name);
	copy->listener = dup_or_null(env->listener);
	copy->login = dup_or_null(env->login);
	copy->account = dup_or_null(env->account);
	copy->tls = dup_or_null(env->tls);
	copy->recipients = NULL;
	copy->recipient_count = 0;
	for (size_t i = 0; i < env->recipient_count; i++) {
		const struct recipient *r = &env->recipients[i];

		envelope_add_recipient(copy, slice_cstr(r->address),
		    r->notify, slice_cstr(r->orcpt));
	}
	return copy;
}
