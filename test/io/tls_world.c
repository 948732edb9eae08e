/* Shared by the TLS tests; see tls_world.h. */
#include "io/tls_world.h"

struct world w;

int
make_certs(void **state)
{
	(void)state;
	w.ca = fx_cert(FX_EC, "test CA", NULL, NULL, 30);
	w.cert = fx_cert(FX_EC, "mx", "DNS:mx.example.org,IP:127.0.0.1",
	    &w.ca, 30);
	w.server = fx_server(&w.cert);
	w.client = fx_client(&w.ca, true);
	return 0;
}

int
free_certs(void **state)
{
	(void)state;
	tls_context_free(&w.server);
	tls_context_free(&w.client);
	fx_cert_free(&w.cert);
	fx_cert_free(&w.ca);
	return 0;
}

int
make_pair(void **state)
{
	(void)state;
	w.loop = fx_loop();
	fx_pair(w.loop, &w.s, &w.c);
	return 0;
}

int
free_pair(void **state)
{
	(void)state;
	fx_end_free(&w.s);
	fx_end_free(&w.c);
	loop_free(&w.loop);
	return 0;
}
