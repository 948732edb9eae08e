/* A message on its way in (listener): made by MAIL, gone after the queue's
 * answer.  A few are kept with their memory, so that the next message costs
 * no allocation of them. */
#include "listener/session.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"

#define SPARE_TEXT_MAX (16u * 1024)

struct transaction *
smtpd_transaction_begin(struct session *s)
{
	struct listener *l = s->owner;

	if (l->spare_count > 0) {
		s->tx = l->spare[--l->spare_count];
	} else {
		s->tx = mem_zalloc(sizeof *s->tx);
		envelope_init(&s->tx->env);
		s->tx->fd = -1;
	}
	return s->tx;
}

/* Back to what a new one is, but for the memory of the text. */
static void
transaction_reset(struct transaction *tx)
{
	struct strbuf text = tx->text;

	envelope_clear(&tx->env);
	free(tx->pending.address);
	free(tx->pending.orcpt);
	if (tx->fd != -1)
		close(tx->fd);
	strbuf_clear(&text);
	if (text.cap > SPARE_TEXT_MAX)
		strbuf_free(&text);
	*tx = (struct transaction){ .text = text, .fd = -1 };
	envelope_init(&tx->env);
}

void
smtpd_transaction_drop(struct session *s)
{
	struct listener *l = s->owner;

	if (s->tx == NULL)
		return;
	transaction_reset(s->tx);
	if (l->spare_count < sizeof l->spare / sizeof *l->spare) {
		l->spare[l->spare_count++] = s->tx;
		s->tx = NULL;
	} else {
		smtpd_transaction_free(&s->tx);
	}
}

void
smtpd_transaction_free(struct transaction **tx)
{
	if (*tx == NULL)
		return;
	transaction_reset(*tx);
	envelope_clear(&(*tx)->env);
	strbuf_free(&(*tx)->text);
	free(*tx);
	*tx = NULL;
}
