/* The configuration as it was understood, in its own language, secrets left
 * out: `relayctl config show`.  Tools and monitor. */
#include <stdio.h>
#include <string.h>

#include "conf/directives.h"

static void
dump_word(struct strbuf *out, const struct conf_word *w)
{
	const char *s = w->s;

	if (!w->quoted && *s != '\0' && *s != '#' &&
	    s[strcspn(s, " \t{};#\"\\$\r\n")] == '\0') {
		strbuf_puts(out, s);
		return;
	}
	strbuf_putc(out, '"');
	for (; *s != '\0'; s++) {
		if (*s == '"' || *s == '\\' || (s[0] == '$' && s[1] == '{'))
			strbuf_putc(out, '\\');
		strbuf_putc(out, *s);
	}
	strbuf_putc(out, '"');
}

/* A value is hidden, the name of a file or a command is shown. */
static bool
hides(const struct conf_stmt *s, const struct conf_directive *d, size_t i)
{
	if (d == NULL || d->arg != ARG_SECRET)
		return false;
	if (s->n == 2)
		return true;
	return i == 2 && word_is(&s->w[1], "hash");
}

static void
indent(struct strbuf *out, unsigned depth)
{
	while (depth-- > 0)
		strbuf_putc(out, '\t');
}

static const char *
verify_text(const struct conf_transport *t)
{
	if (t->tls_fingerprint.n > 0)
		return "its fingerprint is compared";
	switch (t->tls_verify) {
	case VERIFY_ON:
		return "its certificate is verified";
	case VERIFY_DANE:
		return "its certificate is verified by DANE";
	default:
		return "its certificate is not verified";
	}
}

/* What followed from the statements, as a comment. */
static void
dump_resolved(struct strbuf *out, const struct conf_transport *t,
    unsigned depth)
{
	static const char *const modes[] = {
		[TLS_UNSET] = "unset", [TLS_OFF] = "off",
		[TLS_STARTTLS] = "starttls", [TLS_REQUIRED] = "required",
		[TLS_IMPLICIT] = "implicit",
		[TLS_OPPORTUNISTIC] = "opportunistic"
	};
	size_t i;

	if (!conf_transport_is_network(t))
		return;
	for (i = 0; i < t->n_hosts; i++) {
		indent(out, depth);
		strbuf_printf(out, "# %s port %u, tls %s", t->hosts[i].name,
		    t->hosts[i].port, modes[t->tls]);
		if (t->tls != TLS_OFF)
			strbuf_printf(out, ", %s", verify_text(t));
		strbuf_putc(out, '\n');
	}
}

static void dump_block(const struct conf_stmt *s, enum conf_context ctx,
    const struct conf *conf, struct strbuf *out, unsigned depth);

static void
dump_statement(const struct conf_stmt *s, const struct conf_directive *d,
    const struct conf *conf, struct strbuf *out, unsigned depth)
{
	bool names = depth == 0 && s->n > 1 &&
	    (word_is(&s->w[0], "transport") || word_is(&s->w[0], "account"));
	size_t i;

	indent(out, depth);
	for (i = 0; i < s->n; i++) {
		if (i > 0)
			strbuf_putc(out, ' ');
		if (i > 0 && hides(s, d, i))
			strbuf_puts(out, "(hidden)");
		else
			dump_word(out, &s->w[i]);
	}
	if (!s->block) {
		strbuf_putc(out, '\n');
		return;
	}
	strbuf_puts(out, " {\n");
	dump_block(s, d != NULL ? d->block : CTX_NONE, conf, out, depth + 1);
	i = names ? conf_transport_find(conf, s->w[1].s) : SIZE_MAX;
	if (i != SIZE_MAX)
		dump_resolved(out, &conf->transports[i], depth + 1);
	indent(out, depth);
	strbuf_puts(out, "}\n");
}

static void
dump_block(const struct conf_stmt *s, enum conf_context ctx,
    const struct conf *conf, struct strbuf *out, unsigned depth)
{
	const struct conf_directive *d;
	const char *name;
	size_t i;

	for (i = 0; i < s->n_kids; i++) {
		if (s->kids[i].implied)
			continue;
		name = s->kids[i].w[0].s;
		d = ctx == CTX_NONE ? NULL : conf_directive_find(ctx, name);
		if (d == NULL && ctx == CTX_ACCOUNT)
			d = conf_directive_find(CTX_TRANSPORT, name);
		dump_statement(&s->kids[i], d, conf, out, depth);
	}
}

static bool
written(const struct conf_tree *tree, const char *name)
{
	size_t i;

	for (i = 0; i < tree->root.n_kids; i++)
		if (word_is(&tree->root.kids[i].w[0], name) &&
		    !tree->root.kids[i].implied)
			return true;
	return false;
}

static void
dump_computed(const struct conf_tree *tree, const struct conf *conf,
    struct strbuf *out)
{
	size_t i;

	if (!written(tree, "hostname"))
		strbuf_printf(out, "hostname %s\n", conf->hostname);
	if (!written(tree, "postmaster"))
		strbuf_printf(out, "postmaster %s\n", conf->postmaster);
	if (!written(tree, "qualify-domain"))
		strbuf_printf(out, "qualify-domain %s\n",
		    conf->qualify_domain);
	if (!written(tree, "local-domains")) {
		strbuf_puts(out, "local-domains");
		for (i = 0; i < conf->local_domains.n; i++)
			strbuf_printf(out, " %s", conf->local_domains.v[i]);
		strbuf_putc(out, '\n');
	}
	if (!written(tree, "aliases") && conf->aliases != NULL)
		strbuf_printf(out, "aliases %s\n", conf->aliases);
	if (written(tree, "listen"))
		return;
	for (i = 0; i < conf->n_listens; i++)
		strbuf_printf(out, "listen %s { }\n", conf->listens[i].name);
}

void
conf_dump(const struct conf_tree *tree, const struct conf *conf,
    struct strbuf *out)
{
	const struct conf_table *t = conf_table_of(CTX_GLOBAL);
	size_t i;

	strbuf_printf(out, "# %s\n", conf->path);
	dump_block(&tree->root, CTX_GLOBAL, conf, out, 0);
	strbuf_puts(out, "\n# what is not written has these values\n");
	dump_computed(tree, conf, out);
	for (i = 0; i < t->n; i++)
		if (t->rows[i].deflt != NULL && t->rows[i].when == NOW &&
		    !written(tree, t->rows[i].name))
			strbuf_printf(out, "%s %s\n", t->rows[i].name,
			    t->rows[i].deflt);
}
