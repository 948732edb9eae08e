/* Configurations out of memory, for the tests of this room. */
#include "conf/fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "support/tree.h"

static int
read_memory(void *arg, const char *path, struct strbuf *out, struct err *e)
{
	const struct memory_file *f;

	for (f = arg; f->path != NULL; f++)
		if (strcmp(f->path, path) == 0) {
			strbuf_puts(out, f->text);
			return 0;
		}
	return err_set(e, ENOENT, "%s: there is none", path);
}

struct conf_reader
memory_reader(const struct memory_file *files)
{
	return (struct conf_reader){ read_memory, (void *)(uintptr_t)files };
}

struct conf *
load_text(const char *text, struct conf_tree **tree, struct conf_messages *m)
{
	const struct memory_file files[] = {
		{ "t.conf", text }, { NULL, NULL }
	};
	struct conf_reader reader = memory_reader(files);
	struct conf *conf;

	memset(m, 0, sizeof(*m));
	conf = conf_load("t.conf", &reader, false, tree, m);
	/* The files live in this function. */
	if (conf != NULL && tree != NULL)
		(*tree)->reader.arg = NULL;
	return conf;
}

struct conf *
load_good(const char *text)
{
	struct conf_messages m;
	struct conf *conf = load_text(text, NULL, &m);

	if (conf == NULL)
		fail_msg("%s", strbuf_cstr(&m.errors));
	conf_messages_free(&m);
	return conf;
}

struct conf *
load_view(const char *text, enum conf_role role)
{
	struct conf_messages m;
	struct conf_tree *tree = NULL;
	struct strbuf view = STRBUF_INIT;
	struct err e = { 0 };
	struct conf *conf = load_text(text, &tree, &m), *part;

	if (conf == NULL)
		fail_msg("%s", strbuf_cstr(&m.errors));
	if (conf_view_encode(tree, role, &view, &e) == -1)
		fail_msg("%s", e.text);
	part = conf_view_decode(strbuf_slice(&view), role, &e);
	if (part == NULL)
		fail_msg("%s", e.text);
	strbuf_free(&view);
	conf_free(&conf);
	conf_tree_free(&tree);
	conf_messages_free(&m);
	return part;
}

void
expect_errors(const char *text, const char *errors)
{
	struct conf_messages m;
	struct conf *conf = load_text(text, NULL, &m);

	if (strcmp(strbuf_cstr(&m.errors), errors) != 0)
		fail_msg("%s\ngives\n%s\nnot\n%s", text,
		    strbuf_cstr(&m.errors), errors);
	if ((conf == NULL) != (errors[0] != '\0'))
		fail_msg("%s: a model in spite of errors", text);
	conf_messages_free(&m);
	conf_free(&conf);
}

void
expect_error(const char *text, const char *words)
{
	struct conf_messages m;
	struct conf *conf = load_text(text, NULL, &m);
	const char *errors = strbuf_cstr(&m.errors);

	if (conf != NULL || m.n_errors != 1 || strstr(errors, words) == NULL ||
	    strncmp(errors, "t.conf:1: ", 10) != 0)
		fail_msg("%s\ngives\n%s\nnot: %s", text, errors, words);
	conf_messages_free(&m);
}

void
expect_warning(const char *text, const char *words)
{
	struct conf_messages m;
	struct conf *conf = load_text(text, NULL, &m);

	if (conf == NULL ||
	    strstr(strbuf_cstr(&m.warnings), words) == NULL)
		fail_msg("%s\ngives\n%s%s\nnot: %s", text,
		    strbuf_cstr(&m.errors), strbuf_cstr(&m.warnings), words);
	conf_free(&conf);
	conf_messages_free(&m);
}

/* ---- real files ---- */

static char temp[64];

const char *
temp_dir(void)
{
	if (temp[0] == '\0') {
		strcpy(temp, "/tmp/smarthostd-conf-XXXXXX");
		assert_non_null(mkdtemp(temp));
	}
	return temp;
}

char *
temp_file(const char *name, const char *text, unsigned mode)
{
	char *path = mem_printf("%s/%s", temp_dir(), name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(fs_write_all(fd, text, strlen(text)), 0);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
	return path;
}

void
temp_remove(void)
{
	if (temp[0] != '\0')
		tree_remove(temp);
	temp[0] = '\0';
}
