/*
 * From a status of GSSAPI to what delivery does and an administrator reads.
 * Run by the program kerberos.  The words are MIT's own: people search for
 * them, and mail/advice.c says what to do.
 */
#include "tools/kerberos_failure.h"

#include <gssapi/gssapi_krb5.h>
#include <krb5.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/strbuf.h"
#include "ipc/msg.h"

/* What is over by itself: a KDC that cannot be reached, found or used now. */
static const krb5_error_code passing[] = {
	KRB5_KDC_UNREACH, KRB5_REALM_UNKNOWN, KRB5_REALM_CANT_RESOLVE,
	KRB5KDC_ERR_SVC_UNAVAILABLE, KRB5_KDCREP_MODIFIED, KRB5KRB_ERR_GENERIC
};

/* What a server says in words about our ticket; all else that it says wrongly
 * means that it is not the one, or does not speak the protocol. */
static const krb5_error_code about_ticket[] = {
	KRB5KRB_AP_ERR_SKEW, KRB5KRB_AP_ERR_TKT_EXPIRED,
	KRB5KRB_AP_ERR_TKT_NYV, KRB5KRB_AP_ERR_NOT_US,
	KRB5KRB_AP_ERR_NOKEY, KRB5KRB_AP_ERR_BADKEYVER,
	KRB5KRB_AP_ERR_MODIFIED, KRB5KDC_ERR_ETYPE_NOSUPP
};

#define ERRNO_MOST 200

static bool
is_among(OM_uint32 minor, const krb5_error_code *list, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (minor == (OM_uint32)list[i])
			return true;
	return false;
}

#define AMONG(minor, list) \
	is_among(minor, list, sizeof(list) / sizeof((list)[0]))

static uint8_t
state_of(OM_uint32 minor, bool server)
{
	if (server)
		return AMONG(minor, about_ticket) ? AUTH_REFUSED :
		    AUTH_TEMPORARY;
	/* errno's values: no memory, no descriptor */
	return AMONG(minor, passing) || (minor > 0 && minor < ERRNO_MOST) ?
	    AUTH_TEMPORARY : AUTH_REFUSED;
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
failure_gss(struct failure *f, OM_uint32 major, OM_uint32 minor, bool server)
{
	struct strbuf b = STRBUF_INIT;

	/* Beside "see the minor code" there is nothing in the major one. */
	if (minor != 0 && GSS_ROUTINE_ERROR(major) != GSS_S_DEFECTIVE_TOKEN)
		add_status(&b, minor, GSS_C_MECH_CODE);
	if (b.n == 0)
		add_status(&b, major, GSS_C_GSS_CODE);
	f->state = state_of(minor, server);
	if (server && f->state == AUTH_TEMPORARY)
		failure_server(f, strbuf_cstr(&b));
	else
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

void
failure_own(struct failure *f, const char *fmt, ...)
{
	va_list ap;

	f->state = AUTH_REFUSED;
	va_start(ap, fmt);
	vsnprintf(f->text, sizeof(f->text), fmt, ap);
	va_end(ap);
}
