/*
 * From a status of GSSAPI to what delivery does and an administrator reads.
 * Run by the program kerberos.  The words are MIT's own: people search for
 * them, and mail/advice.c says what to do.
 */
#include "kerberos/failure.h"

#include <gssapi/gssapi_krb5.h>
#include <krb5.h>
#include <stdio.h>
#include <string.h>

#include "base/strbuf.h"
#include "ipc/msg.h"

/* What is over by itself: a KDC that cannot be reached, found or used now. */
static const krb5_error_code passing[] = {
	KRB5_KDC_UNREACH, KRB5_REALM_UNKNOWN, KRB5_REALM_CANT_RESOLVE,
	KRB5KDC_ERR_SVC_UNAVAILABLE, KRB5_KDCREP_MODIFIED,
	KRB5KRB_ERR_GENERIC
};

/* The server is not the one that it says, or does not speak the protocol. */
static const krb5_error_code of_server[] = {
	KRB5_MUTUAL_FAILED, KRB5KRB_AP_ERR_BAD_INTEGRITY,
	KRB5KRB_AP_ERR_MUT_FAIL, KRB5KRB_AP_ERR_MSG_TYPE,
	KRB5KRB_AP_ERR_BADVERSION
};

static int
is_among(OM_uint32 minor, const krb5_error_code *list, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (minor == (OM_uint32)list[i])
			return 1;
	return 0;
}

#define AMONG(minor, list) \
	is_among(minor, list, sizeof(list) / sizeof((list)[0]))

uint8_t
failure_state(OM_uint32 major, OM_uint32 minor)
{
	switch (GSS_ROUTINE_ERROR(major)) {
	case GSS_S_DEFECTIVE_TOKEN:
	case GSS_S_BAD_SIG:
		return AUTH_TEMPORARY;
	default:
		break;
	}
	/* errno's values: a library that has no memory, no descriptor */
	if (AMONG(minor, passing) || AMONG(minor, of_server) ||
	    (minor > 0 && minor < 200))
		return AUTH_TEMPORARY;
	return AUTH_REFUSED;
}

static void
add_status(struct strbuf *b, OM_uint32 status, int type)
{
	gss_buffer_desc text = GSS_C_EMPTY_BUFFER;
	OM_uint32 more = 0, minor;
	size_t i;

	do {
		if (gss_display_status(&minor, status, type,
		    type == GSS_C_MECH_CODE ? (gss_OID)gss_mech_krb5 :
		    GSS_C_NO_OID, &more, &text) != GSS_S_COMPLETE)
			break;
		if (b->n > 0)
			strbuf_puts(b, ", ");
		for (i = 0; i < text.length; i++)
			strbuf_putc(b, ((char *)text.value)[i] < ' ' ? ' ' :
			    ((char *)text.value)[i]);
		gss_release_buffer(&minor, &text);
	} while (more != 0);
}

void
failure_gss(struct failure *f, OM_uint32 major, OM_uint32 minor)
{
	struct strbuf b = STRBUF_INIT;

	/* Beside "see the minor code" there is nothing in the major one. */
	if (minor != 0)
		add_status(&b, minor, GSS_C_MECH_CODE);
	if (b.n == 0)
		add_status(&b, major, GSS_C_GSS_CODE);
	f->state = failure_state(major, minor);
	snprintf(f->text, sizeof(f->text), "%s", strbuf_cstr(&b));
	strbuf_free(&b);
}

void
failure_server(struct failure *f, const char *text)
{
	f->state = AUTH_TEMPORARY;
	snprintf(f->text, sizeof(f->text), "the server broke the exchange: "
	    "%s", text);
}
