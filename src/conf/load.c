/* Reading a configuration as a whole: files, statements, model, messages.
 * monitor and tools.  Returns nothing where there was a mistake; all of them
 * are told. */
#include "conf/load.h"

#include "conf/aliases.h"
#include "conf/build.h"
#include "conf/facts.h"

struct conf *
conf_load(const char *path, const struct conf_reader *reader,
    bool check_files, struct conf_tree **tree, struct conf_messages *m)
{
	struct conf_tree *t = conf_tree_new();
	struct conf_notes notes = { 0 };
	struct conf *conf = NULL;

	if (reader != NULL)
		t->reader = *reader;
	if (conf_parse(t, path, &notes) == 0) {
		conf_facts_load(t);
		conf_aliases_default(t);
		conf = conf_build(t, CONF_MONITOR, check_files, &notes);
		if (notes.n_errors == 0)
			conf_aliases_check(t, conf, &notes);
	}
	conf_notes_render(&notes, t->files, t->n_files, m);
	if (notes.n_errors > 0)
		conf_free(&conf);
	conf_notes_free(&notes);
	if (conf != NULL && tree != NULL)
		*tree = t;
	else
		conf_tree_free(&t);
	return conf;
}
