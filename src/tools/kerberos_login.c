/*
 * GSSAPI as a client (RFC 4752 3.1).  Run by the program kerberos.  First the
 * two sides make a security context, in which the server proves itself, too;
 * then it offers layers, and we choose none: TLS is what protects the session.
 * No authorization name is sent.
 */
#include "tools/kerberos_login.h"

#include <gssapi/gssapi_krb5.h>
#include <stdlib.h>

#include "base/mem.h"
#include "ipc/msg.h"

#define NO_LAYER 1
/* Octets; auth and delivery take no more at once, and servers less. */
#define TOKEN_MOST 16384

enum stage { CONTEXT, LAYERS, OVER };

struct login {
	enum stage stage;
	struct tickets *tickets;
	gss_cred_id_t cred;
	gss_name_t server;
	gss_ctx_id_t context;
};

static int
import_server(struct login *l, const char *host, struct failure *f)
{
	char *text = mem_printf("smtp@%s", host);
	gss_buffer_desc name = { strlen(text), text };
	OM_uint32 major, minor;

	major = gss_import_name(&minor, &name, GSS_C_NT_HOSTBASED_SERVICE,
	    &l->server);
	free(text);
	if (!GSS_ERROR(major))
		return 0;
	failure_gss(f, major, minor, false);
	return -1;
}

struct login *
login_new(struct tickets *t, const char *host, struct failure *f)
{
	struct login *l = mem_zalloc(sizeof(*l));

	l->tickets = t;
	l->cred = GSS_C_NO_CREDENTIAL;
	l->server = GSS_C_NO_NAME;
	l->context = GSS_C_NO_CONTEXT;
	if (import_server(l, host, f) < 0 ||
	    tickets_get(t, &l->cred, f) < 0)
		login_free(&l);
	return l;
}

void
login_free(struct login **lp)
{
	struct login *l = *lp;
	OM_uint32 minor;

	if (l == NULL)
		return;
	*lp = NULL;
	if (l->context != GSS_C_NO_CONTEXT)
		gss_delete_sec_context(&minor, &l->context, GSS_C_NO_BUFFER);
	gss_release_name(&minor, &l->server);
	gss_release_cred(&minor, &l->cred);
	free(l);
}

/* ---- the context ---- */

static int
make_context(struct login *l, struct slice in, struct strbuf *out,
    struct failure *f)
{
	const OM_uint32 wanted = GSS_C_MUTUAL_FLAG | GSS_C_INTEG_FLAG;
	gss_buffer_desc token = { in.n, (void *)(uintptr_t)in.p };
	gss_buffer_desc said = GSS_C_EMPTY_BUFFER;
	bool first = l->context == GSS_C_NO_CONTEXT;
	OM_uint32 major, minor, got = 0, ignored;

	major = gss_init_sec_context(&minor, l->cred, &l->context, l->server,
	    (gss_OID)gss_mech_krb5, wanted | GSS_C_SEQUENCE_FLAG, 0,
	    GSS_C_NO_CHANNEL_BINDINGS, first ? GSS_C_NO_BUFFER : &token, NULL,
	    &said, &got, NULL);
	strbuf_add(out, said.value, said.length);
	gss_release_buffer(&ignored, &said);
	if (GSS_ERROR(major)) {
		failure_gss(f, major, minor, !first);
		/* Nothing came from a server yet: it is a KDC that cannot be
		 * had. */
		if (first && f->state == AUTH_TEMPORARY)
			tickets_failed(l->tickets, f);
		return -1;
	}
	if ((major & GSS_S_CONTINUE_NEEDED) != 0)
		return 1;
	if ((got & wanted) != wanted) {
		failure_server(f, "it does not prove itself");
		return -1;
	}
	l->stage = LAYERS;
	return 1;
}

/* ---- the layers ---- */

int
login_layers(struct slice offer, struct failure *f)
{
	if (offer.n != 4) {
		failure_server(f, "an offer of layers that is none");
		return -1;
	}
	if (((unsigned char)offer.p[0] & NO_LAYER) != 0)
		return 0;
	failure_own(f, "the server insists on a security layer of SASL: it "
	    "must allow GSSAPI without one, inside TLS");
	return -1;
}

static int
choose_layer(struct login *l, struct slice in, struct strbuf *out,
    struct failure *f)
{
	static char none[4] = { NO_LAYER, 0, 0, 0 };
	gss_buffer_desc token = { in.n, (void *)(uintptr_t)in.p };
	gss_buffer_desc answer = { sizeof(none), none };
	gss_buffer_desc clear = GSS_C_EMPTY_BUFFER;
	gss_buffer_desc sealed = GSS_C_EMPTY_BUFFER;
	OM_uint32 major, minor, ignored;
	int rc;

	major = gss_unwrap(&minor, l->context, &token, &clear, NULL, NULL);
	if (GSS_ERROR(major)) {
		failure_server(f, "its offer of layers is not its own");
		return -1;
	}
	rc = login_layers(slice_of(clear.value, clear.length), f);
	gss_release_buffer(&ignored, &clear);
	if (rc < 0)
		return -1;
	major = gss_wrap(&minor, l->context, 0, GSS_C_QOP_DEFAULT, &answer,
	    NULL, &sealed);
	if (GSS_ERROR(major)) {
		failure_gss(f, major, minor, false);
		return -1;
	}
	strbuf_add(out, sealed.value, sealed.length);
	gss_release_buffer(&ignored, &sealed);
	l->stage = OVER;
	return 0;
}

int
login_fits(size_t n, struct failure *f)
{
	if (n <= TOKEN_MOST)
		return 0;
	failure_own(f, "the ticket is too large for SMTP (%zu octets): the "
	    "principal should be in fewer groups, or without a PAC", n);
	return -1;
}

int
login_take(struct login *l, struct slice in, struct strbuf *out,
    struct failure *f)
{
	int rc;

	switch (l->stage) {
	case CONTEXT:
		rc = make_context(l, in, out, f);
		return rc < 0 ? rc : login_fits(out->n, f) < 0 ? -1 : rc;
	case LAYERS:
		return choose_layer(l, in, out, f);
	case OVER:
		break;
	}
	failure_server(f, "it asks on behind the end");
	return -1;
}
