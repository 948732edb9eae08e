/* A role's view of any octets: refused or understood, never more.  The first
 * octet chooses the role. */
#include <stdint.h>

#include "conf/load.h"
#include "conf/route_choice.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
choose(const struct conf *conf)
{
	struct route_query q = { .from = "a@b.test", .to = "c@d.test",
	    .client = "10.1.2.3", .login = "l", .uid = -1, .attempts = 3,
	    .size = 1 << 20, .age = 3600000 };
	struct route_answer a;

	route_choose(conf, &q, &a, NULL, NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum conf_role roles[] = {
		CONF_LISTENER, CONF_QUEUE, CONF_DELIVERY, CONF_AUTH
	};
	enum conf_role role;
	struct err e = { 0 };
	struct conf *conf;

	if (size == 0)
		return 0;
	role = roles[data[0] % 4];
	conf = conf_view_decode(slice_of(data + 1, size - 1), role, &e);
	if (conf != NULL)
		choose(conf);
	conf_free(&conf);
	return 0;
}
