/* Enhanced status codes (RFC 3463, RFC 2034).  Pure; what is no code is told
 * by false. */
#include "mail/status.h"

#include <stdio.h>

/* Up to three digits (RFC 3463 2) at the front. */
static bool
take_number(struct slice *s, uint16_t *out)
{
	unsigned v = 0;
	size_t i = 0;

	for (; i < s->n && i < 3 && s->p[i] >= '0' && s->p[i] <= '9'; i++)
		v = v * 10 + (unsigned)(s->p[i] - '0');
	if (i == 0)
		return false;
	*s = slice_skip(*s, i);
	*out = (uint16_t)v;
	return true;
}

static bool
take_dot(struct slice *s)
{
	if (s->n == 0 || s->p[0] != '.')
		return false;
	*s = slice_skip(*s, 1);
	return true;
}

bool
mail_status_parse(struct slice s, struct mail_status *out, size_t *used)
{
	struct slice left = s;
	struct mail_status st;

	if (left.n == 0 ||
	    (left.p[0] != '2' && left.p[0] != '4' && left.p[0] != '5'))
		return false;
	st.class = (uint8_t)(left.p[0] - '0');
	left = slice_skip(left, 1);
	if (!take_dot(&left) || !take_number(&left, &st.subject) ||
	    !take_dot(&left) || !take_number(&left, &st.detail))
		return false;
	if (left.n > 0 && left.p[0] != ' ' && left.p[0] != '\t')
		return false;
	*out = st;
	if (used != NULL)
		*used = s.n - left.n;
	return true;
}

char *
mail_status_text(struct mail_status st, char buf[MAIL_STATUS_LEN + 1])
{
	if (st.class == 0)
		buf[0] = '\0';
	else
		snprintf(buf, MAIL_STATUS_LEN + 1, "%u.%u.%u",
		    st.class % 10u, st.subject % 1000u, st.detail % 1000u);
	return buf;
}

struct mail_status
mail_status_of_code(int code)
{
	static const struct {
		int code;
		struct mail_status status;
	} known[] = {
		{ 421, { 4, 3, 2 } }, { 452, { 4, 3, 1 } },
		{ 500, { 5, 5, 2 } }, { 501, { 5, 5, 4 } },
		{ 502, { 5, 5, 1 } }, { 503, { 5, 5, 1 } },
		{ 504, { 5, 5, 4 } }, { 530, { 5, 7, 0 } },
		{ 535, { 5, 7, 8 } }, { 552, { 5, 3, 4 } },
		{ 555, { 5, 5, 4 } }, { 556, { 5, 1, 10 } },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (known[i].code == code)
			return known[i].status;
	}
	if ((code >= 200 && code < 300) || (code >= 400 && code < 600))
		return MAIL_STATUS((uint8_t)(code / 100), 0, 0);
	return MAIL_STATUS_NONE;
}
