/* Finding directives in their tables. */
#include "conf/directives.h"

#include <string.h>

const struct conf_choice conf_choices_min_tls[] = {
	{ "1.0", 0x0301, NOW },
	{ "1.1", 0x0302, NOW },
	{ "1.2", 0x0303, NOW },
	{ "1.3", 0x0304, NOW },
	{ NULL, 0, NOW }
};

const struct conf_table *
conf_table_of(enum conf_context ctx)
{
	static const struct conf_table *const tables[CTX_COUNT] = {
		[CTX_GLOBAL] = &conf_table_global,
		[CTX_LISTEN] = &conf_table_listen,
		[CTX_CLIENT] = &conf_table_client,
		[CTX_LOGIN] = &conf_table_login,
		[CTX_ACCOUNT] = &conf_table_account,
		[CTX_TRANSPORT] = &conf_table_transport,
		[CTX_SOCKS5] = &conf_table_socks5,
		[CTX_OAUTH2] = &conf_table_oauth2,
		[CTX_DOMAIN] = &conf_table_domain,
		[CTX_TOKEN_SERVER] = &conf_table_token_server,
		[CTX_ALERT] = &conf_table_alert,
	};

	return tables[ctx];
}

const struct conf_directive *
conf_directive_find(enum conf_context ctx, const char *name)
{
	const struct conf_table *t = conf_table_of(ctx);
	size_t i;

	for (i = 0; i < t->n; i++)
		if (strcmp(t->rows[i].name, name) == 0)
			return &t->rows[i];
	return NULL;
}

const struct conf_directive *
conf_directive_known(enum conf_context ctx, const char *name)
{
	const struct conf_directive *d = conf_directive_find(ctx, name);

	if (d == NULL && ctx == CTX_ACCOUNT)
		d = conf_directive_find(CTX_TRANSPORT, name);
	return d;
}
