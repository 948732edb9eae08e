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
