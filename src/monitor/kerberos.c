/*
 * Kerberos: auth asks for the program that speaks it for a transport; it is
 * started with one end of a channel as its standard input, auth gets the other.
 * Run by monitor, which alone can read a keytab (it passes on a copy, sealed,
 * that no name leads to) and become the user whose ticket cache it is.
 *
 * The program ends with its channel.  What it says at its end is logged; how
 * a login failed it tells auth.
 */
#include "monitor/kerberos.h"

#include <sys/mman.h>
#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "monitor/open_dir.h"
#include "monitor/run_command.h"

#define KEYTAB_MAX (1024u * 1024)	/* octets */

struct kerberos_run {
	TAILQ_ENTRY(kerberos_run) link;
	struct monitor *m;
	struct run *run;
	uint32_t slot;			/* of the auth that has it */
	char *transport;
	bool killed;			/* by us */
};

static void
on_end(void *arg, uint8_t status, const char *text)
{
	struct kerberos_run *k = arg;

	if (status != 0 && !k->killed) {
		log_begin(LL_WARN, "kerberos");
		log_str("transport", k->transport);
		log_str("text", text[0] != '\0' ? text :
		    "its program has failed");
		log_end();
	}
	TAILQ_REMOVE(&k->m->kerberos, k, link);
	free(k->transport);
	free(k);
}

static void
end(struct kerberos_run *k)
{
	k->killed = true;
	run_kill(k->run);
}

void
kerberos_forget(struct monitor *m, uint32_t slot)
{
	struct kerberos_run *k;

	TAILQ_FOREACH(k, &m->kerberos, link)
		if (k->slot == slot)
			end(k);
}

void
kerberos_forget_all(struct monitor *m)
{
	struct kerberos_run *k;

	while ((k = TAILQ_FIRST(&m->kerberos)) != NULL) {
		end(k);
		run_forget(k->run);
		TAILQ_REMOVE(&m->kerberos, k, link);
		free(k->transport);
		free(k);
	}
}

int
kerberos_check(const char *libexec, struct err *e)
{
	char *path = mem_printf("%s/kerberos", libexec);
	int rc = access(path, X_OK) == 0 ? 0 : err_set(e, ENOENT, "%s is not "
	    "there: install libkrb5-dev, then run configure, make and make "
	    "install", path);

	free(path);
	return rc;
}

/* ---- the beginning ---- */

/* A descriptor with what the file holds now; -1. */
static int
copy_keytab(const char *path, struct err *e)
{
	struct strbuf text = STRBUF_INIT;
	int fd = open_regular(path), rc;

	if (fd < 0)
		return err_errno(e, "%s", path);
	rc = fs_read_rest(fd, path, KEYTAB_MAX, &text, e);
	close(fd);
	if (rc < 0)
		return -1;
	fd = memfd_create("keytab", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0 || fs_write_all(fd, text.p, text.n) < 0 || fcntl(fd,
	    F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW |
	    F_SEAL_WRITE) < 0) {
		err_errno(e, "memfd");
		if (fd >= 0)
			close(fd);
		fd = -1;
	}
	strbuf_wipe(&text);
	return fd;
}

/* The words of its command line, in v; those that are no constants are
 * borrowed of t. */
static void
set_words(const struct conf_transport *t, char *v[5])
{
	size_t n = 0;

	v[n++] = (char *)(uintptr_t)"kerberos";
	v[n++] = (char *)(uintptr_t)(t->keytab != NULL ? "keytab" : "cache");
	if (t->keytab == NULL)
		v[n++] = t->ticket_cache;
	if (t->username != NULL)
		v[n++] = t->username;
	v[n] = NULL;
}

static struct run *
launch(struct kerberos_run *k, const struct conf_transport *t, int channel,
    int keytab, struct err *e)
{
	const char *config = getenv("KRB5_CONFIG");
	char home[4096] = "/", *words[5], *env[2] = { NULL, NULL };
	struct run_helper h = { .path = mem_printf("%s/kerberos",
	    k->m->libexec), .argv = words, .home = home, .env = env,
	    .in = channel, .more = keytab };
	struct run *run = NULL;
	struct identity who;

	set_words(t, words);
	if (config != NULL)
		env[0] = mem_printf("KRB5_CONFIG=%s", config);
	if (identity_of_command(k->m, t->ticket_user, &who, home,
	    sizeof(home), e) == 0) {
		run = run_start_helper(k->m, &who, &h, on_end, k);
		if (run == NULL)
			err_set(e, EAGAIN, "its program cannot be started");
	}
	free(env[0]);
	free((char *)(uintptr_t)h.path);
	return run;
}

/* auth's end of the channel; -1. */
static int
begin(struct process *p, const struct conf_transport *t, struct err *e)
{
	int ends[2] = { -1, -1 }, keytab = -1, fd = -1;
	struct kerberos_run *k;

	if (kerberos_check(p->m->libexec, e) < 0)
		return -1;
	if (t->keytab != NULL && (keytab = copy_keytab(t->keytab, e)) < 0)
		return -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC |
	    SOCK_NONBLOCK, 0, ends) < 0) {
		err_errno(e, "socketpair");
		goto out;
	}
	k = mem_zalloc(sizeof(*k));
	k->m = p->m;
	k->slot = p->slot;
	k->transport = mem_strdup(t->name);
	k->run = launch(k, t, ends[1], keytab, e);
	if (k->run == NULL) {
		free(k->transport);
		free(k);
		close(ends[0]);
	} else {
		TAILQ_INSERT_TAIL(&p->m->kerberos, k, link);
		fd = ends[0];
	}
	close(ends[1]);
out:
	if (keytab >= 0)
		close(keytab);
	return fd;
}

/* auth asks anew only when it has done with the one before. */
static void
end_former(const struct process *p, const char *transport)
{
	struct kerberos_run *k;

	TAILQ_FOREACH(k, &p->m->kerberos, link)
		if (k->slot == p->slot && strcmp(k->transport,
		    transport) == 0)
			end(k);
}

/* Nothing is wrong with the account. */
static bool
is_passing(const struct err *e)
{
	return e->code == EAGAIN || e->code == ENOMEM || e->code == EMFILE ||
	    e->code == ENFILE || e->code == ENOBUFS;
}

int
kerberos_ask(struct process *p, struct port_message *msg, struct err *e)
{
	struct err why = { ENOENT, "it is not in the configuration any more" };
	struct msg_connected answer = { .passing = false };
	const struct conf_transport *t;
	struct strbuf b = STRBUF_INIT;
	struct msg_connect m;
	int fd = -1;

	if (msg->fd >= 0)
		close(msg->fd);
	if (msg_connect_decode(msg->data, &m) < 0)
		return err_set(e, EPROTO, "a request for Kerberos is garbage");
	end_former(p, m.transport);
	t = conf_transport_get(p->m->conf, m.transport);
	if (t != NULL && t->kerberos)
		fd = begin(p, t, &why);
	if (fd < 0) {
		snprintf(answer.text, sizeof(answer.text), "%s", why.text);
		answer.passing = is_passing(&why);
	}
	msg_connected_encode(&b, &answer);
	if (fd >= 0)
		port_reply_fd(p->port, MSG_CONNECTED, msg->ref,
		    strbuf_slice(&b), fd);
	else
		port_send_reply(p->port, MSG_CONNECTED, msg->ref,
		    strbuf_slice(&b));
	strbuf_free(&b);
	msg_connect_clear(&m);
	return 0;
}
