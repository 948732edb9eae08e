/* `socks5`: the proxies of a transport.  monitor, queue, delivery and auth
 * build their parts; the password is in auth's view alone. */
#include <string.h>

#include "conf/directives.h"

#define AT(field) .offset = offsetof(struct conf_proxy, field)

/* A method of RFC 1929 has one octet for its length. */
#define LOGIN_MAX 255

static conf_setter set_proxy_password;

static const struct conf_choice resolve_choices[] = {
	{ "local", 0, NOW }, { "remote", 1, NOW }, { NULL, 0, NOW }
};

static const struct conf_choice proxy_secret_choices[] = {
	{ "file", SECRET_FILE, NOW },
	{ "credential", SECRET_CREDENTIAL, NOW },
	{ "command", SECRET_COMMAND, LATER },
	{ NULL, 0, NOW }
};

static const struct conf_directive rows[] = {
{ "username", "NAME", ARG_STRING, NOW, A, 0, AT(username) },
{ "password", "VALUE | file FILE | credential NAME", ARG_SECRET, NOW, A,
    SHADOW, AT(password), .set = set_proxy_password, .min = 1, .max = 4,
    .choices = proxy_secret_choices },
{ "remote-address", "IP...", ARG_IPS, NOW, Q | D, LIST, AT(remote_address) },
{ "remote-hostname", "NAME", ARG_HOST, NOW, Q | D, 0, AT(remote_hostname) },
{ "resolve", "local|remote", ARG_CHOICE, NOW, D, 0, AT(resolve_remote),
    .choices = resolve_choices, .deflt = "local" },
};

const struct conf_table conf_table_socks5 = {
	"in a `socks5` block", rows, sizeof(rows) / sizeof(rows[0])
};

static void
set_proxy_password(struct build *b, void *obj, const struct conf_stmt *s,
    const struct conf_directive *d)
{
	struct conf_proxy *p = obj;

	set_secret(b, obj, s, d);
	p->has_credential = true;
	if (p->password.kind == SECRET_VALUE &&
	    strlen(p->password.text) > LOGIN_MAX)
		build_error(b, s, NULL, "password: SOCKS takes 255 octets at "
		    "most");
}

void
set_socks5(struct build *b, void *obj, const struct conf_stmt *s,
    const struct conf_directive *d)
{
	struct conf_transport *t = obj;
	struct conf_proxy p;

	memset(&p, 0, sizeof(p));
	p.where = build_where(b, s);
	build_defaults(b, CTX_SOCKS5, &p);
	if (value_host_port(b, s, &s->w[1], &p.host) && p.host.port == 0)
		p.host.port = 1080;
	if (s->block)
		build_block(b, s, d->block, &p, CTX_NONE, NULL);
	/* Each role sees a part of this. */
	if (build_is_main(b) && p.has_credential != (p.username != NULL))
		build_error(b, s, NULL, "socks5: `username` and `password` "
		    "go together");
	if (p.username != NULL && strlen(p.username) > LOGIN_MAX)
		build_error(b, s, NULL, "username: SOCKS takes 255 octets at "
		    "most");
	if (build_is_main(b) && t->n_proxies > 0 &&
	    t->proxies[0].resolve_remote != p.resolve_remote)
		build_error(b, s, NULL, "socks5: all proxies of a transport "
		    "resolve alike (`resolve %s` above)",
		    p.resolve_remote ? "local" : "remote");
	*(struct conf_proxy *)conf_arena_push(b->arena, &t->proxies,
	    &t->n_proxies, sizeof(p)) = p;
}
