/* The hosts file: names that people gave to addresses (hosts(5)).
 *
 * delivery and auth; monitor hands over the octets.  Never fails: what cannot
 * be read is passed over. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/htab.h"
#include "base/mem.h"
#include "io/resolve_private.h"
#include "io/sockaddr.h"

struct hosts {
	struct htab *names;
};

static void
add_name(struct hosts *h, struct slice name,
    const struct sockaddr_storage *sa)
{
	struct hosts_entry *entry;
	struct sockaddr_storage *place;
	char key[256];
	size_t i;

	if (name.n > 0 && name.p[name.n - 1] == '.')
		name.n--;
	if (name.n == 0 || name.n >= sizeof(key))
		return;
	for (i = 0; i < name.n; i++)
		key[i] = (char)tolower((unsigned char)name.p[i]);
	name.p = key;
	entry = htab_get(h->names, name);
	if (entry == NULL) {
		entry = mem_zalloc(sizeof(*entry));
		htab_put(h->names, name, entry);
	}
	for (i = 0; i < entry->count; i++)
		if (sockaddr_eq(&entry->addrs[i], sa))
			return;
	place = mem_push(&entry->addrs, &entry->count, sizeof(*place));
	*place = *sa;
}

static void
add_line(struct hosts *h, struct slice line)
{
	struct sockaddr_storage sa;
	struct slice word;
	long hash = slice_find(line, '#');

	if (hash >= 0)
		line.n = (size_t)hash;
	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	if (!slice_word(&line, &word) || !sockaddr_from_ip(word, 0, &sa))
		return;
	while (slice_word(&line, &word))
		add_name(h, word, &sa);
}

struct hosts *
hosts_new(struct slice text)
{
	struct hosts *h = mem_zalloc(sizeof(*h));
	struct slice line;
	long nl;

	h->names = htab_new();
	while (text.n > 0) {
		nl = slice_find(text, '\n');
		line = text;
		if (nl >= 0)
			line.n = (size_t)nl;
		add_line(h, line);
		text = slice_skip(text, line.n + (nl >= 0));
	}
	return h;
}

void
hosts_free(struct hosts **hp)
{
	struct hosts *h = *hp;
	struct hosts_entry *entry;
	size_t pos = 0;

	if (h == NULL)
		return;
	*hp = NULL;
	while ((entry = htab_next(h->names, &pos, NULL)) != NULL) {
		free(entry->addrs);
		free(entry);
	}
	htab_free(&h->names);
	free(h);
}

const struct hosts_entry *
hosts_find(const struct hosts *h, const char *name)
{
	return htab_get(h->names, slice_cstr(name));
}
