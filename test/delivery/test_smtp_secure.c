/* TLS and AUTH of the SMTP client. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "delivery/dialogue.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define EHLO "C: EHLO us.example\n"
#define HELLO "S: 220 mx.example\n" EHLO
#define OFFER HELLO "S: 250-mx.example\nS: 250-SIZE 10\nS: 250 STARTTLS\n"
#define UP OFFER "C: STARTTLS\nS: 220 go\nTLS\n"
#define OK "S: 250 2.0.0 ok\n"
#define OPEN "C: MAIL FROM:<s@example>\n" OK "C: RCPT TO:<a@example>\n" OK \
	"C: DATA\nS: 354 go\n"
#define BODY "C: Received: by us\nC: Subject: x\nC:\nC: hello\nC: .\n"
#define SENT OPEN BODY OK
#define GOOD "ready done(settled:250/2.0.0) ready"

static void
starttls(void **state)
{
	static const struct dialogue d[] = {
		{ .name = "where it is offered",
		  .tls = TLS_OPPORTUNISTIC,
		  .script = UP EHLO "S: 250 mx.example\n" SENT,
		  .events = GOOD },
		{ .name = "where it is required",
		  .tls = TLS_REQUIRED,
		  .script = UP EHLO "S: 250 mx.example\n" SENT,
		  .events = GOOD },
		{ .name = "offers made in plain are forgotten",
		  .tls = TLS_REQUIRED,
		  .script = UP EHLO "S: 250-mx.example\nS: 250 STARTTLS\n"
		  SENT,
		  .events = GOOD },
		{ .name = "not offered, not required",
		  .tls = TLS_OPPORTUNISTIC,
		  .script = HELLO "S: 250 mx.example\n" SENT,
		  .events = GOOD },
		{ .name = "not offered, but required",
		  .tls = TLS_REQUIRED,
		  .script = HELLO "S: 250 mx.example\nC: QUIT\n",
		  .events = "unreachable", .text = "does not offer" },
		{ .name = "off although it is offered",
		  .tls = TLS_OFF,
		  .script = HELLO "S: 250-mx.example\nS: 250 STARTTLS\n" SENT,
		  .events = GOOD },
		{ .name = "refused, not required",
		  .tls = TLS_OPPORTUNISTIC,
		  .script = HELLO "S: 250-mx.example\nS: 250 STARTTLS\n"
		  "C: STARTTLS\nS: 454 not now\n" SENT,
		  .events = GOOD },
		{ .name = "refused, but required",
		  .tls = TLS_REQUIRED,
		  .script = OFFER "C: STARTTLS\nS: 454 not now\nC: QUIT\n",
		  .events = "unreachable", .text = "454 not now" },
		{ .name = "octets behind the 220 end it",
		  .tls = TLS_REQUIRED,
		  .script = OFFER "C: STARTTLS\nS: 220 go\n"
		  "S: 250 injected\nWAIT",
		  .events = "unreachable" },
		{ .name = "a handshake that fails can be done without",
		  .tls = TLS_OPPORTUNISTIC,
		  .script = OFFER "C: STARTTLS\nS: 220 go\nIDLE\nBADTLS\nWAIT",
		  .events = "tls", .text = "handshake" },
		{ .name = "or cannot",
		  .tls = TLS_REQUIRED,
		  .script = OFFER "C: STARTTLS\nS: 220 go\nIDLE\nBADTLS\nWAIT",
		  .events = "unreachable", .text = "handshake" },
		{ .name = "an unknown certificate where it is verified",
		  .tls = TLS_REQUIRED, .verify = true,
		  .script = OFFER "C: STARTTLS\nS: 220 go\nTLS\nWAIT",
		  .events = "unreachable", .text = "TLS" },
		{ .name = "the connection ends in the handshake",
		  .tls = TLS_REQUIRED,
		  .script = OFFER "C: STARTTLS\nS: 220 go\nIDLE\nCLOSE\nWAIT",
		  .events = "unreachable" },
		{ .name = "TLS from the first octet",
		  .tls = TLS_IMPLICIT,
		  .script = "TLS\n" HELLO "S: 250 mx.example\n" SENT,
		  .events = GOOD },
		{ .name = "plain where TLS is implicit",
		  .tls = TLS_IMPLICIT,
		  .script = "S: 220 mx.example\nWAIT",
		  .events = "unreachable" },
	};

	(void)state;
	dialogue_run_all(d, COUNT(d));
}

#define LOGIN HELLO "S: 250-mx.example\nS: 250 AUTH PLAIN SCRAM-SHA-256\n"

static void
auth(void **state)
{
	static const struct dialogue d[] = {
		{ .name = "an initial response",
		  .credential = true,
		  .script = "AUTH ok PLAIN abc\n" LOGIN
		  "C: AUTH PLAIN YWJj\nS: 235 2.7.0 ok\n" SENT,
		  .events = GOOD },
		{ .name = "an empty one",
		  .credential = true,
		  .script = "AUTH ok EXTERNAL empty\n" LOGIN
		  "C: AUTH EXTERNAL =\nS: 235 2.7.0 ok\n" SENT,
		  .events = GOOD },
		{ .name = "several steps, the last without data",
		  .credential = true,
		  .script = "AUTH continue SCRAM-SHA-256 n,,n=u\n"
		  "AUTH continue - proof\nAUTH ok - -\n" LOGIN
		  "C: AUTH SCRAM-SHA-256 biwsbj11\nS: 334 cj14\n"
		  "C: cHJvb2Y=\nS: 334 dj0x\nC:\nS: 235 ok\n" SENT,
		  .events = GOOD },
		{ .name = "none: the server asks first",
		  .credential = true,
		  .script = "AUTH continue LOGIN -\nAUTH continue - u\n"
		  "AUTH ok - p\n" LOGIN "C: AUTH LOGIN\nS: 334 VXNlcg==\n"
		  "C: dQ==\nS: 334\nC: cA==\nS: 235 ok\n" SENT,
		  .events = GOOD },
		{ .name = "235 before our side has checked the server's",
		  .credential = true,
		  .script = "AUTH continue SCRAM-SHA-256 n,,n=u\n" LOGIN
		  "C* 1\nS: 235 welcome\nWAIT",
		  .events = "unreachable", .text = "before AUTH is finished" },
		{ .name = "refused",
		  .credential = true,
		  .script = "AUTH ok PLAIN abc\n" LOGIN "C* 1\n"
		  "S: 535 5.7.8 bad credentials\nC: QUIT\n",
		  .events = "credential", .text = "535 5.7.8" },
		{ .name = "not now",
		  .credential = true,
		  .script = "AUTH ok PLAIN abc\n" LOGIN "C* 1\n"
		  "S: 454 4.7.0 later\nC: QUIT\n",
		  .events = "unreachable", .text = "454 4.7.0" },
		{ .name = "no common mechanism",
		  .credential = true,
		  .script = "AUTH nomech - -\n" LOGIN "C: QUIT\n",
		  .events = "credential", .text = "mechanism" },
		{ .name = "no credential",
		  .credential = true,
		  .script = "AUTH refused - -\n" LOGIN "C: QUIT\n",
		  .events = "credential" },
		{ .name = "no credential for the moment",
		  .credential = true,
		  .script = "AUTH temporary - -\n" LOGIN "C: QUIT\n",
		  .events = "unreachable" },
		{ .name = "no AUTH",
		  .credential = true,
		  .script = HELLO "S: 250 mx.example\nC: QUIT\n",
		  .events = "credential", .text = "offers no AUTH" },
		{ .name = "a challenge that auth does not like",
		  .credential = true,
		  .script = "AUTH continue SCRAM-SHA-256 n,,n=u\n"
		  "AUTH refused - -\n" LOGIN "C* 1\nS: 334 cj14\nC: *\n"
		  "S: 501 cancelled\nC: QUIT\n",
		  .events = "credential" },
		{ .name = "a challenge that is not base64",
		  .credential = true,
		  .script = "AUTH continue SCRAM-SHA-256 n,,n=u\n" LOGIN
		  "C* 1\nS: 334 ???\nC: *\nS: 501 cancelled\nC: QUIT\n",
		  .events = "unreachable", .text = "base64" },
		{ .name = "250 instead of 235",
		  .credential = true,
		  .script = "AUTH ok PLAIN abc\n" LOGIN "C* 1\n"
		  "S: 250 ok\nWAIT",
		  .events = "unreachable" },
		{ .name = "the connection ends",
		  .credential = true,
		  .script = "AUTH ok PLAIN abc\n" LOGIN "C* 1\nCLOSE\nWAIT",
		  .events = "unreachable" },
		{ .name = "after TLS only what is offered there counts",
		  .credential = true, .tls = TLS_REQUIRED,
		  .script = "AUTH ok PLAIN abc\n"
		  HELLO "S: 250-x\nS: 250-AUTH CRAM-MD5\nS: 250 STARTTLS\n"
		  "C: STARTTLS\nS: 220 go\nTLS\n" EHLO
		  "S: 250-x\nS: 250 AUTH PLAIN\nC: AUTH PLAIN YWJj\n"
		  "S: 235 ok\n" SENT,
		  .events = GOOD },
	};

	(void)state;
	dialogue_run_all(d, COUNT(d));
}

/* An initial response that would make the line longer than 512 octets waits
 * for the server's 334. */
#define X64 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define X384 X64 X64 X64 X64 X64 X64

static void
long_token(void **state)
{
	static const struct dialogue d[] = {
		{ .name = "a long initial response",
		  .credential = true,
		  .script = "AUTH ok XOAUTH2 " X384 "\n" LOGIN
		  "C: AUTH XOAUTH2\nS: 334 \nC* 1\nS: 235 ok\n" SENT,
		  .events = GOOD },
		{ .name = "235 before it was shown",
		  .credential = true,
		  .script = "AUTH ok XOAUTH2 " X384 "\n" LOGIN
		  "C: AUTH XOAUTH2\nS: 235 ok\nWAIT",
		  .events = "unreachable" },
	};

	(void)state;
	dialogue_run_all(d, COUNT(d));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(starttls),
		cmocka_unit_test(auth),
		cmocka_unit_test(long_token),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
