/* An mda's command line (the first line) with any addresses (the next ones):
 * what is accepted is filled in, word for word. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "conf/command_line.h"
#include "conf/mda_line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t
count(char *const *argv)
{
	size_t n = 0;

	while (argv[n] != NULL)
		n++;
	return n;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = mem_strndup((const char *)data, size), *save = NULL;
	char *line = strtok_r(text, "\n", &save);
	char *user = strtok_r(NULL, "\n", &save);
	char *sender = strtok_r(NULL, "\n", &save);
	const char *users[2] = { user, "anna" };
	struct mda_values v = { .user = user, .domain = "here.test",
	    .recipient = "r@here.test", .sender = sender, .users = users,
	    .n_users = 2 };
	char **words, **argv;
	struct err e;
	bool all;

	if (sender != NULL && mda_line_check(line, &all, &e) == 0) {
		words = conf_command_split(line, NULL);
		argv = mda_line_fill(line, &v, &e);
		if (argv != NULL && ((!all && count(argv) != count(words)) ||
		    strcmp(argv[0], words[0]) != 0))
			abort();
		conf_command_free(&argv);
		conf_command_free(&words);
	}
	free(text);
	return 0;
}
