/* Splitting command lines of the configuration, and finding their programs.
 * monitor and tools.  No shell has a part in it, so that nothing in a line
 * means more than it says. */
#include "conf/command_line.h"

#include <sys/stat.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/slice.h"
#include "base/strbuf.h"

/* One word into out; *p is moved behind it.  False: a quote is open. */
static bool
take_word(const char **p, struct strbuf *out)
{
	const char *s = *p;
	char quote = '\0';

	for (; *s != '\0' && (quote != '\0' || strchr(" \t", *s) == NULL);
	    s++) {
		if (*s == '\\' && quote != '\'' && s[1] != '\0')
			strbuf_putc(out, *++s);
		else if (quote != '\0' && *s == quote)
			quote = '\0';
		else if (quote == '\0' && (*s == '"' || *s == '\''))
			quote = *s;
		else
			strbuf_putc(out, *s);
	}
	*p = s;
	return quote == '\0';
}

char **
conf_command_split(const char *line, struct err *e)
{
	char **argv = mem_zarray(CONF_COMMAND_WORDS + 1, sizeof(*argv));
	struct strbuf word = STRBUF_INIT;
	size_t n = 0;
	bool good = true;

	for (line += strspn(line, " \t"); good && *line != '\0';
	    line += strspn(line, " \t")) {
		strbuf_clear(&word);
		good = n < CONF_COMMAND_WORDS && take_word(&line, &word);
		if (good)
			argv[n++] = mem_strdup(strbuf_cstr(&word));
	}
	strbuf_free(&word);
	if (good && n > 0)
		return argv;
	err_set(e, EINVAL, n == 0 && good ? "the command is empty" :
	    n == CONF_COMMAND_WORDS ? "the command has too many words" :
	    "the command has an open quote");
	conf_command_free(&argv);
	return NULL;
}

void
conf_command_free(char ***argvp)
{
	char **argv = *argvp;
	size_t i;

	*argvp = NULL;
	if (argv == NULL)
		return;
	for (i = 0; argv[i] != NULL; i++)
		free(argv[i]);
	free(argv);
}

static bool
can_run(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) &&
	    access(path, X_OK) == 0;
}

char *
conf_command_find(const char *program, struct err *e)
{
	const char *dir = CONF_COMMAND_PATH;
	char *path;
	size_t n;

	if (program[0] == '/') {
		if (can_run(program))
			return mem_strdup(program);
		err_set(e, ENOENT, "%s is no program that can be run",
		    program);
		return NULL;
	}
	if (strchr(program, '/') != NULL) {
		err_set(e, EINVAL, "%s: a program is named by its whole path "
		    "or by its name alone", program);
		return NULL;
	}
	for (; *dir != '\0'; dir += n + (dir[n] == ':')) {
		n = strcspn(dir, ":");
		path = mem_printf("%.*s/%s", (int)n, dir, program);
		if (can_run(path))
			return path;
		free(path);
	}
	err_set(e, ENOENT, "there is no program %s in %s", program,
	    CONF_COMMAND_PATH);
	return NULL;
}
