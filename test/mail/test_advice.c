/* What a human is told to do about a refusal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "mail/advice.h"

static void
says(const char *reply, const char *word)
{
	const char *advice = mail_advice(reply);

	if (advice == NULL || strstr(advice, word) == NULL)
		fail_msg("%s: %s", reply, advice != NULL ? advice : "nothing");
}

static void
providers_refusals_have_a_next_step(void **state)
{
	(void)state;
	says("AUTH refused: 535 5.7.139 Authentication unsuccessful, "
	    "SmtpClientAuthentication is disabled for the Tenant. Visit "
	    "https://aka.ms/smtp_auth_disabled", "Set-TransportConfig");
	says("535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication"
	    " is disabled for the Mailbox.", "Set-CASMailbox");
	says("550 5.7.30 Basic authentication is not supported for Client "
	    "Submission.", "oauth2");
	says("535 5.7.3 Authentication unsuccessful [AM0PR01.example]",
	    "SMTP.Send");
	says("554 5.2.252 SendAsDenied; a@b.test not allowed to send as",
	    "Send As");
	says("534-5.7.9 Application-specific password required.",
	    "app password");
	says("535-5.7.8 Username and Password not accepted.", "app password");
	says("550 5.4.5 Daily user sending limit exceeded.", "quota");
	says("invalid_grant: AADSTS700082: The refresh token has expired",
	    "oauth login");
	says("connect to mx[192.0.2.1]:25: Connection refused", "port");
	says("connect to mx[192.0.2.1]:25: Connection timed out", "firewall");
	says("no common AUTH mechanism", "auth-mechanisms");
}

static void
kerberos_has_words_of_its_own(void **state)
{
	(void)state;
	says("AUTH: GSSAPI: Server smtp/mx.x.test@X.TEST not found in Kerberos "
	    "database", "smtp/HOST");
	says("AUTH: GSSAPI: Client 'a@X.TEST' not found in Kerberos database",
	    "username");
	says("AUTH: GSSAPI: Preauthentication failed", "ktadd");
	says("AUTH: GSSAPI: Decrypt integrity check failed", "ktadd");
	says("AUTH: GSSAPI: Clock skew too great", "NTP");
	says("AUTH: GSSAPI: Ticket expired (cache /x)", "kinit");
	says("AUTH: GSSAPI: No credentials cache found (cache /x)", "kinit");
	says("AUTH: GSSAPI: Cannot contact any KDC for realm 'X.TEST'",
	    "krb5.conf");
	assert_null(mail_advice("AUTH: GSSAPI: the server broke the exchange: "
	    "Decrypt integrity check failed"));
}

static void
what_is_not_known_has_none(void **state)
{
	(void)state;
	assert_null(mail_advice(NULL));
	assert_null(mail_advice(""));
	assert_null(mail_advice("550 5.1.1 no such user"));
	assert_null(mail_advice("451 4.7.1 greylisted"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(providers_refusals_have_a_next_step),
		cmocka_unit_test(kerberos_has_words_of_its_own),
		cmocka_unit_test(what_is_not_known_has_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
