/*
 * Which refusals mean that the account is not logged in or has used up its
 * quota, although they come in answer to a message: such mail waits, it is
 * never returned to its sender.  Run by delivery.  RFC 4954 section 6; the
 * texts are those of large providers, seen in the wild.
 */
#include "delivery/reply_class.h"

#include <string.h>

struct quota_text {
	int code;			/* 0: any */
	const char *text;		/* part of the reply, any case */
	bool account_only;		/* only where we have logged in: others
					 * say it of a recipient */
};

static const struct quota_text quotas[] = {
	{ 0,	"daily user sending limit exceeded",		false },
	{ 0,	"daily user sending quota exceeded",		false },
	{ 0,	"daily smtp relay limit exceeded",		false },
	{ 0,	"daily smtp relay sending limit exceeded",	false },
	{ 454,	"daily message quota exceeded",			false },
	{ 0,	"maximum credits exceeded",			false },
	{ 0,	"recipientlimitexceeded",			true },
	{ 0,	"submission quota exceeded",			true },
	{ 0,	"sending limit exceeded",			true },
	{ 0,	"sending quota exceeded",			true },
};

static bool
logs_in(const struct conf_transport *t)
{
	return t->has_credential || t->kind == TRANSPORT_SUBMISSION;
}

static bool
is_credential(const struct smtp_reply *r)
{
	switch (r->code) {
	case 530:			/* authentication required */
	case 534:
	case 535:
	case 538:
		return true;
	default:
		return false;
	}
}

enum job_class
reply_class(const struct conf_transport *t, const struct smtp_reply *r)
{
	const char *text = strbuf_cstr(&r->text);
	size_t i;

	if (r->code < 400)
		return JOB_SETTLED;
	if (is_credential(r))
		return JOB_CREDENTIAL;
	/* A permanent 5.4.5 makes no sense but for a daily limit. */
	if (logs_in(t) && r->status.class == 5 && r->status.subject == 4 &&
	    r->status.detail == 5)
		return JOB_QUOTA;
	for (i = 0; i < sizeof(quotas) / sizeof(quotas[0]); i++) {
		const struct quota_text *q = &quotas[i];

		if (q->code != 0 && q->code != r->code)
			continue;
		if (q->account_only && !logs_in(t))
			continue;
		if (strcasestr(text, q->text) != NULL)
			return JOB_QUOTA;
	}
	return JOB_SETTLED;
}

bool
reply_is_full(const struct smtp_reply *r)
{
	static const char *const said[] = {
		"concurrent", "simultaneous", "connection limit",
		"connections limit", "thread limit", "too many connections",
		"too many open connections", "too many sessions",
		"too much connections", "connections exceeded",
		"maximum number of connections", "connection count exceeded"
	};
	const char *text = strbuf_cstr(&r->text);
	size_t i;

	if (r->code < 400)
		return false;
	for (i = 0; i < sizeof(said) / sizeof(said[0]); i++) {
		if (strcasestr(text, said[i]) != NULL)
			return true;
	}
	return r->code == 432 && r->status.class == 4 &&
	    r->status.subject == 3 && r->status.detail == 2;
}
