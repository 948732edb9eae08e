/*
 * The client of the control socket: one request, lines of answers.  A daemon
 * that goes away in the middle is told as 69.
 */
#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/num.h"
#include "tools/relayctl.h"

#define READ_STEP 65536
#define DATA_MAX (64u << 20)

int
ctl_down(void)
{
	return ctl_error(CTL_UNAVAILABLE, "smarthostd is not running: start "
	    "it, or name its socket with -s");
}

/* ---- sending ---- */

static void
compose(struct ctl *c, const char *command, const char *members,
    struct strbuf *out)
{
	struct json_writer w = json_to(out);
	size_t i;

	json_object(&w, NULL);
	json_text(&w, "command", command);
	if (c->asked.n > 0) {
		json_object(&w, "selectors");
		strbuf_add_slice(out, strbuf_slice(&c->asked));
		json_close_object(&w);
	}
	if (c->sel.n_ids > 0) {
		json_array(&w, "ids");
		for (i = 0; i < c->sel.n_ids; i++)
			json_text(&w, NULL, c->sel.ids[i].text);
		json_close_array(&w);
	}
	if (c->sel.all)
		json_bool(&w, "all", true);
	if (members != NULL && members[0] != 0)
		strbuf_printf(out, ",%s", members);
	json_close_object(&w);
	strbuf_putc(out, '\n');
}

/* -1: nobody is there. */
static int
open_socket(const char *path, int *status)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(sun.sun_path)) {
		*status = ctl_error(CTL_USAGE, "%s: the path is too long for "
		    "a socket", path);
		return -1;
	}
	strcpy(sun.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&sun,
	    sizeof(sun)) == 0)
		return fd;
	if (errno == ENOENT || errno == ECONNREFUSED || errno == ENOTDIR)
		*status = CTL_DOWN;
	else
		*status = ctl_error(errno == EACCES || errno == EPERM ?
		    CTL_DENIED : CTL_UNAVAILABLE, "%s: %s", path,
		    strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

/* ---- receiving ---- */

struct answers {
	int fd;
	struct strbuf in;
	size_t at;			/* what is used of it */
	struct ctl_sink *sink;
	int status;			/* -1: goes on */
};

/* n octets at least, or up to a line end; false: it ended. */
static bool
more(struct answers *a)
{
	ssize_t n;

	if (a->at > 0) {
		strbuf_drop(&a->in, a->at);
		a->at = 0;
	}
	if (a->sink->wait != NULL)
		a->sink->wait(a->sink->arg, a->fd);
	do {
		n = read(a->fd, strbuf_room(&a->in, READ_STEP), READ_STEP);
	} while (n < 0 && errno == EINTR);
	if (n <= 0)
		return false;
	a->in.n += (size_t)n;
	return true;
}

static struct slice
rest(const struct answers *a)
{
	return slice_skip(strbuf_slice(&a->in), a->at);
}

static bool
next_line(struct answers *a, struct slice *line)
{
	size_t searched = 0;
	struct slice in;
	long n;

	for (;;) {
		in = rest(a);
		n = slice_find(slice_skip(in, searched), '\n');
		if (n >= 0)
			break;
		searched = in.n;
		if (!more(a))
			return false;
	}
	*line = slice_of(in.p, searched + (size_t)n);
	a->at += line->n + 1;
	return true;
}

static bool
take_data(struct answers *a, struct slice number)
{
	uint64_t n;

	if (!num_u64(number, DATA_MAX, &n))
		return false;
	while (rest(a).n < n)
		if (!more(a))
			return false;
	if (a->sink->data != NULL)
		a->sink->data(a->sink->arg, slice_of(rest(a).p, (size_t)n));
	a->at += (size_t)n;
	return true;
}

static void
take_end(struct answers *a, const cJSON *end)
{
	const char *text = ctl_get(end, "text");
	struct strbuf clean = STRBUF_INIT;

	a->status = (int)ctl_get_number(end, "status");
	ctl_printable(&clean, text);
	if (a->status != 0 && clean.n > 0)	/* else all has been said */
		ctl_error(a->status, "%s", strbuf_cstr(&clean));
	free(a->sink->text);
	a->sink->text = strbuf_take(&clean);
}

/* {"KEY":VALUE}: the value, as it stands. */
static bool
value_of(struct slice line, const char *key, struct slice *value)
{
	size_t n = strlen(key);

	if (line.n < n + 5 || memcmp(line.p, "{\"", 2) != 0 ||
	    memcmp(line.p + 2, key, n) != 0 ||
	    memcmp(line.p + 2 + n, "\":", 2) != 0)
		return false;
	*value = slice_of(line.p + n + 4, line.n - n - 5);
	return true;
}

static bool
take_line(struct answers *a, struct slice line)
{
	struct slice value;
	cJSON *doc;

	if (value_of(line, "item", &value)) {
		if (a->sink->item != NULL)
			a->sink->item(a->sink->arg, value);
		return true;
	}
	if (value_of(line, "data", &value))
		return take_data(a, value);
	doc = cJSON_ParseWithLength(line.p, line.n);
	if (doc == NULL)
		return false;
	if (cJSON_HasObjectItem(doc, "end"))
		take_end(a, cJSON_GetObjectItemCaseSensitive(doc, "end"));
	else if (a->sink->progress != NULL)
		a->sink->progress(a->sink->arg, ctl_get_number(
		    cJSON_GetObjectItemCaseSensitive(doc, "progress"),
		    "done"));
	cJSON_Delete(doc);
	return true;
}

int
ctl_request(struct ctl *c, const char *command, const char *members,
    struct ctl_sink *sink)
{
	struct answers a = { .fd = -1, .in = STRBUF_INIT, .sink = sink,
	    .status = -1 };
	struct strbuf line = STRBUF_INIT;
	struct slice answer;
	int status = 0;
	char *path = ctl_socket_path(c, "control.sock", &status);

	if (path == NULL)
		return status;
	a.fd = open_socket(path, &status);
	free(path);
	if (a.fd < 0)
		return status;
	compose(c, command, members, &line);
	/* A refusal may come before all is sent. */
	(void)send(a.fd, line.p, line.n, MSG_NOSIGNAL);
	while (a.status < 0 && next_line(&a, &answer))
		if (!take_line(&a, answer))
			break;
	status = a.status >= 0 ? a.status : ctl_error(CTL_UNAVAILABLE,
	    "the daemon ended the connection before it had answered");
	close(a.fd);
	strbuf_free(&line);
	strbuf_free(&a.in);
	return status;
}
