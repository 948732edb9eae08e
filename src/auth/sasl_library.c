/* libsasl2's start and common callbacks (auth).  It reads no file of its own
 * configuration, loads only the plug-ins of mechanisms that we use, and logs
 * nothing: its messages may quote what a client sent. */
#include "auth/sasl_library.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"

/* File names of the plug-ins, without "lib" in front. */
static const char *const plugins[] = { "plain.", "login.", "crammd5.",
	"digestmd5.", "ntlm." };

/* Those without which a machine was not set up. */
static const char *const needed[] = { "PLAIN", "LOGIN" };

/* libsasl2 knows callbacks as functions of no known type. */
#define CALLBACK(f) ((int (*)(void))(void (*)(void))(f))

static bool
is_wanted(const char *file)
{
	const char *base = strrchr(file, '/');
	size_t i;

	base = base != NULL ? base + 1 : file;
	if (strncmp(base, "lib", 3) != 0)
		return false;
	for (i = 0; i < sizeof plugins / sizeof *plugins; i++)
		if (strncmp(base + 3, plugins[i], strlen(plugins[i])) == 0)
			return true;
	return false;
}

/* SASL_CONTINUE: leave it alone, go on. */
static int
verify_file(void *context, const char *file, sasl_verify_type_t type)
{
	(void)context;
	if (type == SASL_VRFY_PLUGIN && is_wanted(file))
		return SASL_OK;
	return SASL_CONTINUE;
}

static int
get_option(void *context, const char *plugin, const char *option,
    const char **result, unsigned *len)
{
	static const struct {
		const char *option, *value;
	} options[] = {
		{ "ntlm_v2", "yes" },
		{ "log_level", "0" },
	};
	size_t i;

	(void)context;
	(void)plugin;
	for (i = 0; i < sizeof options / sizeof *options; i++) {
		if (strcmp(option, options[i].option) != 0)
			continue;
		*result = options[i].value;
		if (len != NULL)
			*len = (unsigned)strlen(*result);
		return SASL_OK;
	}
	return SASL_FAIL;
}

static int
take_log(void *context, int level, const char *message)
{
	(void)context;
	(void)level;
	(void)message;
	return SASL_OK;
}

static const sasl_callback_t callbacks[] = {
	{ SASL_CB_VERIFYFILE, CALLBACK(verify_file), NULL },
	{ SASL_CB_GETOPT, CALLBACK(get_option), NULL },
	{ SASL_CB_LOG, CALLBACK(take_log), NULL },
	{ SASL_CB_LIST_END, NULL, NULL },
};

bool
sasl_library_has(const char *mechanism)
{
	const char **names = sasl_global_listmech();
	size_t i;

	for (i = 0; names != NULL && names[i] != NULL; i++)
		if (strcmp(names[i], mechanism) == 0)
			return true;
	return false;
}

int
sasl_library_start(struct err *e)
{
	int r = sasl_client_init(callbacks);
	size_t i;

	if (r != SASL_OK)
		return err_set(e, -1, "libsasl2: %s",
		    sasl_errstring(r, NULL, NULL));
	for (i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (!sasl_library_has(needed[i]))
			return err_set(e, -1, "libsasl2 has no %s: install "
			    "libsasl2-modules", needed[i]);
	return 0;
}

void
sasl_library_stop(void)
{
	sasl_client_done();
}

int
sasl_restrict(sasl_conn_t *conn)
{
	sasl_security_properties_t props = {
		.max_ssf = 0,
		.security_flags = SASL_SEC_NOANONYMOUS,
	};

	return sasl_setprop(conn, SASL_SEC_PROPS, &props);
}
