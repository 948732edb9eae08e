/*
 * STARTTLS and TLS from the first octet on.  Run by delivery.  RFC 3207:
 * what the server said before TLS is forgotten, what it sends behind its 220
 * in plain ends the session.  Where TLS is opportunistic, a handshake that
 * fails is told apart, so that another connection may do without.  RFC 8461 4
 * and 5: what a policy of the domain demands of the server.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/x509_vfy.h>

#include "base/mem.h"
#include "delivery/smtp_client_private.h"

#define HANDSHAKE_MS 60000u

/* Its domain's policy is what the certificate has to be good for; a name that
 * the transport says is of no concern then. */
static bool
is_enforced(const struct smtp_client *c)
{
	return c->to.mark == SITE_MARK_VERIFY && c->to.dane == NULL;
}

/* Not safe enough: for whoever runs the server, or sits in between. */
static void
not_enough(struct smtp_client *c, const char *text)
{
	if (is_enforced(c))
		client_end(c, SMTP_END_UNSAFE, "%s (MTA-STS: the policy of the "
		    "domain demands TLS with a certificate that is good for "
		    "this name; if nobody sits in between, its postmaster has "
		    "to see to it)", text);
	else
		client_end(c, SMTP_END_UNREACHABLE, "%s", text);
}

void
tls_missing(struct smtp_client *c)
{
	not_enough(c, is_enforced(c) ? "TLS is required, but the server does "
	    "not offer it" : "TLS is required, but the server does not offer "
	    "it (somebody between may have taken it out; a server that has "
	    "none takes mail with `tls off`)");
}

void
tls_enter(struct smtp_client *c)
{
	client_puts(c, "STARTTLS\r\n");
}

void
tls_begin(struct smtp_client *c)
{
	struct err e = { 0, "" };
	int rc;

	client_state(c, ST_HANDSHAKE);
	if (c->to.dane != NULL)
		rc = conn_start_tls_dane(c->conn, c->to.context, c->to.dane,
		    HANDSHAKE_MS, &e);
	else
		rc = conn_start_tls_client(c->conn, c->to.context, c->to.host,
		    c->to.mark != SITE_MARK_NONE ? NULL :
		    c->to.transport->tls_name, HANDSHAKE_MS, &e);
	if (rc < 0)
		client_end(c, SMTP_END_UNREACHABLE, "TLS: %s", e.text);
	else if (c->to.ticket != NULL)
		conn_tls_ticket(c->conn, c->to.ticket);
}

void
tls_reply(struct smtp_client *c)
{
	char *text;

	if (c->reply.code == 220) {
		memset(&c->caps, 0, sizeof(c->caps));
		tls_begin(c);
		return;
	}
	if (c->to.tls == TLS_REQUIRED) {
		text = mem_printf("STARTTLS refused: %s",
		    client_reply_text(c));
		not_enough(c, text);
		free(text);
		return;
	}
	if (c->reply.code < 400) {
		client_broken(c, "\"%s\"", client_reply_text(c));
		return;
	}
	/* Opportunistic, and the session is as good as before. */
	c->caps.flags &= ~(unsigned)SMTP_CAP_STARTTLS;
	if (c->to.transport->has_credential)
		auth_ask(c);
	else
		hello_ready(c);
}

void
tls_secured(struct smtp_client *c)
{
	if (c->state != ST_HANDSHAKE)
		return;
	free(c->tls_text);
	c->tls_text = mem_printf("%s %s", conn_tls_version(c->conn),
	    conn_tls_cipher(c->conn));
	if (c->to.tls == TLS_IMPLICIT)
		client_state(c, ST_GREETING);
	else
		client_state(c, ST_EHLO);
}

/* What the administrator can do about it. */
static const char *
advice(const struct smtp_client *c)
{
	if (conn_end(c->conn) != CONN_TLS_UNTRUSTED)
		return "";
	switch (conn_tls_verify_result(c->conn)) {
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		return " (if that is the right server, `tls-name` says which "
		    "name to expect)";
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
		return " (if that is the right server, `tls-fingerprint` "
		    "with this number trusts it)";
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
		return " (if that is the right server, `tls-ca` names the "
		    "CA to trust)";
	case X509_V_ERR_APPLICATION_VERIFICATION:
		return " (if its certificate has changed, so must "
		    "`tls-fingerprint`)";
	case X509_V_ERR_CERT_HAS_EXPIRED:
		return " (whoever runs the server has to renew it)";
	default:
		return "";
	}
}

void
tls_failed(struct smtp_client *c, const struct err *why)
{
	char *text = mem_printf("TLS handshake failed: %s%s", why != NULL ?
	    why->text : "the server closed the connection",
	    is_enforced(c) ? "" : advice(c));

	if (c->to.tls == TLS_OPPORTUNISTIC)
		client_end(c, SMTP_END_TLS, "%s", text);
	else
		not_enough(c, text);
	free(text);
}

/* ---- what became of a policy ---- */

static const char *
would_fail(const struct smtp_client *c)
{
	if (c->to.mark == SITE_MARK_UNLISTED)
		return "the policy does not list this host";
	if (c->tls_text == NULL)
		return c->to.tls == TLS_OFF ? "its TLS does not work" :
		    "the server does not offer TLS";
	return conn_tls_verified(c->conn) ? NULL :
	    conn_tls_verify_text(c->conn);
}

char *
smtp_client_verify(const struct smtp_client *c)
{
	const char *why;

	if (c->to.dane != NULL)
		return mem_strdup("dane");
	if (c->to.mark == SITE_MARK_VERIFY)
		return mem_strdup("mta-sts");
	if (!site_mark_tested(c->to.mark))
		return NULL;
	why = would_fail(c);
	return why == NULL ? mem_strdup("mta-sts testing") :
	    mem_printf("mta-sts testing: would fail: %s", why);
}
