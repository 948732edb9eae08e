/* The presets of providers.  Their numbers change and are only defaults for
 * pacing; run by monitor, tools and the roles that build transports. */
#include "conf/provider.h"

#include <stdio.h>
#include <string.h>

#include "conf/tree.h"

#define M(n) ((uint64_t)(n) << 20)
#define MINUTE UINT64_C(60000)
#define SECOND UINT64_C(1000)

#define LOGIN_MS(base) \
	.authorize = base "/{tenant}/oauth2/v2.0/authorize", \
	.token = base "/{tenant}/oauth2/v2.0/token", \
	.device = base "/{tenant}/oauth2/v2.0/devicecode", .microsoft = true
#define SCOPES_MS(resource) \
	.smtp = resource "/SMTP.Send offline_access", \
	.imap = resource "/IMAP.AccessAsUser.All"

static const struct conf_oauth_provider oauth_providers[] = {
{ .name = "microsoft", LOGIN_MS("https://login.microsoftonline.com"),
    SCOPES_MS("https://outlook.office.com"), .tenant = "common",
    .app = "https://outlook.office365.com/.default" },
{ .name = "microsoft-personal",
    LOGIN_MS("https://login.microsoftonline.com"),
    SCOPES_MS("https://outlook.office.com"), .tenant = "consumers" },
{ .name = "microsoft-usgov", LOGIN_MS("https://login.microsoftonline.us"),
    SCOPES_MS("https://outlook.office365.us"), .tenant = "organizations",
    .app = "https://outlook.office365.us/.default" },
{ .name = "microsoft-usgov-dod",
    LOGIN_MS("https://login.microsoftonline.us"),
    SCOPES_MS("https://outlook.office365.us"), .tenant = "organizations",
    .app = "https://outlook.office365.us/.default" },
{ .name = "microsoft-china",
    LOGIN_MS("https://login.partner.microsoftonline.cn"),
    SCOPES_MS("https://partner.outlook.cn"), .tenant = "organizations",
    .app = "https://partner.outlook.cn/.default" },
/* Without access_type and prompt a second login brings no refresh token; its
 * device flow is not for mail. */
{ .name = "google", .authorize = "https://accounts.google.com/o/oauth2/v2/auth",
    .token = "https://oauth2.googleapis.com/token",
    .revoke = "https://oauth2.googleapis.com/revoke",
    .smtp = "https://mail.google.com/", .imap = "https://mail.google.com/",
    .extra = "&access_type=offline&prompt=consent" },
{ .name = "yahoo",
    .authorize = "https://api.login.yahoo.com/oauth2/request_auth",
    .token = "https://api.login.yahoo.com/oauth2/get_token",
    .smtp = "mail-w", .imap = "mail-r" },
{ .name = "aol", .authorize = "https://api.login.aol.com/oauth2/request_auth",
    .token = "https://api.login.aol.com/oauth2/get_token",
    .smtp = "mail-w", .imap = "mail-r" },
{ .name = "fastmail", .authorize = "https://api.fastmail.com/oauth/authorize",
    .token = "https://api.fastmail.com/oauth/refresh",
    .smtp = "https://www.fastmail.com/dev/protocol-smtp",
    .imap = "https://www.fastmail.com/dev/protocol-imap" },
{ .name = "yandex", .authorize = "https://oauth.yandex.com/authorize",
    .token = "https://oauth.yandex.com/token", .smtp = "mail:smtp",
    .imap = "mail:imap_full" },
{ .name = "mailru", .authorize = "https://o2.mail.ru/login",
    .token = "https://o2.mail.ru/token", .smtp = "mail.imap",
    .imap = "mail.imap" },
{ .name = "seznam",
    .authorize = "https://login.seznam.cz/api/v1/oauth/auth",
    .token = "https://login.seznam.cz/api/v1/oauth/token",
    .smtp = "identity", .imap = "identity" },
{ .name = "comcast", .authorize = "https://oauth.xfinity.com/oauth/authorize",
    .token = "https://oauth.xfinity.com/oauth/token",
    .smtp = "https://email.comcast.net/ profile openid",
    .imap = "https://email.comcast.net/ profile openid" },
};

#define STARTTLS .tls = "starttls"
#define IMPLICIT .tls = "implicit"
#define PASSWORDS .mechanisms = "PLAIN LOGIN"
#define TOKENS .mechanisms = "XOAUTH2 OAUTHBEARER PLAIN LOGIN"

static const struct conf_provider providers[] = {
{ "microsoft365", "smtp.office365.com", 587, STARTTLS,
    .mechanisms = "XOAUTH2 LOGIN", .size = M(35), .connections = 3,
    .recipients = 500, .rate = 30, .per = MINUTE, .daily = 10000,
    .oauth = "microsoft", .note = "the sender must be the mailbox, or one "
    "that it may send as; SMTP AUTH must be on for the mailbox" },
{ "microsoft365-usgov", "smtp.office365.us", 587, STARTTLS,
    .mechanisms = "XOAUTH2 LOGIN", .size = M(35), .connections = 3,
    .recipients = 500, .rate = 30, .per = MINUTE, .daily = 10000,
    .oauth = "microsoft-usgov", .note = "as microsoft365" },
{ "microsoft365-china", "smtp.partner.outlook.cn", 587, STARTTLS,
    .mechanisms = "XOAUTH2 LOGIN", .size = M(35), .connections = 3,
    .recipients = 500, .rate = 30, .per = MINUTE, .daily = 10000,
    .oauth = "microsoft-china", .note = "as microsoft365" },
{ "microsoft365-hve", "smtp-hve.office365.com", 587, STARTTLS,
    .mechanisms = "XOAUTH2", .size = M(10), .connections = 3,
    .recipients = 50, .oauth = "microsoft",
    .note = "high volume, to recipients of the own tenant" },
{ "outlook.com", "smtp-mail.outlook.com", 587, STARTTLS,
    .mechanisms = "XOAUTH2", .size = M(25), .connections = 3,
    .recipients = 500, .rate = 30, .per = MINUTE, .daily = 300,
    .oauth = "microsoft-personal",
    .note = "personal accounts; passwords are not taken any more" },
{ "gmail", "smtp.gmail.com", 465, IMPLICIT, TOKENS, .size = M(25),
    .connections = 10, .recipients = 100, .daily = 500, .oauth = "google",
    .note = "rewrites From to the account; a password is an app password" },
{ "google-workspace", "smtp.gmail.com", 465, IMPLICIT, TOKENS,
    .size = M(25), .connections = 10, .recipients = 100, .daily = 2000,
    .oauth = "google", .note = "service accounts need domain-wide "
    "delegation for https://mail.google.com/" },
{ "google-relay", "smtp-relay.gmail.com", 587, STARTTLS, TOKENS,
    .size = M(25), .connections = 10, .recipients = 100, .daily = 10000,
    .oauth = "google", .note = "EHLO must say a domain of one's own" },
{ "ses", "email-smtp.{region}.amazonaws.com", 587, STARTTLS, PASSWORDS,
    .size = M(40), .connections = 10, .recipients = 50,
    .note = "written ses-REGION, as in ses-eu-west-1; user and password of "
    "SMTP, not the access key" },
{ "sendgrid", "smtp.sendgrid.net", 587, STARTTLS, PASSWORDS, .size = M(30),
    .recipients = 1000, .note = "the username is the word apikey" },
{ "mailgun", "smtp.mailgun.org", 587, STARTTLS, PASSWORDS, .size = M(25),
    .recipients = 1000 },
{ "mailgun-eu", "smtp.eu.mailgun.org", 587, STARTTLS, PASSWORDS,
    .size = M(25), .recipients = 1000 },
{ "postmark", "smtp.postmarkapp.com", 587, STARTTLS,
    .mechanisms = "PLAIN LOGIN CRAM-MD5", .size = M(10), .recipients = 50,
    .note = "the server token is user and password" },
{ "proton-bridge", "127.0.0.1", 1025, STARTTLS, PASSWORDS, .size = M(25),
    .note = "its certificate is its own: pin it by tls-fingerprint" },
{ "proton-smtp", "smtp.protonmail.ch", 587, STARTTLS, PASSWORDS,
    .size = M(25), .note = "an SMTP token of an address of one's own "
    "domain" },
{ "fastmail", "smtp.fastmail.com", 465, IMPLICIT, TOKENS, .size = M(70),
    .oauth = "fastmail", .note = "a password is an app password" },
{ "icloud", "smtp.mail.me.com", 587, STARTTLS,
    .mechanisms = "PLAIN LOGIN XOAUTH2", .size = M(20), .recipients = 100,
    .daily = 1000, .note = "an app-specific password" },
{ "yahoo", "smtp.mail.yahoo.com", 465, IMPLICIT, TOKENS, .size = M(25),
    .recipients = 100, .daily = 500, .oauth = "yahoo",
    .note = "a password is an app password" },
{ "aol", "smtp.aol.com", 465, IMPLICIT, TOKENS, .size = M(25),
    .recipients = 100, .daily = 500, .oauth = "aol",
    .note = "a password is an app password" },
{ "zoho", "smtp.zoho.com", 465, IMPLICIT, PASSWORDS, .size = M(20),
    .note = "the host depends on the data centre" },
{ "zoho-eu", "smtp.zoho.eu", 465, IMPLICIT, PASSWORDS, .size = M(20) },
{ "zoho-pro", "smtppro.zoho.com", 465, IMPLICIT, PASSWORDS,
    .size = M(40) },
{ "gmx", "mail.gmx.net", 587, STARTTLS, PASSWORDS, .size = M(50),
    .note = "POP3 and IMAP must be switched on in the settings" },
{ "gmx.com", "mail.gmx.com", 587, STARTTLS, PASSWORDS, .size = M(50) },
{ "web.de", "smtp.web.de", 587, STARTTLS, PASSWORDS, .size = M(50),
    .note = "POP3 and IMAP must be switched on in the settings" },
{ "mailjet", "in-v3.mailjet.com", 587, STARTTLS, PASSWORDS, .size = M(15),
    .recipients = 50, .note = "API key and secret" },
{ "brevo", "smtp-relay.brevo.com", 587, STARTTLS, PASSWORDS,
    .size = M(20) },
{ "smtp2go", "mail.smtp2go.com", 587, STARTTLS,
    .mechanisms = "PLAIN LOGIN CRAM-MD5", .size = M(50), .recipients = 100 },
{ "migadu", "smtp.migadu.com", 465, IMPLICIT, PASSWORDS, .size = M(30) },
{ "infomaniak", "mail.infomaniak.com", 465, IMPLICIT, PASSWORDS,
    .size = M(25), .daily = 1440 },
{ "resend", "smtp.resend.com", 465, IMPLICIT, PASSWORDS, .size = M(40),
    .recipients = 50, .rate = 2, .per = SECOND,
    .note = "the username is the word resend" },
{ "sparkpost", "smtp.sparkpostmail.com", 587, STARTTLS, PASSWORDS,
    .size = M(20), .note = "the username is SMTP_Injection" },
{ "sparkpost-eu", "smtp.eu.sparkpostmail.com", 587, STARTTLS, PASSWORDS,
    .size = M(20), .note = "the username is SMTP_Injection" },
{ "mailtrap", "live.smtp.mailtrap.io", 587, STARTTLS, PASSWORDS,
    .size = M(10), .note = "the username is the word api" },
{ "mandrill", "smtp.mandrillapp.com", 587, STARTTLS, PASSWORDS },
{ "mailersend", "smtp.mailersend.net", 587, STARTTLS, PASSWORDS },
{ "elastic", "smtp.elasticemail.com", 465, IMPLICIT, PASSWORDS },
{ "forwardemail", "smtp.forwardemail.net", 465, IMPLICIT, PASSWORDS },
{ "yandex", "smtp.yandex.com", 465, IMPLICIT,
    .mechanisms = "PLAIN LOGIN XOAUTH2", .oauth = "yandex" },
{ "mail.ru", "smtp.mail.ru", 465, IMPLICIT,
    .mechanisms = "PLAIN LOGIN XOAUTH2", .oauth = "mailru" },
{ "seznam", "smtp.seznam.cz", 465, IMPLICIT, PASSWORDS, .oauth = "seznam" },
{ "comcast", "smtp.comcast.net", 587, STARTTLS, PASSWORDS,
    .oauth = "comcast" },
{ "qq", "smtp.qq.com", 465, IMPLICIT, PASSWORDS },
{ "163", "smtp.163.com", 465, IMPLICIT, PASSWORDS },
};

#define COUNT(t) (sizeof(t) / sizeof((t)[0]))

const struct conf_oauth_provider *
conf_oauth_provider_at(size_t i)
{
	return i < COUNT(oauth_providers) ? &oauth_providers[i] : NULL;
}

const struct conf_oauth_provider *
conf_oauth_provider_find(const char *name)
{
	size_t i;

	for (i = 0; name != NULL && i < COUNT(oauth_providers); i++)
		if (strcmp(oauth_providers[i].name, name) == 0)
			return &oauth_providers[i];
	return NULL;
}

const struct conf_provider *
conf_provider_at(size_t i)
{
	return i < COUNT(providers) ? &providers[i] : NULL;
}

/* A region is a label: what stands behind `ses-`. */
static bool
is_region(const char *s)
{
	size_t n = strlen(s);

	return n > 0 && n <= 32 &&
	    strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == n;
}

const struct conf_provider *
conf_provider_find(const char *name)
{
	const struct conf_provider *p;
	size_t n;

	for (p = providers; p < providers + COUNT(providers); p++) {
		n = strlen(p->name);
		if (strchr(p->host, '{') == NULL ? strcmp(p->name, name) == 0 :
		    strncmp(p->name, name, n) == 0 && name[n] == '-' &&
		    is_region(name + n + 1))
			return p;
	}
	return NULL;
}

const char *
conf_provider_suggest(const char *name, char *buf, size_t n)
{
	const char *names[COUNT(providers)];
	size_t i;

	for (i = 0; i < COUNT(providers); i++)
		names[i] = providers[i].name;
	return conf_suggestion(name, names, COUNT(providers), buf, n);
}

const char *
conf_provider_host(const struct conf_provider *p, const char *name, char *buf,
    size_t n)
{
	const char *open = strchr(p->host, '{'), *close;

	close = open != NULL ? strchr(open, '}') : NULL;
	if (close == NULL)
		snprintf(buf, n, "%s", p->host);
	else
		snprintf(buf, n, "%.*s%s%s", (int)(open - p->host), p->host,
		    name + strlen(p->name) + 1, close + 1);
	return buf;
}
