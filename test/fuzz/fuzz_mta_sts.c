/* MTA-STS: records, policies and notes of them, any octets. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "mail/mta_sts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
again(const struct mta_sts_note *n)
{
	struct strbuf b = STRBUF_INIT;
	struct mta_sts_note back;

	mta_sts_note_encode(n, &b);
	if (b.n > MTA_STS_NOTE_MAX ||
	    mta_sts_note_decode(strbuf_slice(&b), &back) < 0 ||
	    back.policy.n_mx != n->policy.n_mx ||
	    back.policy.mode != n->policy.mode ||
	    mta_sts_note_expires(&back) != mta_sts_note_expires(n))
		abort();
	mta_sts_note_clear(&back);
	strbuf_free(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = slice_of(data, size), id;
	struct mta_sts_note n = { .fetched = 1, .id = "1" };
	struct err e = { 0, "" };

	(void)mta_sts_claims(text);
	if (mta_sts_record(text, &id, &e) == 0 && (id.p < text.p ||
	    id.p + id.n > text.p + text.n || id.n > MTA_STS_ID_MAX))
		abort();
	if (mta_sts_policy_parse(text, &n.policy, &e) == 0) {
		(void)mta_sts_covers(&n.policy, "mx.example.com");
		again(&n);
	} else if (e.text[0] == '\0') {
		abort();
	}
	mta_sts_note_clear(&n);
	if (mta_sts_note_decode(text, &n) == 0)
		again(&n);
	mta_sts_note_clear(&n);
	return 0;
}
