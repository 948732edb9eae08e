/* Messages as JSON, in the keys that the tools' users rely on.  Used by queue
 * and by relayctl; nothing here fails. */
#include "store/record_json.h"

#include "base/num.h"

const char *
record_rcpt_status(const struct record_rcpt *rc)
{
	switch (rc->state) {
	case RCPT_DELIVERED:
		return "delivered";
	case RCPT_FAILED:
		return "bounced";
	case RCPT_EXPIRED:
		return "expired";
	default:
		return rc->last_code != 0 ? "deferred" : "queued";
	}
}

const char *
record_status(const struct record *r)
{
	size_t i;

	if (r->held)
		return "held";
	for (i = 0; i < r->env->recipient_count; i++)
		if (r->rcpt[i].last_code != 0)
			return "deferred";
	return "queued";
}

static void
write_recipient(struct json_writer *w, const struct record *r, size_t i,
    const struct record_outcome *outcome)
{
	const struct record_rcpt *rc = &r->rcpt[i];

	json_object(w, NULL);
	json_text(w, "address", r->env->recipients[i].address);
	json_text(w, "status", record_rcpt_status(rc));
	json_number(w, "attempts", rc->attempts);
	json_text(w, "last_reply", rc->last_reply);
	json_text(w, "remote", rc->remote);
	if (outcome != NULL) {
		json_when(w, "delivered_at", outcome->delivered_at);
		json_text(w, "tls", outcome->tls);
		json_text(w, "verify", outcome->verify);
		json_text(w, "spf", outcome->spf);
	}
	json_close_object(w);
}

void
record_json(struct json_writer *w, const char *key, const struct record *r,
    const char *status, uint64_t expires,
    const struct record_outcome *outcome)
{
	const struct envelope *env = r->env;
	char id[NUM_ID_LEN + 1];
	size_t i;

	num_id_text(env->id, id);
	json_object(w, key);
	json_text(w, "id", id);
	json_text(w, "status", status);
	json_text(w, "from", env->from);
	json_text(w, "account", r->account);
	json_text(w, "login", env->login);
	json_text(w, "client", env->client);
	json_number(w, "size", r->body_size);
	json_when(w, "arrived", env->received_ms);
	json_when(w, "expires", expires);
	json_number(w, "attempts", record_attempts(r));
	json_when(w, "next_attempt", record_next_due(r));
	json_text(w, "transport", r->pinned != NULL ? r->pinned :
	    r->transport);
	json_bool(w, "pinned", r->pinned != NULL);
	json_text(w, "route", r->route);
	json_array(w, "recipients");
	for (i = 0; i < env->recipient_count; i++)
		write_recipient(w, r, i, outcome != NULL ? &outcome[i] :
		    NULL);
	json_close_array(w);
	json_close_object(w);
}
