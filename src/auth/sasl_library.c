/* libsasl2's start and common callbacks (auth).  It reads no file of its own
 * configuration, loads only the plug-ins of mechanisms that we use, and logs
 * nothing: its messages may quote what a client sent. */
#include "auth/sasl_library.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"

const struct sasl_mechanism sasl_mechanisms[] = {
	{ "PLAIN", true },
	{ "LOGIN", true },
	{ NULL, false },
};

/* File names of their plug-ins, without "lib" in front. */
static const char *const plugins[] = { "plain.", "login." };

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
		{ "mech_list", "PLAIN LOGIN" },
		/* Passwords are ours to check, by SASL_CB_SERVER_USERDB_* */
		{ "pwcheck_method", "none" },
		{ "auxprop_plugin", "none" },
		{ "canon_user_plugin", "INTERNAL" },
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

static int
check_plugins(struct err *e)
{
	const char **names = sasl_global_listmech();
	size_t i, j;
	bool found;

	for (i = 0; sasl_mechanisms[i].name != NULL; i++) {
		found = false;
		for (j = 0; names != NULL && names[j] != NULL; j++)
			if (strcmp(names[j], sasl_mechanisms[i].name) == 0)
				found = true;
		if (!found)
			return err_set(e, -1, "libsasl2 has no %s: install "
			    "libsasl2-modules", sasl_mechanisms[i].name);
	}
	return 0;
}

int
sasl_library_start(struct err *e)
{
	int r = sasl_client_init(callbacks);

	if (r == SASL_OK)
		r = sasl_server_init(callbacks, "smarthostd");
	if (r != SASL_OK)
		return err_set(e, -1, "libsasl2: %s",
		    sasl_errstring(r, NULL, NULL));
	return check_plugins(e);
}

void
sasl_library_stop(void)
{
	sasl_server_done();
	sasl_client_done();
}

const struct sasl_mechanism *
sasl_mechanism_find(struct slice name)
{
	size_t i;

	for (i = 0; sasl_mechanisms[i].name != NULL; i++)
		if (slice_eq_case_cstr(name, sasl_mechanisms[i].name))
			return &sasl_mechanisms[i];
	return NULL;
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
