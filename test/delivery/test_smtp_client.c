/* What the SMTP client says to servers of all kinds, and what it makes of
 * their answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "delivery/dialogue.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define HELLO "S: 220 mx.example\nC: EHLO us.example\n"
#define PLAIN HELLO "S: 250 mx.example\n"
#define PIPE HELLO "S: 250-mx.example\nS: 250 PIPELINING\n"
#define CHUNK HELLO "S: 250-mx.example\nS: 250-CHUNKING\nS: 250 PIPELINING\n"
#define MAIL "C: MAIL FROM:<s@example>\n"
#define RCPT(x) "C: RCPT TO:<" x "@example>\n"
#define OK "S: 250 2.0.0 ok\n"
#define BODY "C: Received: by us\nC: Subject: x\nC:\nC: hello\nC: .\n"
#define OPEN MAIL OK RCPT("a") OK "C: DATA\nS: 354 go\n"
#define SETTLED(x) "done(settled:" x ")"

static void
step_by_step(void **state)
{
	static const struct dialogue d[] = {
		{ .name = "a message to a server without extensions",
		  .script = PLAIN OPEN BODY "S: 250 2.0.0 queued as 1\nQUIET",
		  .events = "ready " SETTLED("250/2.0.0") " ready",
		  .text = "queued as 1" },
		{ .name = "HELO where EHLO is unknown",
		  .script = HELLO "S: 502 what?\nC: HELO us.example\n"
		  "S: 250 hi\n" OPEN BODY OK,
		  .events = "ready " SETTLED("250/2.0.0") " ready" },
		{ .name = "the second message in the same session",
		  .jobs = 2,
		  .script = PLAIN OPEN BODY OK OPEN BODY OK,
		  .events = "ready " SETTLED("250/2.0.0") " ready "
		  SETTLED("250/2.0.0") " ready" },
		{ .name = "the null sender",
		  .from = "",
		  .script = PLAIN "C: MAIL FROM:<>\n" OK RCPT("a") OK
		  "C: DATA\nS: 354 go\n" BODY OK,
		  .events = "ready " SETTLED("250/2.0.0") " ready" },
		{ .name = "dots are doubled",
		  .body = ".\r\n..x\r\ny.\r\n",
		  .script = PLAIN OPEN "C: Received: by us\nC: ..\nC: ...x\n"
		  "C: y.\nC: .\n" OK,
		  .events = "ready " SETTLED("250/2.0.0") " ready" },
		{ .name = "a body without a last line end gets one",
		  .body = "x\r\n\r\nend",
		  .script = PLAIN OPEN "C: Received: by us\nC: x\nC:\n"
		  "C: end\nC: .\n" OK,
		  .events = "ready " SETTLED("250/2.0.0") " ready" },
		{ .name = "a body in a file",
		  .file = true,
		  .script = PLAIN OPEN BODY OK,
		  .events = "ready " SETTLED("250/2.0.0") " ready" },
		{ .name = "SIZE and 8BITMIME as offered and declared",
		  .eight_bit = true,
		  .script = HELLO "S: 250-x\nS: 250-SIZE 1000\n"
		  "S: 250 8BITMIME\n"
		  "C: MAIL FROM:<s@example> SIZE=38 BODY=8BITMIME\n" OK
		  RCPT("a") OK "C: DATA\nS: 354 go\n" BODY OK,
		  .events = "ready " SETTLED("250/2.0.0") " ready" },
		{ .name = "DSN parameters where they are offered",
		  .dsn = true,
		  .script = HELLO "S: 250-x\nS: 250 DSN\n"
		  "C: MAIL FROM:<s@example> RET=HDRS ENVID=E1\n" OK
		  "C: RCPT TO:<a@example> NOTIFY=FAILURE\n" OK
		  "C: DATA\nS: 354 go\n" BODY OK,
		  .events = "ready " SETTLED("250/2.0.0") " ready" },
		{ .name = "a message above the server's SIZE is not offered",
		  .script = HELLO "S: 250-x\nS: 250 SIZE 20\nQUIET",
		  .events = "ready " SETTLED("552/5.3.4") " ready",
		  .text = "too large" },
		{ .name = "an address that needs SMTPUTF8 the server lacks",
		  .to = { "\xc3\xa4@example", "b@example" },
		  .script = PLAIN MAIL OK RCPT("b") OK "C: DATA\nS: 354 go\n"
		  BODY OK,
		  .events = "ready " SETTLED("553/5.6.7 250/2.0.0")
		  " ready" },
		{ .name = "and one that has it",
		  .to = { "\xc3\xa4@example" },
		  .script = HELLO "S: 250-x\nS: 250 SMTPUTF8\n"
		  "C: MAIL FROM:<s@example> SMTPUTF8\n" OK
		  "C: RCPT TO:<\xc3\xa4@example>\n" OK
		  "C: DATA\nS: 354 go\n" BODY OK,
		  .events = "ready " SETTLED("250/2.0.0") " ready" },
	};

	(void)state;
	dialogue_run_all(d, COUNT(d));
}

static void
sent_ahead(void **state)
{
	static const struct dialogue d[] = {
		{ .name = "MAIL, RCPT and DATA without waiting",
		  .script = PIPE MAIL RCPT("a") "C: DATA\n" OK OK
		  "S: 354 go\n" BODY OK,
		  .events = "ready " SETTLED("250/2.0.0") " ready" },
		{ .name = "BDAT with them where CHUNKING is offered",
		  .script = CHUNK MAIL RCPT("a") "C: BDAT 38 LAST\n"
		  "C: Received: by us\nC: Subject: x\nC:\nC: hello\n"
		  OK OK OK "QUIET",
		  .events = "ready " SETTLED("250/2.0.0") " ready" },
		{ .name = "a large one waits for the replies",
		  .file = true,
		  .script = CHUNK MAIL RCPT("a") "QUIET\n" OK OK
		  "C: BDAT 38 LAST\nC* 4\n" OK,
		  .events = "ready " SETTLED("250/2.0.0") " ready" },
		{ .name = "CHUNKING without PIPELINING",
		  .script = HELLO "S: 250-x\nS: 250 CHUNKING\n" MAIL OK
		  RCPT("a") OK "C: BDAT 38 LAST\nC* 4\n" OK,
		  .events = "ready " SETTLED("250/2.0.0") " ready" },
		{ .name = "BDAT for nobody is consumed and forgotten",
		  .script = CHUNK MAIL RCPT("a") "C* 5\n" OK
		  "S: 550 5.1.1 no\nS: 554 nobody\nC: RSET\n" OK "QUIET",
		  .events = "ready " SETTLED("550/5.1.1") " ready" },
		{ .name = "MAIL is refused and all behind it",
		  .script = PIPE MAIL RCPT("a") "C: DATA\nS: 550 5.7.1 no\n"
		  "S: 503 no MAIL\nS: 503 no RCPT\nC: RSET\n" OK,
		  .events = "ready " SETTLED("550/5.7.1") " ready",
		  .text = "550 5.7.1 no" },
		{ .name = "354 although nobody was taken: a lone dot",
		  .script = PIPE MAIL RCPT("a") "C: DATA\n" OK
		  "S: 550 5.1.1 no\nS: 354 go\nC: .\nS: 250 thanks\n"
		  "C: RSET\n" OK,
		  .events = "ready " SETTLED("550/5.1.1") " ready" },
		{ .name = "a large message takes many turns",
		  .large = 3000000,
		  .script = PIPE MAIL RCPT("a") "C: DATA\n" OK OK
		  "S: 354 go\nC* 3\n" OK,
		  .events = "ready " SETTLED("250/2.0.0") " ready" },
		{ .name = "a large one in a chunk",
		  .large = 3000000, .file = true,
		  .script = CHUNK MAIL RCPT("a") OK OK
		  "C: BDAT 3000017 LAST\nC* 2\n" OK,
		  .events = "ready " SETTLED("250/2.0.0") " ready" },
	};

	(void)state;
	dialogue_run_all(d, COUNT(d));
}

static void
several_recipients(void **state)
{
	static const struct dialogue d[] = {
		{ .name = "each one has a result of its own",
		  .to = { "a@example", "b@example", "c@example" },
		  .script = PIPE MAIL RCPT("a") RCPT("b") RCPT("c") "C: DATA\n"
		  OK "S: 250 2.1.5 ok\nS: 550 5.1.1 no b\nS: 450 4.2.1 c\n"
		  "S: 354 go\n" BODY OK,
		  .events = "ready " SETTLED("250/2.0.0 550/5.1.1 450/4.2.1")
		  " ready" },
		{ .name = "all refused, one by one",
		  .to = { "a@example", "b@example" },
		  .script = PLAIN MAIL OK RCPT("a") "S: 550 5.1.1 no\n"
		  RCPT("b") "S: 551 5.1.6 no\nC: RSET\n" OK,
		  .events = "ready " SETTLED("550/5.1.1 551/5.1.6")
		  " ready" },
		{ .name = "DATA refused for those that were taken",
		  .to = { "a@example", "b@example" },
		  .script = PLAIN MAIL OK RCPT("a") OK RCPT("b")
		  "S: 550 5.1.1 no\nC: DATA\nS: 451 4.3.0 later\nC: RSET\n" OK,
		  .events = "ready " SETTLED("451/4.3.0 550/5.1.1")
		  " ready" },
		{ .name = "too many: the rest in a second transaction",
		  .to = { "a@example", "b@example", "c@example" },
		  .script = PIPE MAIL RCPT("a") RCPT("b") RCPT("c") "C: DATA\n"
		  OK OK "S: 452 4.5.3 too many\nS: 552 too many\nS: 354 go\n"
		  BODY OK MAIL RCPT("b") "C: DATA\n" OK OK "S: 354 go\n"
		  BODY OK MAIL RCPT("c") "C: DATA\n" OK OK "S: 354 go\n"
		  BODY "S: 550 5.6.0 bad\nC: RSET\n" OK,
		  .events = "ready " SETTLED("250/2.0.0 250/2.0.0 550/5.6.0")
		  " ready" },
		{ .name = "a full mailbox is not one too many",
		  .to = { "a@example", "b@example" },
		  .script = PIPE MAIL RCPT("a") RCPT("b") "C: DATA\n"
		  OK OK "S: 552 5.2.2 full\nS: 354 go\n" BODY OK,
		  .events = "ready " SETTLED("250/2.0.0 552/5.2.2")
		  " ready" },
		{ .name = "452 to the first is its own",
		  .script = PIPE MAIL RCPT("a") "C: DATA\n"
		  OK "S: 452 too many\nS: 503 none\nC: RSET\n" OK,
		  .events = "ready " SETTLED("452/4.3.1") " ready" },
		{ .name = "no more in a transaction than configured",
		  .to = { "a@example", "b@example" }, .rcpt_max = 1,
		  .script = PLAIN OPEN BODY OK MAIL OK RCPT("b") OK
		  "C: DATA\nS: 354 go\n" BODY OK,
		  .events = "ready " SETTLED("250/2.0.0 250/2.0.0")
		  " ready" },
		{ .name = "nor than LIMITS allows",
		  .to = { "a@example", "b@example" },
		  .script = HELLO "S: 250-x\nS: 250 LIMITS RCPTMAX=1\n"
		  OPEN BODY OK MAIL OK RCPT("b") OK
		  "C: DATA\nS: 354 go\n" BODY OK,
		  .events = "ready " SETTLED("250/2.0.0 250/2.0.0")
		  " ready" },
		{ .name = "LIMITS MAILMAX: the rest in another session",
		  .to = { "a@example", "b@example" },
		  .script = HELLO
		  "S: 250-x\nS: 250 LIMITS RCPTMAX=1 MAILMAX=1\n"
		  OPEN BODY OK "C: QUIT\n",
		  .events = "ready again" },
		{ .name = "LMTP answers for each recipient",
		  .to = { "a@example", "b@example", "c@example" },
		  .lmtp = true,
		  .script = "S: 220 x\nC: LHLO us.example\nS: 250-x\n"
		  "S: 250 PIPELINING\n" MAIL RCPT("a") RCPT("b") RCPT("c")
		  "C: DATA\n" OK OK "S: 550 5.1.1 no\n" OK "S: 354 go\n" BODY
		  "S: 250 2.1.5 a\nS: 452 4.2.2 full\n",
		  .events = "ready " SETTLED("250/2.1.5 550/5.1.1 452/4.2.2")
		  " ready" },
	};

	(void)state;
	dialogue_run_all(d, COUNT(d));
}

static void
refusals(void **state)
{
	static const struct dialogue d[] = {
		{ .name = "MAIL for good",
		  .script = PLAIN MAIL "S: 550 5.1.8 no\nC: RSET\n" OK,
		  .events = "ready " SETTLED("550/5.1.8") " ready" },
		{ .name = "MAIL for now",
		  .script = PLAIN MAIL "S: 451 4.3.0 later\nC: RSET\n" OK,
		  .events = "ready " SETTLED("451/4.3.0") " ready" },
		{ .name = "the message",
		  .script = PLAIN OPEN BODY
		  "S: 554-5.7.1 spam\nS: 554 5.7.1 really\nC: RSET\n" OK,
		  .events = "ready " SETTLED("554/5.7.1") " ready",
		  .text = "really" },
		{ .name = "a reply without an enhanced code",
		  .script = PLAIN OPEN BODY "S: 550 no\nC: RSET\n" OK,
		  .events = "ready " SETTLED("550/5.0.0") " ready" },
		{ .name = "RSET is refused too: no further use",
		  .script = PLAIN MAIL "S: 550 no\nC: RSET\nS: 500 what\n"
		  "C: QUIT\n",
		  .events = "ready " SETTLED("550/5.0.0") " closed" },
		{ .name = "login demanded at MAIL is no bounce",
		  .script = PLAIN MAIL "S: 530 5.7.0 login first\nC: RSET\n" OK,
		  .events = "ready done(credential:450/4.7.0) ready" },
		{ .name = "a daily limit is no bounce",
		  .script = PLAIN OPEN BODY "S: 550 5.7.1 Daily SMTP relay "
		  "limit exceeded for customer.\nC: RSET\n" OK,
		  .events = "ready done(quota:450/4.7.0) ready" },
		{ .name = "but those that got through stay so",
		  .to = { "a@example", "b@example" }, .rcpt_max = 1,
		  .script = PLAIN OPEN BODY OK MAIL "S: 550 5.7.1 Daily SMTP "
		  "relay limit exceeded\nC: RSET\n" OK,
		  .events = "ready " SETTLED("250/2.0.0 450/4.7.0")
		  " ready" },
	};

	(void)state;
	dialogue_run_all(d, COUNT(d));
}

/* Whether the session is one too many, its owner knows. */
static void
one_too_many(void **state)
{
	static const struct dialogue d[] = {
		{ .name = "at the greeting",
		  .script = "S: 421 4.7.0 later\nWAIT",
		  .events = "full", .text = "421 4.7.0 later" },
		{ .name = "at the greeting, and it goes on to listen",
		  .script = "S: 450 4.3.2 not now\nC: QUIT\n",
		  .events = "full", .text = "greeting refused: 450" },
		{ .name = "for good, as some say it",
		  .script = "S: 554 5.7.1 too many connections\nC: QUIT\n",
		  .events = "full" },
		{ .name = "at EHLO",
		  .script = HELLO "S: 432 4.3.2 concurrent connections\n"
		  "C: QUIT\n",
		  .events = "full", .text = "EHLO refused: 432" },
		{ .name = "at MAIL",
		  .script = PLAIN MAIL "S: 432 4.3.2 Concurrent connections "
		  "limit exceeded\nC: QUIT\n",
		  .events = "ready full", .text = "432 4.3.2" },
		{ .name = "closed at the first MAIL, no word why",
		  .script = PLAIN MAIL "S: 421 4.7.0 bye\n",
		  .events = "ready shut", .text = "421 4.7.0 bye" },
		{ .name = "after the message, as one provider says it",
		  .script = PLAIN OPEN BODY
		  "S: 432 4.3.2 sender thread limit exceeded\nC: QUIT\n",
		  .events = "ready full", .text = "432 4.3.2" },
		{ .name = "another 4xx to MAIL is the message's",
		  .script = PLAIN MAIL "S: 450 4.7.1 slow down\n"
		  "C: RSET\n" OK,
		  .events = "ready " SETTLED("450/4.7.1") " ready" },
	};

	(void)state;
	dialogue_run_all(d, COUNT(d));
}

static void
unreachable(void **state)
{
	static const struct dialogue d[] = {
		{ .name = "no service at the greeting",
		  .script = "S: 554 no service\nC: QUIT\n",
		  .events = "unreachable", .text = "554 no service" },
		{ .name = "a strange greeting",
		  .script = "S: 250 hello\nC: QUIT\n",
		  .events = "unreachable" },
		{ .name = "no SMTP at all",
		  .script = "S: SSH-2.0-OpenSSH_9.2\nWAIT",
		  .events = "unreachable", .text = "greeting" },
		{ .name = "closed before the greeting",
		  .script = "CLOSE\nWAIT",
		  .events = "unreachable", .text = "lost connection" },
		{ .name = "silence instead of a greeting",
		  .timeout = 1,
		  .script = "WAIT",
		  .events = "unreachable", .text = "timed out" },
		{ .name = "EHLO refused",
		  .script = HELLO "S: 550 go away\nC: QUIT\n",
		  .events = "unreachable", .text = "EHLO refused: 550" },
		{ .name = "HELO refused",
		  .script = HELLO "S: 500 what\nC: HELO us.example\n"
		  "S: 501 no\nC: QUIT\n",
		  .events = "unreachable", .text = "HELO refused: 501 no" },
		{ .name = "closed after EHLO",
		  .script = HELLO "RESET\nWAIT",
		  .events = "unreachable", .text = "EHLO" },
		{ .name = "a reply before EHLO",
		  .script = "S: 220 hi\nS: 250 there\nWAIT",
		  .events = "unreachable", .text = "unasked" },
	};

	(void)state;
	dialogue_run_all(d, COUNT(d));
}

/* Recipients without a final answer are tried again later. */
static void
lost(void **state)
{
	static const struct dialogue d[] = {
		{ .name = "after MAIL",
		  .script = PLAIN MAIL "CLOSE\nWAIT",
		  .events = "ready " SETTLED("451/4.4.2") " closed",
		  .text = "lost connection" },
		{ .name = "after RCPT, which was refused for one",
		  .to = { "a@example", "b@example" },
		  .script = PLAIN MAIL OK RCPT("a") "S: 550 5.1.1 no\n"
		  RCPT("b") "RESET\nWAIT",
		  .events = "ready " SETTLED("550/5.1.1 451/4.4.2")
		  " closed" },
		{ .name = "after DATA",
		  .script = PLAIN MAIL OK RCPT("a") OK "C: DATA\nCLOSE\nWAIT",
		  .events = "ready " SETTLED("451/4.4.2") " closed" },
		{ .name = "in the message",
		  .large = 8000000,
		  .script = PLAIN OPEN "C* 1\nRESET\nWAIT",
		  .events = "ready " SETTLED("451/4.4.2") " closed",
		  .text = "sending the message" },
		{ .name = "after the message, before its reply",
		  .script = PLAIN OPEN BODY "CLOSE\nWAIT",
		  .events = "ready " SETTLED("451/4.4.2") " closed" },
		{ .name = "a reply cut off is none",
		  .script = PLAIN OPEN BODY "RAW 250 ok\nCLOSE\nWAIT",
		  .events = "ready " SETTLED("451/4.4.2") " closed" },
		{ .name = "a continued reply without its last line is none",
		  .script = PLAIN OPEN BODY "S: 250-ok\nCLOSE\nWAIT",
		  .events = "ready " SETTLED("451/4.4.2") " closed" },
		{ .name = "the reply and the end in one",
		  .script = PLAIN OPEN BODY OK "CLOSE\nWAIT",
		  .events = "ready " SETTLED("250/2.0.0") " ready closed" },
		{ .name = "silence after MAIL",
		  .timeout = 1,
		  .script = PLAIN MAIL "WAIT",
		  .events = "ready " SETTLED("451/4.4.2") " closed",
		  .text = "timed out" },
		{ .name = "silence after the message",
		  .timeout = 200,
		  .script = PLAIN OPEN BODY "WAIT",
		  .events = "ready " SETTLED("451/4.4.2") " closed",
		  .text = "timed out" },
		{ .name = "421 to RCPT",
		  .to = { "a@example", "b@example" },
		  .script = PIPE MAIL RCPT("a") RCPT("b") "C: DATA\n" OK
		  "S: 550 5.1.1 no\nS: 421 4.3.2 shutting down\nWAIT",
		  .events = "ready " SETTLED("550/5.1.1 421/4.3.2")
		  " closed", .text = "shutting down" },
		{ .name = "421 to the message",
		  .script = PLAIN OPEN BODY "S: 421 4.3.2 sorry\nWAIT",
		  .events = "ready " SETTLED("421/4.3.2") " closed" },
		{ .name = "421 while idle",
		  .script = PLAIN OPEN BODY OK "IDLE\nS: 421 bye\nWAIT",
		  .events = "ready " SETTLED("250/2.0.0") " ready closed" },
	};

	(void)state;
	dialogue_run_all(d, COUNT(d));
}

/* Nothing is taken for delivered but what was, and the session ends. */
static void
liars(void **state)
{
	static const struct dialogue d[] = {
		{ .name = "250 to nothing",
		  .script = PLAIN MAIL "S: 250 ok\nS: 250 ok\nWAIT",
		  .events = "ready " SETTLED("451/4.4.0") " closed",
		  .text = "unasked" },
		{ .name = "the final reply before the message",
		  .script = PLAIN MAIL OK RCPT("a") OK
		  "C: DATA\nS: 354 go\nS: 250 got it\nWAIT",
		  .events = "ready " SETTLED("451/4.4.0") " closed" },
		{ .name = "250 to DATA",
		  .script = PLAIN MAIL OK RCPT("a") OK
		  "C: DATA\nS: 250 ok\nWAIT",
		  .events = "ready " SETTLED("451/4.4.0") " closed" },
		{ .name = "250 to everything, ahead of time",
		  .script = PIPE MAIL RCPT("a") "C: DATA\n" OK OK OK OK OK
		  "WAIT",
		  .events = "ready " SETTLED("451/4.4.0") " closed" },
		{ .name = "a reply in the middle of the message",
		  .large = 8000000,
		  .script = PLAIN OPEN "C* 1\nS: 250 enough\nWAIT",
		  .events = "ready " SETTLED("451/4.4.0") " closed" },
		{ .name = "354 to MAIL",
		  .script = PLAIN MAIL "S: 354 go\nWAIT",
		  .events = "ready " SETTLED("451/4.4.0") " closed" },
		{ .name = "354 to RCPT",
		  .script = PLAIN MAIL OK RCPT("a") "S: 354 go\nWAIT",
		  .events = "ready " SETTLED("451/4.4.0") " closed" },
		{ .name = "354 to the message",
		  .script = PLAIN OPEN BODY "S: 354 more\nWAIT",
		  .events = "ready " SETTLED("451/4.4.0") " closed" },
		{ .name = "code 999",
		  .script = PLAIN OPEN BODY "S: 999 ok\nWAIT",
		  .events = "ready " SETTLED("451/4.4.0") " closed" },
		{ .name = "no reply at all",
		  .script = PLAIN OPEN BODY "S: ok, thanks\nWAIT",
		  .events = "ready " SETTLED("451/4.4.0") " closed" },
		{ .name = "codes that differ",
		  .script = PLAIN OPEN BODY "S: 550-no\nS: 250 yes\nWAIT",
		  .events = "ready " SETTLED("451/4.4.0") " closed" },
		{ .name = "a 250 too many is nobody's",
		  .jobs = 2,
		  .script = PLAIN OPEN BODY OK "S: 250 ok\nWAIT",
		  .events = "ready " SETTLED("250/2.0.0") " closed" },
	};

	(void)state;
	dialogue_run_all(d, COUNT(d));
}

/* In a session used before, the loss says nothing about the message. */
static void
stale(void **state)
{
	static const struct dialogue d[] = {
		{ .name = "closed before the reply to MAIL",
		  .jobs = 2,
		  .script = PLAIN OPEN BODY OK MAIL "CLOSE\nWAIT",
		  .events = "ready " SETTLED("250/2.0.0") " ready again" },
		{ .name = "421 to MAIL",
		  .jobs = 2,
		  .script = PLAIN OPEN BODY OK MAIL "S: 421 too long\nWAIT",
		  .events = "ready " SETTLED("250/2.0.0") " ready again" },
		{ .name = "but after MAIL it does",
		  .jobs = 2,
		  .script = PLAIN OPEN BODY OK MAIL OK RCPT("a")
		  "CLOSE\nWAIT",
		  .events = "ready " SETTLED("250/2.0.0") " ready "
		  SETTLED("451/4.4.2") " closed" },
	};

	(void)state;
	dialogue_run_all(d, COUNT(d));
}

/* A damaged body never becomes a message. */
static void
damaged(void **state)
{
	static const struct dialogue d[] = {
		{ .name = "found before the dot",
		  .wrong_crc = true,
		  .script = PLAIN MAIL OK RCPT("a") OK
		  "C: DATA\nS: 354 go\nWAIT\nQUIET",
		  .events = "ready done(broken:451/4.3.0) closed" },
		{ .name = "in a file",
		  .wrong_crc = true, .file = true,
		  .script = PLAIN MAIL OK RCPT("a") OK
		  "C: DATA\nS: 354 go\nWAIT\nQUIET",
		  .events = "ready done(broken:451/4.3.0) closed" },
		{ .name = "found before the chunk",
		  .wrong_crc = true,
		  .script = CHUNK "WAIT\nQUIET",
		  .events = "ready done(broken:451/4.3.0) closed" },
	};

	(void)state;
	dialogue_run_all(d, COUNT(d));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(step_by_step),
		cmocka_unit_test(sent_ahead),
		cmocka_unit_test(several_recipients),
		cmocka_unit_test(refusals),
		cmocka_unit_test(one_too_many),
		cmocka_unit_test(unreachable),
		cmocka_unit_test(lost),
		cmocka_unit_test(liars),
		cmocka_unit_test(stale),
		cmocka_unit_test(damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
