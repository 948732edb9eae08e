/* Each decoder of internal messages: the first octet says which.  What one
 * takes, it must give back the same. */
#include <stdint.h>
#include <stdlib.h>

#include "base/mem.h"
#include "ipc/msg.h"

#define TRY(name, clear) do {						\
	struct msg_##name *m = mem_zalloc(sizeof(*m));			\
	struct strbuf out = STRBUF_INIT;				\
									\
	if (msg_##name##_decode(s, m) == 0) {				\
		msg_##name##_encode(&out, m);				\
		clear;							\
	}								\
	strbuf_free(&out);						\
	free(m);							\
} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice s;

	if (size == 0)
		return 0;
	s = slice_of(data + 1, size - 1);
	switch (data[0] % 30) {
	case 0:
		TRY(role, (void)0);
		break;
	case 1:
		TRY(log, (void)0);
		break;
	case 2:
		TRY(listen, (void)0);
		break;
	case 3:
		TRY(peer, (void)0);
		break;
	case 4:
		TRY(status, (void)0);
		break;
	case 5:
		TRY(done, (void)0);
		break;
	case 6:
		TRY(stats, (void)0);
		break;
	case 7:
		TRY(local, msg_local_clear(m));
		break;
	case 8:
		TRY(local_done, (void)0);
		break;
	case 9:
		TRY(job, msg_job_clear(m));
		break;
	case 10:
		TRY(job_done, msg_job_done_clear(m));
		break;
	case 11:
		TRY(auth, msg_auth_clear(m));
		break;
	case 12:
		TRY(cred, msg_cred_clear(m));
		break;
	case 13:
		TRY(auth_step, msg_auth_step_clear(m));
		break;
	case 14:
		TRY(secret, msg_secret_clear(m));
		break;
	case 15:
		TRY(next_hop, msg_next_hop_clear(m));
		break;
	case 16:
		TRY(site, msg_site_clear(m));
		break;
	case 18:
		TRY(connect, msg_connect_clear(m));
		break;
	case 19:
		TRY(connected, (void)0);
		break;
	case 20:
		TRY(proxy_login, msg_proxy_login_clear(m));
		break;
	case 21:
		TRY(proxy_secret, msg_proxy_secret_clear(m));
		break;
	case 22:
		TRY(token, msg_token_clear(m));
		break;
	case 23:
		TRY(token_done, (void)0);
		break;
	case 24:
		TRY(oauth_call, msg_oauth_call_clear(m));
		break;
	case 25:
		TRY(credential_new, msg_credential_new_clear(m));
		break;
	case 26:
		TRY(trial, msg_trial_clear(m));
		break;
	case 27:
		TRY(trial_done, msg_trial_done_clear(m));
		break;
	case 28:
		TRY(counts, (void)0);
		break;
	case 29:
		TRY(alert, (void)0);
		break;
	default:
		TRY(secret_done, (void)0);
		break;
	}
	return 0;
}
