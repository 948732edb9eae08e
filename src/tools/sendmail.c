/*
 * sendmail, mailq, newaliases: hands mail of local programs to the daemon.
 * Exit statuses of sysexits.h; 0 only once the message is on disk, in the
 * queue or (daemon down) in the drop directory.
 */
#include "tools/sendmail.h"

#include <sys/stat.h>

#include <libgen.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/mem.h"
#include "config.h"

const char *sendmail_program = "sendmail";

int
sendmail_error(int status, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s: ", sendmail_program);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return status;
}

/* The caller's name; the daemon puts its domain behind it. */
static char *
default_sender(void)
{
	const struct passwd *pw = getpwuid(getuid());

	if (pw != NULL && pw->pw_name[0] != 0)
		return mem_strdup(pw->pw_name);
	return mem_printf("uid-%u", (unsigned)getuid());
}

static int
deliver(const struct sendmail_args *a, const struct sendmail_dirs *dirs)
{
	struct strbuf message = STRBUF_INIT, batch = STRBUF_INIT;
	struct strbuf reply = STRBUF_INIT;
	struct sendmail_list rcpt = { NULL, 0 };
	char *sender, *path = NULL;
	int i, status = 0;

	if (a->n_rcpt == 0 && !a->from_header)
		return sendmail_error(EX_USAGE, "no recipient: name some, or "
		    "use -t to take them from the header");
	sender = a->sender != NULL ? sendmail_address(a->sender) :
	    default_sender();
	if (sender == NULL)
		return sendmail_error(EX_DATAERR, "-f %s: not an address",
		    a->sender);
	for (i = 0; status == 0 && i < a->n_rcpt; i++)
		status = sendmail_add_rcpt(&rcpt, a->rcpt[i]);
	if (status == 0)
		status = sendmail_read(a, sender, &message, &rcpt);
	if (status != 0)
		goto out;
	sendmail_batch(a, sender, &rcpt, &message, &batch);
	path = mem_printf("%s/submit.sock", dirs->runtime);
	status = sendmail_submit(path, &batch, a->verbose, a->trace, &reply);
	if (status == EX_TEMPFAIL)
		status = sendmail_drop(dirs->spool, &batch);
	else if (status != 0)
		sendmail_error(status, "refused: %s", strbuf_cstr(&reply));
out:
	free(path);
	free(sender);
	strbuf_free(&message);
	strbuf_free(&batch);
	strbuf_free(&reply);
	while (rcpt.n > 0)
		free(rcpt.v[--rcpt.n]);
	free(rcpt.v);
	return status;
}

/* The queue is relayctl's to show and to push. */
static int
relayctl(const struct sendmail_args *a, const struct sendmail_dirs *dirs,
    const char *verb, const char *what)
{
	char *bin = getenv("SMARTHOSTD_RELAYCTL"), *control;
	const char *program = bin != NULL ? bin : BINDIR "/relayctl";

	control = mem_printf("%s/control.sock", dirs->runtime);
	(void)a;
	execl(program, "relayctl", "-s", control, "--spool", dirs->spool,
	    "queue", verb, what, (char *)NULL);
	free(control);
	return sendmail_error(EX_OSFILE, "%s cannot be run", program);
}

int
main(int argc, char **argv)
{
	struct sendmail_args a = { .mode = MODE_DELIVER };
	struct sendmail_dirs dirs = { NULL, NULL };
	char *path;
	int status;

	sendmail_program = basename(argv[0]);
	umask(077);
	signal(SIGPIPE, SIG_IGN);
	if (strcmp(sendmail_program, "mailq") == 0)
		a.mode = MODE_LIST;
	else if (strcmp(sendmail_program, "newaliases") == 0)
		a.mode = MODE_ALIASES;
	status = sendmail_parse(argc, argv, &a);
	if (status != 0)
		return status < 0 ? 0 : status;
	status = sendmail_find_dirs(a.config, &dirs);
	if (status != 0)
		goto out;
	switch (a.mode) {
	case MODE_SMTP:
		path = mem_printf("%s/submit.sock", dirs.runtime);
		status = sendmail_smtp(path);
		free(path);
		break;
	case MODE_LIST:
		status = relayctl(&a, &dirs, "list", "--mailq");
		break;
	case MODE_RUN:
		status = relayctl(&a, &dirs, "retry", "--mailq");
		break;
	case MODE_ALIASES:
		break;		/* aliases are read as text: nothing to make */
	case MODE_DELIVER:
		status = deliver(&a, &dirs);
		break;
	}
out:
	free(dirs.spool);
	free(dirs.runtime);
	return status;
}
