/* The machine as monitor finds it: its name, container or not, resolvers,
 * CA certificates.  Nothing here fails: what is missing is left out. */
#include "conf/facts.h"

#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fs.h"
#include "conf/build.h"
#include "mail/domain.h"

#define HOSTS_MAX ((size_t)1 << 20)
#define CA_MAX ((size_t)4 << 20)
#define RESOLVERS_MAX 8

static const char *
host_name(struct conf_arena *arena)
{
	struct addrinfo hints = { .ai_flags = AI_CANONNAME }, *ai = NULL;
	char name[256] = "", normal[MAIL_DOMAIN_MAX + 1];
	const char *found = name;
	bool good;

	if (gethostname(name, sizeof(name) - 1) == -1 || name[0] == '\0')
		return "localhost";
	if (strchr(name, '.') == NULL &&
	    getaddrinfo(name, NULL, &hints, &ai) == 0 && ai != NULL &&
	    ai->ai_canonname != NULL && strchr(ai->ai_canonname, '.') != NULL)
		found = ai->ai_canonname;
	good = mail_domain_normal(slice_cstr(found), normal) == 0;
	if (ai != NULL)
		freeaddrinfo(ai);
	return good ? conf_arena_strdup(arena, normal) : "localhost";
}

static bool
in_container(void)
{
	const char *env = getenv("container");

	return access("/.dockerenv", F_OK) == 0 ||
	    access("/run/.containerenv", F_OK) == 0 ||
	    (env != NULL && env[0] != '\0');
}

static bool
says_hostname(const struct conf_tree *tree)
{
	size_t i;

	for (i = 0; i < tree->root.n_kids; i++)
		if (word_is(&tree->root.kids[i].w[0], "hostname"))
			return true;
	return false;
}

void
conf_facts_load(struct conf_tree *tree)
{
	tree->facts.hostname = "localhost";
	if (tree->reader.read_file != NULL)
		return;
	tree->facts.container = in_container();
	/* The name may cost a question to the resolver. */
	if (!says_hostname(tree))
		tree->facts.hostname = host_name(tree->arena);
}

static char *
contents(struct conf_arena *arena, const char *path, size_t max)
{
	struct strbuf text = STRBUF_INIT;
	char *out = NULL;

	if (fs_read_file(path, max, &text, NULL) == 0 &&
	    memchr(strbuf_cstr(&text), '\0', text.n) == NULL)
		out = conf_arena_strndup(arena, strbuf_cstr(&text), text.n);
	strbuf_free(&text);
	return out;
}

static char *
first_of(struct conf_arena *arena, const char *const *paths, size_t n)
{
	char *out = NULL;
	size_t i;

	for (i = 0; i < n && out == NULL; i++)
		out = contents(arena, paths[i], CA_MAX);
	return out;
}

static void
add_resolver(struct conf_arena *arena, struct conf_list *list,
    struct slice address)
{
	unsigned char addr[16];
	char *text;
	bool v6;

	text = conf_arena_strndup(arena, address.p, address.n);
	if (list->n < RESOLVERS_MAX && conf_parse_ip(text, &v6, addr))
		*(char **)conf_arena_push(arena, &list->v, &list->n,
		    sizeof(char *)) = text;
}

static void
read_resolv_conf(struct conf_arena *arena, struct conf_list *list)
{
	const char *text = contents(arena, "/etc/resolv.conf", HOSTS_MAX);
	struct slice line, key, value;
	const char *nl;

	for (; text != NULL && *text != '\0'; text = nl) {
		nl = text + strcspn(text, "\n");
		line = slice_of(text, (size_t)(nl - text));
		if (slice_word(&line, &key) &&
		    slice_eq_cstr(key, "nameserver") &&
		    slice_word(&line, &value))
			add_resolver(arena, list, value);
		if (*nl == '\n')
			nl++;
	}
}

void
conf_facts_network(const struct conf_tree *tree, struct conf_arena *arena,
    struct conf_facts *facts)
{
	static const char *const ca[] = {
		"/etc/ssl/certs/ca-certificates.crt",
		"/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"
	};
	static const char *const anchors[] = {
		"/usr/share/dns/root.ds", "/usr/share/dns/root.key",
		"/var/lib/unbound/root.key"
	};

	if (tree->reader.read_file != NULL)
		return;
	read_resolv_conf(arena, &facts->resolvers);
	facts->etc_hosts = contents(arena, "/etc/hosts", HOSTS_MAX);
	facts->tls_ca = first_of(arena, ca, sizeof(ca) / sizeof(ca[0]));
	facts->trust_anchor = first_of(arena, anchors,
	    sizeof(anchors) / sizeof(anchors[0]));
}
