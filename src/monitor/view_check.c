/*
 * Certificates, keys and CAs are tried before a role gets them: by `-n`, at
 * the start, at a reload, and when their files change.  Run by monitor, on
 * the same views that the roles would get.  A key that belongs to another
 * certificate is then a message with FILE:LINE, and not a listener without
 * TLS.
 */
#include "monitor/view_check.h"

#include <stdlib.h>

#include "base/json_reader.h"
#include "base/mem.h"
#include "io/tls_context.h"

struct check {
	struct strbuf *out;
	size_t n;
};

static void
tell(struct check *c, const struct conf_where *where, const struct err *e)
{
	strbuf_printf(c->out, "%s:%u: %s\n", where->file, where->line,
	    e->text);
	c->n++;
}

static void
check_anchors(struct check *c, const struct conf_where *where,
    const char *what, const char *pem)
{
	struct tls_anchors *a;
	struct err e = { 0, "" };

	if (pem == NULL)
		return;
	a = tls_anchors_new(slice_cstr(pem), &e);
	if (a == NULL) {
		err_prefix(&e, "%s", what);
		tell(c, where, &e);
	}
	tls_anchors_free(&a);
}

static void
check_listen(struct check *c, const struct conf_listen *l)
{
	struct tls_pem pem = {
		.chain = slice_cstr(l->certificate),
		.key = slice_cstr(l->key),
	};
	struct tls_server_options o = { .certs = &pem, .cert_count = 1 };
	struct tls_context *tls;
	struct err e = { 0, "" };
	char *name = mem_printf("listen %s: client-ca", l->name);

	check_anchors(c, &l->where, name, l->client_ca);
	free(name);
	if (l->certificate == NULL)
		return;
	tls = tls_server_new(&o, &e);
	if (tls == NULL) {
		err_prefix(&e, "listen %s", l->name);
		tell(c, &l->where, &e);
	}
	tls_context_free(&tls);
}

/* auth's: what signs for an application, and who vouches for a provider. */
static void
check_oauth2(struct check *c, const struct conf_transport *t)
{
	const struct conf_oauth2 *o = t->oauth2;
	struct tls_pem pem = { .chain = slice_cstr(o->certificate),
		.key = slice_cstr(o->key) };
	struct tls_client_options options = { .cert = &pem };
	struct tls_context *tls;
	struct err e = { 0, "" };
	char *name;

	if (o->certificate != NULL) {
		tls = tls_client_new(&options, &e);
		if (tls == NULL) {
			err_prefix(&e, "oauth2");
			tell(c, &o->where, &e);
		}
		tls_context_free(&tls);
	}
	name = mem_printf("transport %s: ca-file", t->name);
	check_anchors(c, &o->where, name, o->ca_file);
	free(name);
	if (o->key_file != NULL && json_object_check(slice_cstr(o->key_file),
	    &e) < 0) {
		err_prefix(&e, "oauth2: key-file");
		tell(c, &o->where, &e);
	}
}

static void
check_transport(struct check *c, const struct conf_transport *t)
{
	struct tls_pem pem = {
		.chain = slice_cstr(t->certificate),
		.key = slice_cstr(t->key),
		.passphrase = slice_cstr(t->passphrase.text),
	};
	struct tls_client_options o = { .cert = &pem };
	struct tls_context *tls;
	struct err e = { 0, "" };
	char *name;

	if (t->certificate != NULL) {
		tls = tls_client_new(&o, &e);
		if (tls == NULL) {
			err_prefix(&e, "transport %s", t->name);
			tell(c, &t->where, &e);
		}
		tls_context_free(&tls);
	}
	name = mem_printf("transport %s: tls-ca", t->name);
	check_anchors(c, &t->where, name, t->tls_ca);
	free(name);
	if (t->oauth2 != NULL)
		check_oauth2(c, t);
}

static void
check_role(struct check *c, const struct conf_tree *tree, enum conf_role role)
{
	struct strbuf view = STRBUF_INIT;
	struct conf *conf = NULL;
	struct err e = { 0, "" };
	size_t i;

	if (conf_view_encode(tree, role, &view, &e) == 0)
		conf = conf_view_decode(strbuf_slice(&view), role, &e);
	strbuf_wipe(&view);
	if (conf == NULL) {
		/* it names FILE:LINE itself */
		strbuf_printf(c->out, "%s\n", e.text);
		c->n++;
		return;
	}
	for (i = 0; i < conf->n_listens; i++)
		check_listen(c, &conf->listens[i]);
	for (i = 0; i < conf->n_transports; i++)
		check_transport(c, &conf->transports[i]);
	conf_free(&conf);
}

static size_t
check_roles(const struct conf_tree *tree, unsigned roles, struct strbuf *out)
{
	static const enum conf_role all[] = {
		CONF_LISTENER, CONF_QUEUE, CONF_DELIVERY, CONF_AUTH
	};
	struct check c = { .out = out };
	size_t i;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if ((roles & all[i]) != 0)
			check_role(&c, tree, all[i]);
	}
	return c.n;
}

int
view_check(const struct conf_tree *tree, unsigned roles, struct err *e)
{
	struct strbuf out = STRBUF_INIT;
	int rc = 0;

	if (check_roles(tree, roles, &out) > 0)
		rc = err_set(e, -1, "%.*s", (int)strcspn(strbuf_cstr(&out),
		    "\n"), strbuf_cstr(&out));
	strbuf_free(&out);
	return rc;
}

size_t
view_check_all(const struct conf_tree *tree, struct strbuf *out)
{
	return check_roles(tree, CONF_LISTENER | CONF_QUEUE | CONF_DELIVERY |
	    CONF_AUTH, out);
}
