/* Blocks whose statements are checked by their tables; each hangs on a
 * directive that says whether it is honoured. */
#include <string.h>

#include "conf/directives.h"

static conf_setter check_only;

static const struct conf_choice resolve_choices[] = {
	{ "local", 0, NOW }, { "remote", 1, NOW }, { NULL, 0, NOW }
};

static const struct conf_choice flow_choices[] = {
	{ "device", 0, NOW }, { "code", 1, NOW },
	{ "client-credentials", 2, NOW }, { "service-account", 3, NOW },
	{ "refresh", 4, NOW }, { NULL, 0, NOW }
};

static const struct conf_choice protocol_choices[] = {
	{ "SMTP", 0, NOW }, { "IMAP", 1, NOW }, { NULL, 0, NOW }
};

static const struct conf_directive socks5_rows[] = {
{ "username", "NAME", ARG_STRING, NOW, A, 0, NOWHERE },
{ "password", "VALUE | file FILE | command \"PROGRAM ARG...\"", ARG_SECRET,
    NOW, A, 0, NOWHERE, .set = set_secret, .min = 1, .max = 4,
    .choices = conf_secret_other },
{ "remote-address", "IP...", ARG_IPS, NOW, Q | D, LIST, NOWHERE },
{ "remote-hostname", "NAME", ARG_HOST, NOW, Q | D, 0, NOWHERE },
{ "resolve", "local|remote", ARG_CHOICE, NOW, D, 0, NOWHERE,
    .choices = resolve_choices, .deflt = "local" },
};

const struct conf_table conf_table_socks5 = {
	"in a `socks5` block", socks5_rows,
	sizeof(socks5_rows) / sizeof(socks5_rows[0])
};

static const struct conf_directive oauth2_rows[] = {
{ "flow", "device|code|client-credentials|service-account|refresh",
    ARG_CHOICE, NOW, A, 0, NOWHERE, .choices = flow_choices },
{ "provider", "NAME", ARG_STRING, NOW, A, 0, NOWHERE },
{ "tenant", "ID", ARG_STRING, NOW, A, 0, NOWHERE },
{ "client-id", "ID", ARG_STRING, NOW, A, 0, NOWHERE },
{ "client-secret", "VALUE | file FILE | command \"PROGRAM ARG...\"",
    ARG_SECRET, NOW, A, 0, NOWHERE, .set = set_secret, .min = 1, .max = 2,
    .choices = conf_secret_other },
{ "certificate", "FILE key FILE", ARG_CERTIFICATE, NOW, A, 0, NOWHERE,
    .set = check_only, .min = 3, .max = 3 },
{ "scope", "S...", ARG_WORDS, NOW, A, LIST, NOWHERE },
{ "token-endpoint", "URL", ARG_STRING, NOW, A, 0, NOWHERE },
{ "authorization-endpoint", "URL", ARG_STRING, NOW, A, 0, NOWHERE },
{ "device-endpoint", "URL", ARG_STRING, NOW, A, 0, NOWHERE },
{ "key-file", "FILE", ARG_FILE, NOW, A, 0, NOWHERE },
{ "subject", "ADDRESS", ARG_ADDRESS, NOW, A, 0, NOWHERE },
{ "ca-file", "FILE", ARG_FILE, NOW, A, 0, NOWHERE },
{ "proxy", "URL", ARG_STRING, NOW, A, 0, NOWHERE },
};

const struct conf_table conf_table_oauth2 = {
	"in an `oauth2` block", oauth2_rows,
	sizeof(oauth2_rows) / sizeof(oauth2_rows[0])
};

static const struct conf_directive token_server_rows[] = {
{ "mode", "0660", ARG_STRING, NOW, M, 0, NOWHERE, .deflt = "0600" },
{ "group", "NAME", ARG_STRING, NOW, M, 0, NOWHERE },
{ "account", "NAME...", ARG_WORDS, NOW, A, LIST, NOWHERE },
{ "users", "UID...", ARG_WORDS, NOW, A, LIST, NOWHERE },
{ "protocols", "SMTP IMAP", ARG_CUSTOM, NOW, A, LIST, NOWHERE,
    .set = check_only, .choices = protocol_choices, .min = 1, .max = 2,
    .deflt = "SMTP" },
};

const struct conf_table conf_table_token_server = {
	"in a `token-server` block", token_server_rows,
	sizeof(token_server_rows) / sizeof(token_server_rows[0])
};

static void
check_only(struct build *b, void *obj, const struct conf_stmt *s,
    const struct conf_directive *d)
{
	struct conf_secret none;
	char *certificate, *key;
	size_t i;
	int value;

	(void)obj;
	memset(&none, 0, sizeof(none));
	if (d->arg == ARG_CERTIFICATE)
		build_certificate(b, s, &certificate, &key, NULL);
	for (i = 1; d->choices != NULL && i < s->n; i++)
		value_choice(b, s, &s->w[i], d->choices, &value);
}
