/*
 * What a later version brings.  It is refused clearly, and an object that
 * does not exist is told first.
 */
#include <stdio.h>
#include <string.h>

#include "tools/relayctl.h"

int
ctl_later(struct ctl *c)
{
	return ctl_error(CTL_UNAVAILABLE, "%s: not supported yet",
	    c->cmd->name);
}

/* The first word that is no option. */
static const char *
object(const struct ctl *c)
{
	int i;

	for (i = 0; i < c->n_rest; i++)
		if (c->rest[i][0] != '-')
			return c->rest[i];
	return NULL;
}

int
ctl_transport_test(struct ctl *c)
{
	const char *name = object(c);
	int rc = ctl_load(c, ctl_file(c));

	if (rc != 0)
		return rc;
	if (name == NULL)
		return ctl_error(CTL_USAGE, "transport test: which one?");
	if (strcmp(name, "direct") != 0 &&
	    conf_transport_find(c->conf, name) == SIZE_MAX)
		return ctl_error(CTL_NONE, "there is no transport `%s`",
		    name);
	return ctl_later(c);
}

int
ctl_oauth_account(struct ctl *c)
{
	const char *name = object(c);
	int rc;

	if (name == NULL)
		return ctl_later(c);
	rc = ctl_load(c, ctl_file(c));
	if (rc != 0)
		return rc;
	if (conf_account_find(c->conf, name) == SIZE_MAX &&
	    conf_transport_find(c->conf, name) == SIZE_MAX)
		return ctl_error(CTL_NONE, "there is no account `%s`", name);
	return ctl_error(CTL_NONE, "`%s` has no OAuth2 credential", name);
}

int
ctl_providers(struct ctl *c)
{
	const char *name = object(c);

	if (name != NULL)
		return ctl_error(CTL_NONE, "there is no provider `%s`",
		    name);
	return ctl_later(c);
}
