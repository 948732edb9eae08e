/* The sendmail shim: what its files share.  libc only, no secret, no
 * configuration but the two directories. */
#ifndef TOOLS_SENDMAIL_H
#define TOOLS_SENDMAIL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/strbuf.h"

enum sendmail_mode { MODE_DELIVER, MODE_SMTP, MODE_LIST, MODE_ALIASES,
	MODE_RUN };

struct sendmail_args {
	enum sendmail_mode mode;
	const char *config;		/* -C FILE, NULL: the system's */
	const char *sender;		/* -f or -r, NULL: not given */
	const char *full_name;		/* -F */
	const char *notify, *ret, *envid;	/* -N -R -V */
	const char *trace;		/* -X FILE */
	bool from_header;		/* -t */
	bool keep_dots;			/* -i */
	bool verbose;			/* -v */
	bool eight_bit;			/* -B 8BITMIME */
	char **rcpt;			/* the rest of the command line */
	int n_rcpt;
};

/* Where the daemon is. */
struct sendmail_dirs {
	char *spool, *runtime;
};

/* Who gets it; addresses as they will stand between < and >. */
struct sendmail_list {
	char **v;
	size_t n;
};

/* One line "PROGRAM: text" on standard error; returns status. */
int sendmail_error(int status, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
extern const char *sendmail_program;

/* sendmail_args.c: 0, or the exit status (already told); -1: help was shown,
 * exit 0. */
int sendmail_parse(int argc, char **argv, struct sendmail_args *a);

/* sendmail_dirs.c: 0 or EX_CONFIG. */
int sendmail_find_dirs(const char *config, struct sendmail_dirs *d);

/* sendmail_message.c: reads standard input to its end (or the lone dot);
 * CRLF line ends, From_ line dropped; with -t the recipients of To, Cc and
 * Bcc are added to the list and Bcc is left out. */
int sendmail_read(const struct sendmail_args *a, const char *sender,
    struct strbuf *message, struct sendmail_list *rcpt);
/* Every address of a list as on a command line ("a@b, c <d@e>"), added
 * without repeats; EX_DATAERR with a message for what is none. */
int sendmail_add_rcpt(struct sendmail_list *l, const char *text);
/* An address for the envelope, without brackets; NULL: it is none. */
char *sendmail_address(const char *text);

/* sendmail_submit.c: the dialogue, in batch (RFC 2442's form): MAIL, RCPT...,
 * DATA, the text with dots stuffed, the final dot. */
void sendmail_batch(const struct sendmail_args *a, const char *sender,
    const struct sendmail_list *rcpt, const struct strbuf *message,
    struct strbuf *batch);
/* Hands a batch to the daemon on a socket.  0: taken.  EX_TEMPFAIL: the
 * daemon is not there or cannot take it now.  Else the status of a refusal;
 * *reply says why. */
int sendmail_submit(const char *socket_path, const struct strbuf *batch,
    bool verbose, const char *trace, struct strbuf *reply);
/* -bs: standard input and output are the session's. */
int sendmail_smtp(const char *socket_path);

/* sendmail_drop.c: keeps a batch in SPOOL/drop until the daemon is back. */
int sendmail_drop(const char *spool, const struct strbuf *batch);

#endif
