/*
 * config check, show, test: the configuration, judged without the daemon.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/expect.h"
#include "tools/relayctl.h"

static const char *
chosen(const struct ctl *c)
{
	return c->n_rest > 0 ? c->rest[0] : ctl_file(c);
}

int
ctl_config_check(struct ctl *c)
{
	struct conf_messages m;
	int rc = CTL_CONFIG;

	memset(&m, 0, sizeof(m));
	c->conf = conf_load(chosen(c), NULL, true, &c->tree, &m);
	fwrite(strbuf_cstr(&m.errors), 1, m.errors.n, stderr);
	fwrite(strbuf_cstr(&m.flaws), 1, m.flaws.n, stderr);
	fwrite(strbuf_cstr(&m.warnings), 1, m.warnings.n, stderr);
	if (c->conf != NULL && m.n_flaws == 0) {
		puts("configuration ok");
		rc = 0;
	}
	conf_messages_free(&m);
	return rc;
}

int
ctl_config_show(struct ctl *c)
{
	struct strbuf out = STRBUF_INIT;
	int rc = ctl_load(c, chosen(c));

	if (rc != 0)
		return rc;
	conf_dump(c->tree, c->conf, &out);
	fwrite(strbuf_cstr(&out), 1, out.n, stdout);
	strbuf_free(&out);
	return 0;
}

int
ctl_config_test(struct ctl *c)
{
	struct conf_messages m;
	struct err e = { 0, "" };
	size_t passed = 0;
	char *path;
	int rc = ctl_load(c, chosen(c)), failed;

	if (rc != 0)
		return rc;
	memset(&m, 0, sizeof(m));
	path = conf_expect_path(chosen(c));
	failed = conf_expect_run(c->conf, path, NULL, &m, &passed, &e);
	fwrite(strbuf_cstr(&m.errors), 1, m.errors.n, stderr);
	if (failed < 0)
		rc = ctl_error(CTL_NONE, "%s", e.text);
	else if (failed > 0)
		rc = ctl_error(CTL_NONE, "%zu as expected, %d not", passed,
		    failed);
	else
		printf("%zu as expected\n", passed);
	conf_messages_free(&m);
	free(path);
	return rc;
}
