/* Files that a configuration names: where they are, whether they are there,
 * whether others can read a secret in them.  monitor and tools. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/strbuf.h"
#include "conf/directives.h"

char *
conf_resolve_path(const struct conf_tree *tree, struct conf_arena *arena,
    unsigned file, const char *name)
{
	struct strbuf b = STRBUF_INIT;
	char *out;

	/* `~` is a user's home (maildir), not ours to resolve. */
	if (name[0] == '/' || name[0] == '~' || file >= tree->n_files ||
	    tree->files[file].dir == NULL || tree->files[file].dir[0] == '\0')
		return conf_arena_strdup(arena, name);
	strbuf_printf(&b, "%s/%s", tree->files[file].dir, name);
	out = conf_arena_strndup(arena, strbuf_cstr(&b), b.n);
	strbuf_free(&b);
	return out;
}

char *
build_path(struct build *b, const struct conf_stmt *s,
    const struct conf_word *w)
{
	if (w->s[0] == '\0')
		build_error(b, s, w, "%s: the file name is empty", s->w[0].s);
	return conf_resolve_path(b->tree, b->arena, s->file, w->s);
}

void
check_file(struct build *b, const struct conf_stmt *s, const char *path,
    bool secret, bool may_group)
{
	mode_t others = S_IROTH | S_IWOTH;
	struct stat st;
	int fd;

	if (!b->check_files)
		return;
	if ((fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)) == -1) {
		build_error(b, s, NULL, "%s: %s", path, strerror(errno));
		return;
	}
	if (!may_group)
		others |= S_IRGRP | S_IWGRP;
	if (fstat(fd, &st) == -1)
		build_error(b, s, NULL, "%s: %s", path, strerror(errno));
	else if (!S_ISREG(st.st_mode))
		build_error(b, s, NULL, "%s: not a regular file", path);
	else if (secret && (st.st_mode & others) != 0)
		build_error(b, s, NULL, "%s holds a secret and others can "
		    "read or change it (mode %04o): chmod 600 it", path,
		    (unsigned)(st.st_mode & 07777));
	close(fd);
}
