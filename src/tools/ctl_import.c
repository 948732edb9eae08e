/*
 * queue import: files that hold a message each are handed to the daemon on
 * submit.sock, as mail of the caller.  The envelope comes from Return-Path or
 * From, and To, Cc and Bcc; Return-Path and Bcc are left out, line ends
 * become CRLF, the rest stays as it is.  The files stay where they are.
 */
#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/fs.h"
#include "base/mem.h"
#include "mail/address.h"
#include "mail/address_list.h"
#include "mail/header.h"
#include "tools/relayctl.h"
#include "tools/sendmail.h"

#define FILE_MAX ((size_t)1 << 30)

struct import {
	char *socket;
	unsigned done, failed;
	bool down;			/* no use to go on */
};

/* ---- one message ---- */

/* CRLF everywhere, mbox's From_ line left out. */
static void
take_lines(struct slice in, struct strbuf *out)
{
	const char *p = in.p, *end = in.p + in.n, *from;

	if (in.n > 5 && memcmp(p, "From ", 5) == 0) {
		p = memchr(p, '\n', in.n);
		p = p != NULL ? p + 1 : end;
	}
	while (p < end) {
		for (from = p; p < end && *p != '\r' && *p != '\n'; p++)
			;
		strbuf_add(out, from, (size_t)(p - from));
		strbuf_puts(out, "\r\n");
		if (p < end && *p == '\r' && p + 1 < end && p[1] == '\n')
			p++;
		if (p < end)
			p++;
	}
}

struct taker {
	struct sendmail_list *list;	/* recipients, */
	char **sender;			/* or the first address */
};

static void
take_mailbox(void *arg, const struct mail_mailbox *m)
{
	struct taker *t = arg;
	size_t i;

	if (!mail_address_valid(m->addr, true))
		return;
	if (t->sender != NULL) {
		if (*t->sender == NULL)
			*t->sender = slice_dup(m->addr);
		return;
	}
	for (i = 0; i < t->list->n; i++)
		if (slice_eq_cstr(m->addr, t->list->v[i]))
			return;
	*(char **)mem_push(&t->list->v, &t->list->n, sizeof(char *)) =
	    slice_dup(m->addr);
}

static bool
field_is(const struct header_field *f, const char *name)
{
	return slice_eq_case_cstr(f->name, name);
}

/* The sender: Return-Path, where <> counts, before From. */
static char *
find_sender(struct slice message)
{
	struct header_field f;
	struct taker t = { NULL, NULL };
	char *sender = NULL;
	size_t pos = 0;

	t.sender = &sender;
	if (header_find(message, "Return-Path", &pos, &f)) {
		if (slice_eq_cstr(slice_trim(f.value), "<>"))
			return mem_strdup("");
		(void)mail_address_list(f.value, take_mailbox, &t);
	}
	pos = 0;
	if (sender == NULL && header_find(message, "From", &pos, &f))
		(void)mail_address_list(f.value, take_mailbox, &t);
	return sender;
}

static void
take_fields(struct slice message, struct sendmail_list *rcpt,
    struct strbuf *out)
{
	struct taker t = { rcpt, NULL };
	struct header_field f;
	size_t pos = 0, end = 0;

	while (header_next(message, &pos, &f)) {
		end = (size_t)(f.whole.p + f.whole.n - message.p);
		if (field_is(&f, "To") || field_is(&f, "Cc") ||
		    field_is(&f, "Bcc"))
			(void)mail_address_list(f.value, take_mailbox, &t);
		if (!field_is(&f, "Bcc") && !field_is(&f, "Return-Path"))
			strbuf_add_slice(out, f.whole);
	}
	strbuf_add_slice(out, slice_skip(message, end));
}

static void
submit(struct import *im, const char *path, const char *sender,
    const struct sendmail_list *rcpt, const struct strbuf *message)
{
	static const struct sendmail_args none;
	struct strbuf batch = STRBUF_INIT, reply = STRBUF_INIT;
	int status;

	sendmail_batch(&none, sender, rcpt, message, &batch);
	status = sendmail_submit(im->socket, &batch, false, NULL, &reply);
	if (status == 0) {
		im->done++;
	} else {
		im->failed++;
		/* A reply begins with its code; else nobody was there. */
		im->down = status == EX_TEMPFAIL && (reply.n == 0 ||
		    reply.p[0] < '0' || reply.p[0] > '9');
		ctl_error(CTL_NONE, "%s: %s", path, reply.n > 0 ? reply.p :
		    "the daemon does not take it");
	}
	strbuf_free(&batch);
	strbuf_free(&reply);
}

static void
import_file(struct import *im, const char *path)
{
	struct strbuf in = STRBUF_INIT, all = STRBUF_INIT;
	struct strbuf message = STRBUF_INIT;
	struct sendmail_list rcpt = { NULL, 0 };
	struct err e = { 0, "" };
	char *sender = NULL;

	if (fs_read_file(path, FILE_MAX, &in, &e) < 0) {
		im->failed++;
		ctl_error(CTL_NONE, "%s", e.text);
		goto out;
	}
	take_lines(strbuf_slice(&in), &all);
	strbuf_free(&in);
	sender = find_sender(strbuf_slice(&all));
	take_fields(strbuf_slice(&all), &rcpt, &message);
	if (sender == NULL || rcpt.n == 0) {
		im->failed++;
		ctl_error(CTL_NONE, "%s: %s", path, sender == NULL ?
		    "no sender in Return-Path or From" :
		    "no recipient in To, Cc or Bcc");
		goto out;
	}
	submit(im, path, sender, &rcpt, &message);
out:
	strbuf_free(&in);
	strbuf_free(&all);
	strbuf_free(&message);
	free(sender);
	while (rcpt.n > 0)
		free(rcpt.v[--rcpt.n]);
	free(rcpt.v);
}

/* ---- a directory ---- */

static int
visible(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

static int
import_dir(struct import *im, const char *dir)
{
	struct dirent **list;
	struct stat st;
	char *path;
	int i, n = scandir(dir, &list, visible, alphasort);

	if (n < 0)
		return ctl_error(CTL_NONE, "%s: %s", dir, strerror(errno));
	for (i = 0; i < n; i++) {
		path = mem_printf("%s/%s", dir, list[i]->d_name);
		if (!im->down && stat(path, &st) == 0 && S_ISREG(st.st_mode))
			import_file(im, path);
		free(path);
		free(list[i]);
	}
	free(list);
	return 0;
}

static int
import_maildir(struct import *im, const char *dir)
{
	char *sub = mem_printf("%s/new", dir);
	int rc = import_dir(im, sub);

	free(sub);
	if (rc != 0)
		return rc;
	sub = mem_printf("%s/cur", dir);
	rc = import_dir(im, sub);
	free(sub);
	return rc;
}

int
ctl_queue_import(struct ctl *c)
{
	struct import im = { .socket = NULL };
	int rc = 0;

	if ((c->maildir != NULL) == (c->n_rest > 0))
		return ctl_error(CTL_USAGE, "queue import: either DIR or "
		    "--maildir DIR");
	im.socket = ctl_socket_path(c, "submit.sock", &rc);
	if (im.socket == NULL)
		return rc;
	rc = c->maildir != NULL ? import_maildir(&im, c->maildir) :
	    import_dir(&im, c->rest[0]);
	free(im.socket);
	if (rc != 0)
		return rc;
	if (im.down && im.done == 0)
		return ctl_down();
	if (im.done + im.failed == 0)
		return ctl_error(CTL_NONE, "no message there");
	printf("%u imported\n", im.done);
	if (im.failed > 0)
		return ctl_error(CTL_NONE, "%u not imported", im.failed);
	return 0;
}
