/*
 * Requests of the control socket (RFC 8259, one document a line).  Run by
 * queue.  Anybody on the machine may send one: what is not understood is
 * refused as a whole.
 */
#include "queue/control_request.h"

#include <cjson/cJSON.h>

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"

void
control_request_clear(struct control_request *r)
{
	selector_clear(&r->sel);
	free(r->command);
	free(r->transport);
	free(r->name);
	free(r->what);
	free(r->flow);
	mem_wipe_text(&r->url);		/* holds a code */
	free(r->to);
	memset(r, 0, sizeof(*r));
}

static int
take_text(const cJSON *v, char **to, struct err *e)
{
	if (!cJSON_IsString(v))
		return err_set(e, -1, "`%.40s` is not a text", v->string);
	free(*to);
	*to = mem_strdup(v->valuestring);
	return 0;
}

static int
take_flag(const cJSON *v, bool *to, struct err *e)
{
	if (!cJSON_IsBool(v))
		return err_set(e, -1, "`%.40s` is not true or false",
		    v->string);
	*to = cJSON_IsTrue(v) != 0;
	return 0;
}

static int
take_port(const cJSON *v, uint16_t *to, struct err *e)
{
	if (!cJSON_IsNumber(v) || v->valueint < 0 || v->valueint > 65535)
		return err_set(e, -1, "`port` is not a port");
	*to = (uint16_t)v->valueint;
	return 0;
}

static int
take_since(const cJSON *v, uint64_t *to, struct err *e)
{
	if (!cJSON_IsString(v) ||
	    !num_duration(slice_cstr(v->valuestring), to))
		return err_set(e, -1, "`since` is not a duration");
	return 0;
}

static int
take_selectors(const cJSON *list, struct selector *sel, struct err *e)
{
	const cJSON *v;

	if (!cJSON_IsObject(list))
		return err_set(e, -1, "`selectors` is not an object");
	cJSON_ArrayForEach(v, list) {
		if (!cJSON_IsString(v))
			return err_set(e, -1, "selector `%.40s` is not a "
			    "text", v->string);
		if (selector_set(sel, v->string, v->valuestring, e) < 0)
			return -1;
	}
	return 0;
}

static int
take_ids(const cJSON *list, struct selector *sel, struct err *e)
{
	const cJSON *v;

	if (!cJSON_IsArray(list))
		return err_set(e, -1, "`ids` is not an array");
	cJSON_ArrayForEach(v, list) {
		if (!cJSON_IsString(v))
			return err_set(e, -1, "an id is not a text");
		if (selector_set(sel, "id", v->valuestring, e) < 0)
			return -1;
	}
	return 0;
}

static int
take_member(const cJSON *v, struct control_request *r, struct err *e)
{
	const char *name = v->string;

	if (strcmp(name, "command") == 0)
		return take_text(v, &r->command, e);
	if (strcmp(name, "selectors") == 0)
		return take_selectors(v, &r->sel, e);
	if (strcmp(name, "ids") == 0)
		return take_ids(v, &r->sel, e);
	if (strcmp(name, "all") == 0)
		return take_flag(v, &r->sel.all, e);
	if (strcmp(name, "transport") == 0)
		return take_text(v, &r->transport, e);
	if (strcmp(name, "name") == 0)
		return take_text(v, &r->name, e);
	if (strcmp(name, "what") == 0)
		return take_text(v, &r->what, e);
	if (strcmp(name, "flow") == 0)
		return take_text(v, &r->flow, e);
	if (strcmp(name, "url") == 0)
		return take_text(v, &r->url, e);
	if (strcmp(name, "port") == 0)
		return take_port(v, &r->port, e);
	if (strcmp(name, "since") == 0)
		return take_since(v, &r->since, e);
	if (strcmp(name, "to") == 0)
		return take_text(v, &r->to, e);
	if (strcmp(name, "send") == 0)
		return take_flag(v, &r->send, e);
	if (strcmp(name, "headers") == 0)
		return take_flag(v, &r->headers, e);
	if (strcmp(name, "content") == 0)
		return take_flag(v, &r->content, e);
	return err_set(e, -1, "`%.40s` is not understood", name);
}

int
control_request_parse(struct slice line, struct control_request *r,
    struct err *e)
{
	const char *end = NULL;
	const cJSON *v;
	cJSON *doc;
	int rc = -1;

	memset(r, 0, sizeof(*r));
	doc = cJSON_ParseWithLengthOpts(line.p, line.n, &end, 0);
	if (!cJSON_IsObject(doc) || slice_trim(slice_of(end,
	    (size_t)(line.p + line.n - end))).n != 0) {
		err_set(e, -1, "the request is not an object of JSON");
		goto out;
	}
	cJSON_ArrayForEach(v, doc) {
		if (take_member(v, r, e) < 0)
			goto out;
	}
	if (r->command == NULL)
		err_set(e, -1, "the request names no command");
	else
		rc = 0;
out:
	if (rc < 0)
		control_request_clear(r);
	cJSON_Delete(doc);
	return rc;
}
