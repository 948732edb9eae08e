/* A listener on a loop of its own, with a queue and an auth role that the test
 * plays, and clients at the other end of socket pairs. */
#ifndef TEST_LISTENER_FIXTURE_H
#define TEST_LISTENER_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strbuf.h"
#include "io/loop.h"
#include "ipc/port.h"
#include "listener/listener.h"
#include "mail/envelope.h"

#define FIXTURE_MAILS 64

struct received_mail {
	struct envelope env;
	struct strbuf body;
	bool by_file;
};

enum queue_mood {
	QUEUE_ACCEPTS,
	QUEUE_KEEPS,			/* answers nothing to a message */
	QUEUE_FULL			/* 452 4.3.1 to everything */
};

struct fixture {
	struct loop *loop;
	struct listener *l;
	struct port *queue, *auth;	/* our ends; NULL: not connected */
	enum queue_mood mood;
	bool keep_credit;		/* nothing is granted back */
	bool filler;			/* messages only use up credit */
	struct received_mail mail[FIXTURE_MAILS];
	size_t mails;
	uint64_t kept[FIXTURE_MAILS];	/* refs that wait for an answer */
	size_t kept_count, credit;
	unsigned verified, spool_wanted, auth_started;
	uint32_t open[8];		/* last statistics */
	char *certificate;		/* PEM, for `certificate cert` */
};

struct client {
	struct fixture *f;
	int fd;
	struct strbuf in;		/* what was not looked at yet */
	struct strbuf reply;		/* the last whole reply */
	bool eof;
	struct ssl_st *ssl;		/* once TLS is on */
};

/* conf: text of a configuration; `hostname relay.test` is put before it, and
 * a listen block where it has none.  Queue and auth are connected. */
void fixture_start(struct fixture *f, const char *conf);
void fixture_stop(struct fixture *f);
void fixture_connect_queue(struct fixture *f);
void fixture_connect_auth(struct fixture *f);
/* The queue's end is closed. */
void fixture_kill_queue(struct fixture *f);
/* Answers all that were kept, and gives their credit back. */
void fixture_answer_kept(struct fixture *f, uint16_t code);
/* Turns until nothing more happens at once. */
void fixture_settle(struct fixture *f);
struct received_mail *fixture_mail(struct fixture *f, size_t i);

/* From this address, or by UNIX socket (NULL), to the listen block with this
 * index; FIXTURE_SUBMIT: submit.sock. */
#define FIXTURE_SUBMIT 1000
struct client *client_connect(struct fixture *f, size_t listen,
    const char *address);
void client_close(struct client **c);
void client_send(struct client *c, const void *p, size_t n);
void client_text(struct client *c, const char *text);
/* The client will send no more, but still reads. */
void client_shut(struct client *c);
/* Waits for a whole reply; "" when the connection ended instead. */
const char *client_reply(struct client *c);
/* Nothing more came and the connection is closed. */
bool client_is_closed(struct client *c);
/* Reads on, whatever comes, until the connection is closed. */
void client_wait_closed(struct client *c);
/* Nothing has come so far, and it is open. */
bool client_is_silent(struct client *c);
/* Handshake as client; 0, or -1 when it fails.  max_version as in
 * SSL_set_max_proto_version, 0: any. */
int client_start_tls(struct client *c, int max_version);

/* Lines "C: ..." are sent with CRLF, "S: 250 ..." must begin the last line of
 * the next reply, "S: " alone means that the connection was closed. */
void dialogue_at(struct client *c, const char *const *lines, const char *file,
    int line);
#define dialogue(c, ...) dialogue_at(c, \
    (const char *const[]){ __VA_ARGS__, NULL }, __FILE__, __LINE__)

#endif
