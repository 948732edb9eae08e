/*
 * Where the daemon is: its configuration as far as the caller can read it,
 * its directories, its queue on disk.
 */
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "config.h"
#include "tools/relayctl.h"

const char *
ctl_file(const struct ctl *c)
{
	return c->file != NULL ? c->file : CONF_FILE;
}

int
ctl_load(struct ctl *c, const char *file)
{
	struct conf_messages m;

	memset(&m, 0, sizeof(m));
	c->conf = conf_load(file, NULL, false, &c->tree, &m);
	fflush(stdout);
	if (m.errors.n > 0)
		fwrite(m.errors.p, 1, m.errors.n, stderr);
	conf_messages_free(&m);
	return c->conf != NULL ? 0 : CTL_CONFIG;
}

static void
take_word(char **to, const char *text, const char *keyword)
{
	const char *end;
	size_t n = strlen(keyword);

	text += strspn(text, " \t");
	if (strncmp(text, keyword, n) != 0 || strchr(" \t", text[n]) == NULL)
		return;
	text += n + strspn(text + n, " \t");
	end = text + strcspn(text, " \t\r\n;#");
	if (*text == '"')
		end = strchr(++text, '"');
	if (end == NULL || end == text)
		return;
	free(*to);
	*to = mem_strndup(text, (size_t)(end - text));
}

/* A configuration with an error must not keep an administrator from the
 * daemon that runs on the old one. */
static int
scan_dirs(struct ctl *c, const char *file)
{
	FILE *f = fopen(file, "re");
	char *line = NULL;
	size_t cap = 0;

	if (f == NULL) {
		if (c->file == NULL)
			return 0;
		return ctl_error(CTL_CONFIG, "-f %s: %s", file,
		    strerror(errno));
	}
	while (getline(&line, &cap, f) >= 0) {
		take_word(&c->spool_dir, line, "spool-directory");
		take_word(&c->runtime_dir, line, "runtime-directory");
	}
	free(line);
	fclose(f);
	return 0;
}

static void
set_default(char **to, const char *value)
{
	if (*to == NULL)
		*to = mem_strdup(value);
}

int
ctl_dirs(struct ctl *c)
{
	const char *file = ctl_file(c);
	struct conf_messages m;
	int rc = 0;

	if (c->spool_dir != NULL)
		return 0;
	memset(&m, 0, sizeof(m));
	if (access(file, R_OK) == 0 && c->conf == NULL)
		c->conf = conf_load(file, NULL, false, &c->tree, &m);
	conf_messages_free(&m);
	if (c->conf != NULL) {
		set_default(&c->spool_dir, c->conf->spool_directory);
		set_default(&c->runtime_dir, c->conf->runtime_directory);
	} else if (c->socket == NULL || c->spool == NULL) {
		rc = scan_dirs(c, file);
	}
	if (c->spool != NULL) {
		free(c->spool_dir);
		c->spool_dir = mem_strdup(c->spool);
	}
	set_default(&c->spool_dir, SPOOL_DIRECTORY);
	set_default(&c->runtime_dir, RUNTIME_DIRECTORY);
	return rc;
}

char *
ctl_socket_path(struct ctl *c, const char *name, int *status)
{
	const char *slash;

	if (c->socket != NULL && strcmp(name, "control.sock") == 0)
		return mem_strdup(c->socket);
	if (c->socket != NULL) {
		slash = strrchr(c->socket, '/');
		return slash == NULL ? mem_strdup(name) : mem_printf(
		    "%.*s/%s", (int)(slash - c->socket), c->socket, name);
	}
	*status = ctl_dirs(c);
	if (*status != 0)
		return NULL;
	return mem_printf("%s/%s", c->runtime_dir, name);
}

/* ---- the spool's owner ---- */

int
ctl_become_owner(struct ctl *c)
{
	struct stat st;

	if (geteuid() != 0)
		return 0;
	if (stat(c->spool_dir, &st) < 0)
		return ctl_error(CTL_UNAVAILABLE, "the spool directory %s: "
		    "%s", c->spool_dir, strerror(errno));
	if (st.st_uid == 0)
		return 0;
	if (setegid(st.st_gid) < 0 || seteuid(st.st_uid) < 0)
		return ctl_error(CTL_DENIED, "cannot become the owner of "
		    "%s: %s", c->spool_dir, strerror(errno));
	return 0;
}

void
ctl_become_self(void)
{
	if (seteuid(getuid()) < 0 || setegid(getgid()) < 0)
		_exit(CTL_DENIED);	/* cannot be */
}

struct store *
ctl_store_open(struct ctl *c, int *status)
{
	struct store_options o;
	struct store *s;
	struct err e = { 0, "" };

	*status = ctl_dirs(c);
	if (*status == 0)
		*status = ctl_become_owner(c);
	if (*status != 0)
		return NULL;
	memset(&o, 0, sizeof(o));
	o.spool = c->spool_dir;
	o.read_only = true;
	s = store_open(&o, &e);
	if (s == NULL)
		*status = ctl_error(e.code == EACCES || e.code == EPERM ?
		    CTL_DENIED : CTL_UNAVAILABLE, "%s", e.text);
	return s;
}
