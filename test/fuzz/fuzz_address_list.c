/* Address fields: any octets.  Places that are told lie within the field. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "mail/address_list.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
take(void *arg, const struct mail_mailbox *m)
{
	size_t size = *(size_t *)arg;

	if (m->addr.n == 0 || m->len == 0 || m->pos + m->len > size ||
	    m->display.n > size)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	mail_address_list(slice_of(data, size), take, &size);
	return 0;
}
