/*
 * From a provider's refusal to the next step of a human.  Pure; shown by
 * `relayctl transport test` and `relayctl why`, run by queue and tools.  The
 * texts are those of large providers, seen in the wild; the first that is
 * found counts.
 */
#include "mail/advice.h"

#include <stddef.h>
#include <string.h>

struct advice {
	const char *text;		/* part of it, any case */
	const char *also;		/* and this, where not NULL */
	const char *next;
};

static const struct advice table[] = {
	/* Microsoft */
	{ "SmtpClientAuthentication is disabled", "Tenant",
	    "SMTP AUTH is switched off for the whole organisation: an Exchange "
	    "administrator runs Set-TransportConfig "
	    "-SmtpClientAuthenticationDisabled $false, or allows this mailbox "
	    "alone with Set-CASMailbox MAILBOX "
	    "-SmtpClientAuthenticationDisabled $false" },
	{ "SmtpClientAuthentication is disabled", NULL,
	    "SMTP AUTH is switched off for this mailbox: an Exchange "
	    "administrator runs Set-CASMailbox MAILBOX "
	    "-SmtpClientAuthenticationDisabled $false" },
	{ "Basic authentication is not supported", NULL,
	    "Microsoft takes no passwords any more: give the account an "
	    "`oauth2` block and run `relayctl oauth login`" },
	{ "basic authentication is disabled", NULL,
	    "Microsoft takes no passwords any more: give the account an "
	    "`oauth2` block and run `relayctl oauth login`" },
	{ "security defaults", NULL,
	    "Microsoft's security defaults forbid passwords: use `oauth2`, or "
	    "an administrator changes them in Entra" },
	{ "5.7.139", NULL,
	    "Microsoft has SMTP AUTH, or passwords for it, switched off for "
	    "this mailbox or organisation: look at Set-CASMailbox "
	    "-SmtpClientAuthenticationDisabled, or use `oauth2`" },
	{ "SendAsDenied", NULL,
	    "the envelope sender or From is another mailbox than the login's: "
	    "grant it Send As, or let the account `rewrite envelope` and "
	    "`rewrite from`" },
	{ "5.7.60", "send as",
	    "the login may not send as this address: grant it Send As, or let "
	    "the account `rewrite envelope` and `rewrite from`" },
	{ "concurrent connections limit", NULL,
	    "fewer sessions at a time: `connections 3`" },
	{ "5.7.3", "Authentication unsuccessful",
	    "Microsoft refused the login: the name must be the mailbox's "
	    "address, a token must have the scope SMTP.Send of "
	    "outlook.office.com, and SMTP AUTH must be on for the mailbox" },
	{ "5.7.57", NULL,
	    "the server wants a login first: use `submission` with a "
	    "credential instead of `smarthost`" },
	/* Google */
	{ "Application-specific password required", NULL,
	    "Google wants an app password (16 letters, made at "
	    "myaccount.google.com/apppasswords with 2-step verification on), "
	    "or `oauth2`" },
	{ "5.7.9", "app",
	    "the provider wants an app password instead of the account's own, "
	    "or `oauth2`" },
	{ "Username and Password not accepted", NULL,
	    "Google takes an app password or `oauth2`, not the account's own "
	    "password; a changed password ends both" },
	{ "Please log in via your web browser", NULL,
	    "Google holds the login back: log in by a browser once, from this "
	    "network, and confirm that it was you" },
	{ "Daily user sending", NULL,
	    "the day's quota is used up: mail waits, and goes when the "
	    "provider takes it again" },
	{ "Daily SMTP relay", NULL,
	    "the organisation's quota of the day is used up: mail waits, and "
	    "goes when the provider takes it again" },
	{ "smtp-relay", "Invalid credentials for relay",
	    "Google's relay knows neither this address nor this login: allow "
	    "the address in the Admin console under SMTP relay service" },
	/* others */
	{ "Email address is not verified", NULL,
	    "verify the sender's address or domain at the provider, or let "
	    "the account `rewrite envelope` and `rewrite from`" },
	{ "not one of your addresses", NULL,
	    "the provider takes the account's own addresses alone: let the "
	    "account `rewrite envelope` and `rewrite from`" },
	{ "Relaying disallowed as", NULL,
	    "the provider takes the account's own addresses alone: let the "
	    "account `rewrite envelope` and `rewrite from`" },
	{ "Maximum credits exceeded", NULL,
	    "the plan's quota is used up: mail waits; see the provider's "
	    "account page" },
	/* OAuth */
	{ "invalid_grant", NULL,
	    "the authorisation has expired or was revoked: run "
	    "`relayctl oauth login` for the account" },
	{ "invalid_client", NULL,
	    "the application's id or secret is wrong or has expired: look at "
	    "`client-id` and `client-secret`" },
	{ "invalid_token", NULL,
	    "the server does not take this token: its scope or audience is "
	    "another service's, or it was revoked" },
	{ "AADSTS", NULL,
	    "Microsoft's sign-in refused: `relayctl oauth status` says what to "
	    "do" },
	/* Kerberos */
	{ "not found in Kerberos database", "Server ",
	    "the KDC knows no mail server of this name: name the next hop (or "
	    "`tls-name`) as its principal smtp/HOST is named, or the realm's "
	    "administrator makes that principal" },
	{ "not found in Kerberos database", NULL,
	    "the KDC does not know the principal: check `username` and its "
	    "realm" },
	{ "keytab holds no key", NULL,
	    "`klist -k FILE` lists the principals of the keytab: `username` "
	    "names one of them, or its key is added (ktadd)" },
	{ "Preauthentication failed", NULL,
	    "the keytab's key is not the principal's any more: write the "
	    "keytab anew (ktadd)" },
	{ "GSSAPI: Decrypt integrity check failed", NULL,
	    "the keytab's key is not the principal's any more: write the "
	    "keytab anew (ktadd)" },
	{ "Clock skew too great", NULL,
	    "the clocks of this machine and of the KDC or the server differ: "
	    "set them, best by NTP" },
	{ "GSSAPI: Ticket expired", NULL,
	    "a new ticket must come into the cache: kinit, or k5start, which "
	    "renews it" },
	{ "No credentials cache found", NULL,
	    "there is no ticket in the cache: kinit as the user that "
	    "`kerberos cache` is read as, or k5start" },
	{ "Principal in credential cache does not match", NULL,
	    "the ticket in the cache is another principal's than `username`: "
	    "kinit for that one, or change it" },
	{ "Cannot contact any KDC", NULL,
	    "no KDC answers: check krb5.conf, the network and port 88; mail "
	    "goes when one does" },
	{ "Cannot find KDC for realm", NULL,
	    "neither krb5.conf nor DNS names a KDC of this realm: check both, "
	    "and the principal's realm" },
	{ "GSSAPI: its program has ended", NULL,
	    "Kerberos waited too long for a KDC or name server, or its program "
	    "died: the log says which; check krb5.conf and resolv.conf" },
	/* any */
	{ "no common AUTH mechanism", NULL,
	    "the server offers no mechanism that fits the credential: see its "
	    "AUTH line above, and `auth-mechanisms`, `password`, `oauth2`" },
	{ "offers no AUTH", NULL,
	    "the server offers no login here: the port (587 with STARTTLS, 465 "
	    "with `tls implicit`) or the host may be another, or it needs no "
	    "credential (`smarthost`)" },
	{ "535 ", NULL,
	    "the server refused the login: check `username` and the password "
	    "(of a Kerberos principal: whether it may send); many providers "
	    "want an app password" },
	{ "534 ", NULL,
	    "the server wants another way to log in: an app password, or "
	    "`oauth2`" },
	{ "530 5.7.0", "STARTTLS",
	    "the server wants TLS first: `tls required`" },
	{ "530 ", NULL,
	    "the server wants a login first: `username` and a credential" },
	{ "Connection refused", NULL,
	    "nothing listens there: check host and port" },
	{ "MTA-STS: the policy", NULL,
	    "the recipient's domain demands TLS with a good certificate, and "
	    "this server has none: `relayctl dnscheck DOMAIN` tells more, and "
	    "its postmaster has to see to it; a transport with `tls-verify "
	    "off` sends without looking at policies" },
	{ "timed out", NULL,
	    "nobody answers: many networks block port 25; check host, port and "
	    "firewall" },
	{ "Network is unreachable", NULL,
	    "this machine has no route there" },
	{ "resolve ", NULL,
	    "the name cannot be resolved: check it, and `resolver`" },
	{ "wrong version number", NULL,
	    "the server does not begin with TLS on this port: `tls required` "
	    "(STARTTLS) instead of `tls implicit`" },
	{ "does not offer it", "TLS is required",
	    "the server has no STARTTLS here: another port, `tls implicit` on "
	    "465, or `tls off` where no secret is sent" },
};

const char *
mail_advice(const char *text)
{
	size_t i;

	if (text == NULL)
		return NULL;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (strcasestr(text, table[i].text) != NULL &&
		    (table[i].also == NULL ||
		    strcasestr(text, table[i].also) != NULL))
			return table[i].next;
	return NULL;
}
