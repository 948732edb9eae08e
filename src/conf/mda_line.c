/*
 * The command line of an `mda` transport.
 *
 * monitor and tools, when a configuration is read and when a program is run.
 * Pure.  Addresses are what strangers chose: they are filled in after the line
 * was split, and none of them may begin a word with "-".
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/strbuf.h"
#include "conf/command_line.h"
#include "conf/mda_line.h"

static int
check_word(const char *w, bool *all, bool *user, struct err *e)
{
	const char *p;

	if (strcmp(w, "%T") == 0) {
		*all = true;
		return 0;
	}
	for (p = w; (p = strchr(p, '%')) != NULL; p += 2) {
		if (p[1] == 'T')
			return err_set(e, EINVAL,
			    "%%T is a word of its own, not a part of `%s`", w);
		if (p[1] == '\0' || strchr("udrf%", p[1]) == NULL)
			return err_set(e, EINVAL, "`%s`: after %% comes one "
			    "of u d r f T, or %%", w);
		*user |= p[1] != 'f' && p[1] != '%';
	}
	return 0;
}

int
mda_line_check(const char *line, bool *all, struct err *e)
{
	char **argv = conf_command_split(line, e);
	bool user = false;
	size_t i;
	int rc = 0;

	*all = false;
	if (argv == NULL)
		return -1;
	if (strchr(argv[0], '%') != NULL)
		rc = err_set(e, EINVAL, "the program `%s` has a %% in its "
		    "name", argv[0]);
	for (i = 1; rc == 0 && argv[i] != NULL; i++)
		rc = check_word(argv[i], all, &user, e);
	if (rc == 0 && *all && user)
		rc = err_set(e, EINVAL, "%%T is all recipients, %%u %%d and "
		    "%%r are one: they do not go together");
	conf_command_free(&argv);
	return rc;
}

static const char *
value_of(const struct mda_values *v, char letter)
{
	switch (letter) {
	case 'u':
		return v->user;
	case 'd':
		return v->domain;
	case 'r':
		return v->recipient;
	case 'f':
		return v->sender;
	default:
		return "%";
	}
}

static char *
fill_word(const char *w, const struct mda_values *v)
{
	struct strbuf b = STRBUF_INIT;

	for (; *w != '\0'; w++) {
		if (w[0] == '%' && w[1] != '\0')
			strbuf_puts(&b, value_of(v, *++w));
		else
			strbuf_putc(&b, *w);
	}
	return strbuf_take(&b);
}

static void
push(char ***argv, size_t *n, char *word)
{
	*(char **)mem_push(argv, n, sizeof(char *)) = word;
}

char **
mda_line_fill(const char *line, const struct mda_values *v, struct err *e)
{
	char **words = conf_command_split(line, e), **argv = NULL, *word;
	bool option = false;
	size_t i, k, n = 0;

	if (words == NULL)
		return NULL;
	for (i = 0; words[i] != NULL; i++) {
		if (strcmp(words[i], "%T") == 0) {
			for (k = 0; k < v->n_users; k++) {
				option |= v->users[k][0] == '-';
				push(&argv, &n, mem_strdup(v->users[k]));
			}
			continue;
		}
		word = fill_word(words[i], v);
		option |= words[i][0] == '%' && word[0] == '-';
		push(&argv, &n, word);
	}
	push(&argv, &n, NULL);
	conf_command_free(&words);
	if (option) {
		conf_command_free(&argv);
		err_set(e, EPERM, "an address that begins with \"-\" would be "
		    "an option");
	}
	return argv;
}
