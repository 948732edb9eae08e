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
	switch (data[0] % 18) {
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
	case 16:
		TRY(counts, (void)0);
		break;
	case 15:
		TRY(alert, (void)0);
		break;
	default:
		TRY(secret_done, (void)0);
		break;
	}
	return 0;
}
