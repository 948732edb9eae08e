/* See fixture.h. */
#include "fixture.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "base/fs.h"
#include "base/mem.h"
#include "conf/load.h"
#include "io/sockaddr.h"
#include "ipc/msg.h"
#include "listener/session.h"

#define PATIENCE_MS 5000

/* ---- the queue that we play ---- */

static void
answer(struct port *p, uint64_t ref, uint16_t code, uint8_t class,
    uint8_t subject, uint8_t detail, const char *text)
{
	struct msg_done done = { .code = code,
		.status = { class, subject, detail } };
	struct strbuf b = STRBUF_INIT;

	snprintf(done.text, sizeof done.text, "%s", text);
	msg_done_encode(&b, &done);
	port_send_reply(p, MSG_DONE, ref, strbuf_slice(&b));
	strbuf_free(&b);
}

static void
take_mail(struct fixture *f, struct port_message *m)
{
	struct received_mail *r = &f->mail[f->mails];
	struct err e = { 0 };
	struct stat st;

	if (f->filler) {
		f->credit += m->data.n + m->body.n;
		return;
	}
	assert_true(f->mails < FIXTURE_MAILS);
	memset(r, 0, sizeof *r);
	envelope_init(&r->env);
	assert_int_equal(envelope_decode(m->data, &r->env, &e), 0);
	if (m->fd != -1) {
		r->by_file = true;
		assert_int_equal(fstat(m->fd, &st), 0);
		assert_int_equal(fs_pread_all(m->fd, strbuf_room(&r->body,
		    (size_t)st.st_size), (size_t)st.st_size, 0), 0);
		r->body.n = (size_t)st.st_size;
		close(m->fd);
	} else {
		strbuf_add_slice(&r->body, m->body);
	}
	f->mails++;
	f->credit += m->data.n + m->body.n;
	if (!f->keep_credit) {
		port_grant(f->queue, f->credit);
		f->credit = 0;
	}
	if (f->mood == QUEUE_KEEPS)
		f->kept[f->kept_count++] = m->ref;
	else if (f->mood == QUEUE_FULL)
		answer(f->queue, m->ref, 452, 4, 3, 1, "Disk full");
	else
		answer(f->queue, m->ref, 250, 2, 0, 0, "Ok");
}

static int
queue_message(void *arg, struct port_message *m, struct err *e)
{
	struct fixture *f = arg;
	struct msg_stats stats;

	switch (m->type) {
	case MSG_VERIFY:
		f->verified++;
		if (slice_starts_case(m->data, SLICE_LIT("unknown")))
			answer(f->queue, m->ref, 550, 5, 1, 1, "No such user");
		else
			answer(f->queue, m->ref, 250, 2, 1, 5, "Ok");
		return 0;
	case MSG_SPOOL_WANT:
		f->spool_wanted++;
		if (f->mood == QUEUE_FULL)
			answer(f->queue, m->ref, 452, 4, 3, 1, "Disk full");
		else
			port_reply_fd(f->queue, MSG_SPOOL_FILE, m->ref,
			    slice_of("", 0), memfd_create("body", 0));
		return 0;
	case MSG_MAIL:
		take_mail(f, m);
		return 0;
	case MSG_LISTENER_STATS:
		assert_int_equal(msg_stats_decode(m->data, &stats), 0);
		memcpy(f->open, stats.open, sizeof f->open);
		return 0;
	}
	return err_set(e, -1, "unexpected type %u", (unsigned)m->type);
}

static void
queue_closed(void *arg, const struct err *why)
{
	struct fixture *f = arg;

	(void)why;
	port_free(&f->queue);
}

/* ---- and the auth role: joe, with the password "sesame" ---- */

static void
auth_step(struct fixture *f, uint64_t ref, uint8_t state, struct slice data,
    const char *login)
{
	struct msg_auth_step step = { .state = state, .has_data = true,
		.data = data, .login = (char *)(uintptr_t)login };
	struct strbuf b = STRBUF_INIT;

	msg_auth_step_encode(&b, &step);
	port_send_reply(f->auth, MSG_AUTH_STEP, ref, strbuf_slice(&b));
	strbuf_free(&b);
}

static int
auth_message(void *arg, struct port_message *m, struct err *e)
{
	struct fixture *f = arg;
	struct msg_auth a;

	(void)e;
	assert_int_equal(msg_auth_decode(m->data, &a), 0);
	if (m->type == MSG_AUTH_START)
		f->auth_started++;
	if (m->type == MSG_AUTH_DROP)
		;
	else if (m->type == MSG_AUTH_START && !a.has_data)
		auth_step(f, m->ref, AUTH_CONTINUE,
		    strcmp(a.mechanism, "LOGIN") == 0 ?
		    SLICE_LIT("Username:") : SLICE_LIT(""), NULL);
	else if (slice_eq_cstr(a.data, "joe"))
		auth_step(f, m->ref, AUTH_CONTINUE, SLICE_LIT("Password:"),
		    NULL);
	else if (slice_eq(a.data, SLICE_LIT("\0joe\0sesame")) ||
	    slice_eq_cstr(a.data, "sesame"))
		auth_step(f, m->ref, AUTH_OK, SLICE_LIT(""), "joe");
	else if (slice_eq_cstr(a.data, "crash"))
		port_free(&f->auth);
	else
		auth_step(f, m->ref, AUTH_REFUSED, SLICE_LIT(""), NULL);
	msg_auth_clear(&a);
	return 0;
}

static void
auth_closed(void *arg, const struct err *why)
{
	struct fixture *f = arg;

	(void)why;
	port_free(&f->auth);
}

static const struct port_handler queue_handler = {
	.message = queue_message, .closed = queue_closed,
};
static const struct port_handler auth_handler = {
	.message = auth_message, .closed = auth_closed,
};

static int
connect_role(struct fixture *f, enum role role)
{
	struct msg_peer peer = { .role = (uint8_t)role };
	struct err e = { 0 };
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX,
	    SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
	assert_int_equal(listener_ops.peer(f->l, &peer, fd[0], &e), 0);
	return fd[1];
}

void
fixture_connect_queue(struct fixture *f)
{
	f->queue = port_new(f->loop, connect_role(f, ROLE_QUEUE), "listener",
	    &queue_handler, f);
}

void
fixture_connect_auth(struct fixture *f)
{
	f->auth = port_new(f->loop, connect_role(f, ROLE_AUTH), "listener",
	    &auth_handler, f);
}

void
fixture_kill_queue(struct fixture *f)
{
	port_free(&f->queue);
	fixture_settle(f);
}

void
fixture_answer_kept(struct fixture *f, uint16_t code)
{
	size_t i;

	for (i = 0; i < f->kept_count; i++)
		answer(f->queue, f->kept[i], code, (uint8_t)(code / 100), 0, 0,
		    "late");
	f->kept_count = 0;
	if (f->credit > 0)
		port_grant(f->queue, f->credit);
	f->credit = 0;
	fixture_settle(f);
}

/* ---- the listener ---- */

static char *
make_certificate(void)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = X509_new();
	BIO *out = BIO_new(BIO_s_mem());
	char *text, *copy;
	long n;

	assert_non_null(key);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), -60);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	X509_set_pubkey(x, key);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN",
	    MBSTRING_ASC, (const unsigned char *)"relay.test", -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(x));
	assert_true(X509_sign(x, key, EVP_sha256()) > 0);
	PEM_write_bio_X509(out, x);
	PEM_write_bio_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL);
	n = BIO_get_mem_data(out, &text);
	copy = mem_strndup(text, (size_t)n);
	BIO_free(out);
	X509_free(x);
	EVP_PKEY_free(key);
	return copy;
}

struct texts {
	const char *conf, *certificate;
};

static int
read_text(void *arg, const char *path, struct strbuf *out, struct err *e)
{
	const struct texts *t = arg;
	const char *base = strrchr(path, '/');

	base = base != NULL ? base + 1 : path;
	if (strcmp(base, "test.conf") == 0) {
		strbuf_puts(out, "hostname relay.test\n");
		if (strstr(t->conf, "listen ") == NULL)
			strbuf_puts(out, "listen 127.0.0.1:2525 {\n}\n");
		strbuf_puts(out, t->conf);
		return 0;
	}
	if (strcmp(base, "cert") == 0) {
		strbuf_puts(out, t->certificate);
		return 0;
	}
	return err_set(e, ENOENT, "%s: no such file", path);
}

static void
give_view(struct fixture *f, const char *text)
{
	struct texts texts = { text, f->certificate };
	struct conf_reader reader = { read_text, &texts };
	struct conf_messages m = { 0 };
	struct strbuf view = STRBUF_INIT;
	struct conf_tree *tree = NULL;
	struct err e = { 0 };
	struct conf *conf;

	conf = conf_load("test.conf", &reader, false, &tree, &m);
	if (conf == NULL)
		fail_msg("%s", strbuf_cstr(&m.errors));
	if (conf_view_encode(tree, CONF_LISTENER, &view, &e) != 0 ||
	    listener_ops.view(f->l, strbuf_slice(&view), &e) != 0)
		fail_msg("%s", e.text);
	strbuf_free(&view);
	conf_messages_free(&m);
	conf_free(&conf);
	conf_tree_free(&tree);
}

/* Endpoints are told apart by their index; no socket is listened on. */
static void
give_sockets(struct fixture *f)
{
	struct msg_listen m = { .kind = LISTEN_SMTP };
	struct err e = { 0 };

	for (m.index = 0; m.index < f->l->conf->n_listens; m.index++)
		assert_int_equal(listener_ops.listen(f->l, &m, -1, &e), 0);
	m.kind = LISTEN_SUBMIT;
	assert_int_equal(listener_ops.listen(f->l, &m, -1, &e), 0);
	assert_int_equal(listener_ops.start(f->l, &e), 0);
}

void
fixture_start(struct fixture *f, const char *conf)
{
	struct err e = { 0 };

	memset(f, 0, sizeof *f);
	f->loop = loop_new(&e);
	assert_non_null(f->loop);
	if (strstr(conf, "certificate") != NULL)
		f->certificate = make_certificate();
	f->l = listener_new(f->loop, -1);
	give_view(f, conf);
	give_sockets(f);
	fixture_connect_queue(f);
	fixture_connect_auth(f);
}

void
fixture_stop(struct fixture *f)
{
	size_t i;

	listener_free(&f->l);
	port_free(&f->queue);
	port_free(&f->auth);
	loop_turn(f->loop, false);
	loop_free(&f->loop);
	for (i = 0; i < f->mails; i++) {
		envelope_clear(&f->mail[i].env);
		strbuf_free(&f->mail[i].body);
	}
	free(f->certificate);
}

void
fixture_settle(struct fixture *f)
{
	int i;

	for (i = 0; i < 30; i++)
		loop_turn(f->loop, false);
}

struct received_mail *
fixture_mail(struct fixture *f, size_t i)
{
	fixture_settle(f);
	assert_true(i < f->mails);
	return &f->mail[i];
}

/* ---- clients ---- */

static struct endpoint *
endpoint_of(struct fixture *f, size_t listen)
{
	size_t i;

	for (i = 0; i < f->l->endpoint_count; i++)
		if (listen == FIXTURE_SUBMIT ? f->l->endpoints[i]->submit :
		    f->l->endpoints[i]->index == listen)
			return f->l->endpoints[i];
	fail_msg("no such listen block");
	return NULL;
}

struct client *
client_connect(struct fixture *f, size_t listen, const char *address)
{
	struct sockaddr_storage sa = { .ss_family = AF_UNIX };
	struct client *c = mem_zalloc(sizeof *c);
	int fd[2];

	if (address != NULL)
		assert_true(sockaddr_from_ip(slice_cstr(address), 40000, &sa));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
	    fd), 0);
	fs_set_nonblock(fd[0], 1);
	fs_set_nonblock(fd[1], 1);
	c->f = f;
	c->fd = fd[1];
	endpoint_accept(endpoint_of(f, listen), fd[0], &sa);
	return c;
}

void
client_close(struct client **cp)
{
	struct client *c = *cp;

	SSL_free(c->ssl);
	close(c->fd);
	fixture_settle(c->f);
	strbuf_free(&c->in);
	strbuf_free(&c->reply);
	free(c);
	*cp = NULL;
}

/* Lets the loop work while this client waits for its socket. */
static bool
turn(struct client *c, short events, int *waited)
{
	struct pollfd p = { .fd = c->fd, .events = events };

	loop_turn(c->f->loop, false);
	if (poll(&p, 1, 1) == 0)
		++*waited;
	return *waited < PATIENCE_MS;
}

void
client_send(struct client *c, const void *data, size_t n)
{
	const char *p = data;
	int waited = 0;
	ssize_t r;

	while (n > 0) {
		if (c->ssl != NULL)
			r = SSL_write(c->ssl, p, (int)n);
		else
			r = send(c->fd, p, n, MSG_NOSIGNAL);
		if (r > 0) {
			p += r;
			n -= (size_t)r;
		} else if (c->ssl == NULL && errno != EAGAIN) {
			return;		/* closed: seen in the reply */
		} else if (!turn(c, POLLOUT, &waited)) {
			fail_msg("nobody reads");
		}
	}
}

void
client_text(struct client *c, const char *text)
{
	client_send(c, text, strlen(text));
}

void
client_shut(struct client *c)
{
	shutdown(c->fd, SHUT_WR);
}

static void
client_read(struct client *c)
{
	char *room = strbuf_room(&c->in, 4096);
	ssize_t r;

	if (c->ssl != NULL) {
		r = SSL_read(c->ssl, room, 4096);
		if (r <= 0 && SSL_get_error(c->ssl, (int)r) ==
		    SSL_ERROR_WANT_READ)
			return;
	} else {
		r = recv(c->fd, room, 4096, 0);
		if (r < 0 && errno == EAGAIN)
			return;
	}
	if (r > 0)
		c->in.n += (size_t)r;
	else
		c->eof = true;
}

/* Moves a whole reply from in to reply. */
static bool
cut_reply(struct client *c)
{
	size_t at = 0;
	char *nl;

	strbuf_clear(&c->reply);
	while (at < c->in.n &&
	    (nl = memchr(c->in.p + at, '\n', c->in.n - at)) != NULL) {
		bool last = c->in.n - at > 3 && c->in.p[at + 3] != '-';

		at = (size_t)(nl - c->in.p) + 1;
		if (!last)
			continue;
		strbuf_add(&c->reply, c->in.p, at);
		strbuf_drop(&c->in, at);
		return true;
	}
	return false;
}

const char *
client_reply(struct client *c)
{
	int waited = 0;

	while (!cut_reply(c) && !c->eof) {
		if (!turn(c, POLLIN, &waited))
			fail_msg("no reply came");
		client_read(c);
	}
	return strbuf_cstr(&c->reply);
}

bool
client_is_closed(struct client *c)
{
	int waited = 0;

	while (!c->eof && c->in.n == 0 && turn(c, POLLIN, &waited))
		client_read(c);
	return c->eof && c->in.n == 0;
}

bool
client_is_silent(struct client *c)
{
	fixture_settle(c->f);
	client_read(c);
	return !c->eof && c->in.n == 0;
}

void
client_wait_closed(struct client *c)
{
	int waited = 0;

	while (!c->eof && turn(c, POLLIN, &waited)) {
		client_read(c);
		strbuf_clear(&c->in);
	}
	assert_true(c->eof);
}

int
client_start_tls(struct client *c, int max_version)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	int waited = 0, r, why;

	SSL_CTX_set_security_level(ctx, 0);
	SSL_CTX_set_min_proto_version(ctx, TLS1_VERSION);
	SSL_CTX_set_max_proto_version(ctx, max_version);
	c->ssl = SSL_new(ctx);
	SSL_CTX_free(ctx);
	SSL_set_fd(c->ssl, c->fd);
	while ((r = SSL_connect(c->ssl)) != 1) {
		why = SSL_get_error(c->ssl, r);
		if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
			return -1;
		if (!turn(c, POLLIN, &waited))
			return -1;
	}
	return 0;
}

static const char *
last_line(const char *reply)
{
	const char *line = reply, *nl;

	while ((nl = strchr(line, '\n')) != NULL && nl[1] != '\0')
		line = nl + 1;
	return line;
}

void
dialogue_at(struct client *c, const char *const *lines, const char *file,
    int line)
{
	const char *said;
	size_t i;

	for (i = 0; lines[i] != NULL; i++) {
		const char *text = lines[i] + 3;

		if (lines[i][0] == 'C') {
			client_text(c, text);
			client_text(c, "\r\n");
			continue;
		}
		if (text[0] == '\0') {
			if (!client_is_closed(c))
				_fail(file, line);
			continue;
		}
		said = last_line(client_reply(c));
		if (strncmp(said, text, strlen(text)) == 0)
			continue;
		print_error("line %zu: wanted \"%s\", got \"%s\"\n", i, text,
		    said);
		_fail(file, line);
	}
}
