/* SASLprep: one form for user names and passwords that look or mean the same
 * (RFC 4013, a profile of stringprep, RFC 3454).  SCRAM hashes that form.
 *
 * RFC 8265 has a successor, OpaqueString, that keeps more apart; SCRAM's
 * peers do SASLprep, and a password has to come out as it does there.  RFC
 * 3454's tables are those of Unicode 3.2; ours are libunistring's, of today.
 * What was not assigned then is allowed here, as GNU SASL has it, or no
 * password could hold an emoji.  What was assigned comes out the same by
 * both, but for five characters that Unicode has corrected (test_saslprep.c
 * goes through them all), and some, Braille among them, count as written from
 * left to right today. */
#ifndef MAIL_SASLPREP_H
#define MAIL_SASLPREP_H

#include "base/slice.h"
#include "base/strbuf.h"

/* Appends the form of s.  -1: it has none, and nothing is appended: s is not
 * UTF-8, holds a control character or another that is prohibited, mixes
 * directions of writing in the wrong way, or nothing is left of it.  Printable
 * ASCII is its own form, and costs a look at each octet. */
int mail_saslprep(struct slice s, struct strbuf *out);

/* The same, but what has no form is taken as it is: a password that a server
 * knows works, whatever it is made of (PostgreSQL does so, too).  True: what
 * is appended differs from s. */
bool mail_saslprep_lenient(struct slice s, struct strbuf *out);

#endif
