/*
 * spool-directory and runtime-directory out of the configuration, and
 * nothing else: the shim holds no secret and needs no correct rest.  A file
 * named by -C must be readable; the system's may be missing or unreadable,
 * then the built-in directories are used.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/mem.h"
#include "config.h"
#include "tools/sendmail.h"

/* The word behind the keyword: bare or quoted; NULL: there is none. */
static char *
word_after(char *line, const char *keyword)
{
	size_t n = strlen(keyword);
	char *p = line, *out, *w;

	while (isblank((unsigned char)*p))
		p++;
	if (strncmp(p, keyword, n) != 0 || !isblank((unsigned char)p[n]))
		return NULL;
	for (p += n; isblank((unsigned char)*p); p++)
		;
	out = w = mem_alloc(strlen(p) + 1);
	if (*p == '"') {
		for (p++; *p != 0 && *p != '"' && *p != '\n'; p++) {
			if (*p == '\\' && p[1] != 0)
				p++;
			*w++ = *p;
		}
	} else {
		while (*p != 0 && !isspace((unsigned char)*p) && *p != ';')
			*w++ = *p++;
	}
	*w = 0;
	if (*out != 0)
		return out;
	free(out);
	return NULL;
}

static void
take(char **to, char *value)
{
	if (value == NULL)
		return;
	free(*to);
	*to = value;
}

int
sendmail_find_dirs(const char *config, struct sendmail_dirs *d)
{
	const char *path = config != NULL ? config : CONF_FILE;
	char *line = NULL;
	size_t cap = 0;
	FILE *f;

	d->spool = mem_strdup(SPOOL_DIRECTORY);
	d->runtime = mem_strdup(RUNTIME_DIRECTORY);
	f = fopen(path, "re");
	if (f == NULL) {
		if (config == NULL)
			return 0;
		return sendmail_error(EX_CONFIG, "-C %s: %s", config,
		    strerror(errno));
	}
	while (getline(&line, &cap, f) >= 0) {
		take(&d->spool, word_after(line, "spool-directory"));
		take(&d->runtime, word_after(line, "runtime-directory"));
	}
	free(line);
	fclose(f);
	return 0;
}
