/*
 * From `tls`, `tls-verify`, `tls-fingerprint`, `tls-ca`, `certificate` and
 * `min-tls` to a TLS context.  Run by delivery, once for each transport and,
 * where domains have MTA-STS policies, for what these want.  A transport whose
 * statements cannot be used is unreachable; all others work.
 */
#include "delivery/tls_policy.h"

#include <stdlib.h>

#include "base/mem.h"

static enum tls_version
version_of(int min)
{
	switch (min) {
	case 0x0301:
		return TLS_1_0;
	case 0x0302:
		return TLS_1_1;
	case 0x0304:
		return TLS_1_3;
	default:
		return TLS_1_2;
	}
}

static int
read_pins(const struct conf_transport *t, struct tls_pin **pins,
    struct err *e)
{
	size_t i;

	*pins = NULL;
	if (t->tls_fingerprint.n == 0)
		return 0;
	*pins = mem_zarray(t->tls_fingerprint.n, sizeof(**pins));
	for (i = 0; i < t->tls_fingerprint.n; i++) {
		if (tls_pin_parse(slice_cstr(t->tls_fingerprint.v[i]),
		    &(*pins)[i], e) < 0)
			return -1;
	}
	return 0;
}

static bool
insists(const struct conf_transport *t, enum tls_policy_for what)
{
	return what == TLS_POLICY_USUAL ? t->tls_verify == VERIFY_ON &&
	    t->tls != TLS_OPPORTUNISTIC : what == TLS_POLICY_ENFORCED;
}

struct tls_context *
tls_policy_new(const struct conf_transport *t, enum tls_policy_for what,
    struct slice default_ca, struct err *e)
{
	struct slice ca = t->tls_ca != NULL ? slice_cstr(t->tls_ca) :
	    default_ca;
	struct tls_pem own = {
		.chain = slice_cstr(t->certificate),
		.key = slice_cstr(t->key),
		.passphrase = t->passphrase.kind == SECRET_VALUE ?
		    slice_cstr(t->passphrase.text) : slice_of("", 0)
	};
	struct tls_client_options o = {
		.verify = insists(t, what),
		.pin_count = t->tls_fingerprint.n,
		.cert = t->certificate != NULL ? &own : NULL,
		.min_version = version_of(t->min_tls)
	};
	struct tls_anchors *anchors = NULL;
	struct tls_context *c = NULL;
	struct tls_pin *pins = NULL;

	if (read_pins(t, &pins, e) < 0)
		goto out;
	o.pins = pins;
	if ((o.verify || what == TLS_POLICY_TESTED) && o.pin_count == 0 &&
	    ca.n > 0) {
		anchors = tls_anchors_new(ca, e);
		if (anchors == NULL)
			goto out;
		o.anchors = anchors;
	}
	c = tls_client_new(&o, e);
out:
	if (c == NULL)
		err_prefix(e, "TLS of transport %s", t->name);
	tls_anchors_free(&anchors);
	free(pins);
	return c;
}
