/* The logins of proxies, as deliveries ask for them (auth).  They are said in
 * plain to the proxy: SOCKS knows no other way (RFC 1929). */
#include "auth/auth.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "ipc/msg.h"

static const struct conf_proxy *
proxy_of(const struct conf *conf, const struct msg_proxy_login *m)
{
	size_t i = conf_transport_find(conf, m->transport);

	if (i == SIZE_MAX || m->proxy >= conf->transports[i].n_proxies)
		return NULL;
	return &conf->transports[i].proxies[m->proxy];
}

int
auth_proxy_message(struct auth_peer *p, struct port_message *pm,
    struct err *e)
{
	const struct conf_proxy *proxy;
	struct msg_proxy_secret answer = { NULL, NULL, NULL };
	struct msg_proxy_login m;
	struct strbuf b = STRBUF_INIT;
	static char none[] = "the proxy has no username and password";

	if (pm->ref == 0 || msg_proxy_login_decode(pm->data, &m) < 0)
		return err_set(e, EPROTO, "a proxy's request is garbage");
	proxy = proxy_of(p->owner->conf, &m);
	if (proxy == NULL || proxy->username == NULL ||
	    proxy->password.text == NULL) {
		answer.text = none;
	} else {
		answer.username = proxy->username;
		answer.password = proxy->password.text;
	}
	msg_proxy_secret_encode(&b, &answer);
	port_send_reply(p->port, MSG_PROXY_SECRET, pm->ref, strbuf_slice(&b));
	strbuf_wipe(&b);
	msg_proxy_login_clear(&m);
	return 0;
}
