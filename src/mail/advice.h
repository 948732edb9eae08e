/* What a human can do about a refusal: the next step behind the texts that
 * providers are known to send. */
#ifndef MAIL_ADVICE_H
#define MAIL_ADVICE_H

/* text: a reply or an error as it was logged, "535 5.7.139 ..." among other
 * words, or one of ours.  A sentence, static; NULL: nothing is known. */
const char *mail_advice(const char *text);

#endif
