/* The monitor: keeps the configuration, every bound socket and the log, and
 * starts, connects, restarts and ends the roles.  It parses nothing that came
 * from the network. */
#ifndef MONITOR_MONITOR_H
#define MONITOR_MONITOR_H

#include <sys/types.h>

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/err.h"
#include "conf/conf.h"
#include "conf/load.h"
#include "io/loop.h"
#include "ipc/msg.h"
#include "ipc/port.h"

struct options {
	const char *file;		/* -f */
	bool foreground;		/* -d */
	bool check_only;		/* -n */
	bool verbose;			/* -v */
};

/* A role's user. */
struct identity {
	bool change;			/* started as root: become this one */
	uid_t uid;
	gid_t gid;
	char name[64];
};

enum process_state { PROCESS_WAITING, PROCESS_STARTING, PROCESS_READY,
	PROCESS_DRAINING };

/* One process of a role; its place is kept while it is started anew. */
struct process {
	TAILQ_ENTRY(process) link;
	struct monitor *m;
	enum role role;
	uint32_t slot;
	enum process_state state;
	pid_t pid;			/* 0: not running */
	struct port *port;		/* NULL: not running */
	uint32_t restarts;
	uint64_t started;		/* wall ms */
	uint64_t started_mono;
	uint64_t backoff;		/* ms until the next start */
	struct loop_timer again;
	unsigned unanswered;		/* questions since its last answer */
};

struct socket_bound {			/* a listening socket */
	uint8_t kind;			/* enum listen_kind */
	uint32_t index;			/* into conf.listens, token_servers */
	bool has_group;			/* LISTEN_TOKEN */
	uint32_t group;
	char *name;			/* "127.0.0.1:25", a path */
	int fd;
};

struct monitor {
	struct loop *loop;
	struct options opt;
	const char *libexec;
	struct conf *conf;
	struct conf_tree *tree;
	struct identity who[ROLE_COUNT];
	TAILQ_HEAD(process_list, process) processes;
	uint32_t last_slot, last_instance;
	struct socket_bound *sockets;
	size_t n_sockets;
	TAILQ_HEAD(local_list, local_job) locals;
	TAILQ_HEAD(run_list, run) runs;
	TAILQ_HEAD(secret_list, secret_job) secrets;
	TAILQ_HEAD(token_list, token_lock) tokens;	/* locked files */
	TAILQ_HEAD(kerberos_list, kerberos_run) kerberos;
	struct drop *drop;
	struct refresh *refresh;
	struct http *http;
	int64_t certificate_renew;	/* `certificate auto`; seconds */
	int lock_fd;
	int log_fd;
	struct msg_log log;
	uint64_t started;		/* wall ms */
	bool ready;			/* was said */
	bool reloading;			/* until the new set is ready */
	bool stopping;
	bool watchdog;			/* systemd's */
	uint64_t watch_every;		/* ms */
	struct loop_timer watch;
	int status;			/* exit status */
	int ready_pipe;			/* to the parent that waits; -1 */
	struct loop_timer stop_timer;
	struct loop_signal on_term, on_int, on_hup, on_usr1, on_child;
};

/* supervise.c */
void supervise_start(struct monitor *m);	/* one of each, as configured */
void supervise_child(struct monitor *m, pid_t pid, int status);
/* A struct msg_peer: p cannot work with that process any more. */
int supervise_accused(struct process *p, struct slice data, struct err *e);
void supervise_stop(struct monitor *m, int status);
void supervise_kill(struct monitor *m);		/* the time is up */
void supervise_reload(struct monitor *m);	/* a new set on m->conf */
/* New ones of these roles (a mask of enum conf_role) on what is in the files
 * of m->conf now. */
void supervise_renew(struct monitor *m, unsigned roles);
/* A role has said that it is ready, or a reload has ended; when all are
 * ready, we are. */
void supervise_ready(struct monitor *m);
/* queue is told what `relayctl status` shows of the roles. */
void supervise_tell_status(struct monitor *m);

/* spawn.c */
int process_spawn(struct process *p, struct err *e);
/* Hands a running process what it needs; peers that run are connected. */
int process_equip(struct process *p, struct err *e);
void process_tell_log(struct process *p);
int process_tell_view(struct process *p, struct err *e);

/* bind.c */
int bind_all(struct monitor *m, const struct conf *conf,
    struct socket_bound **out, size_t *n, struct err *e);
/* Closes those that are not in keep; unlinks what is ours. */
void bind_close(struct socket_bound *v, size_t n,
    const struct socket_bound *keep, size_t n_keep);

/* dirs.c */
int dirs_make(struct monitor *m, struct err *e);
int dirs_lock(struct monitor *m, struct err *e);

/* identity.c */
int identity_find(struct monitor *m, struct err *e);
/* In the child: becomes the user for good; -1 with errno. */
int identity_become(const struct identity *who);
/* Whom a command, or what works for auth, runs as: name, or `user` where that
 * is NULL; and his home. */
int identity_of_command(const struct monitor *m, const char *name,
    struct identity *who, char *home, size_t home_n, struct err *e);
/* Whom we run as, and his home. */
void identity_self(struct identity *who, char *home, size_t home_n);
bool identity_group(const char *name, uint32_t *gid);
/* The passwd entry of a name: 1, 0: there is none, -1: nobody can say now (a
 * directory service that is away, no descriptor left). */
int identity_look_up(const char *name, struct identity *who, char *home,
    size_t home_n);
/* The same where that makes no difference; false: there is none. */
bool identity_user(const char *name, struct identity *who, char *home,
    size_t home_n);

/* logging.c */
int logging_open(struct monitor *m, struct err *e);

/* connect.c: MSG_CONNECT of a delivery; -1: garbage */
int connect_socket(struct process *p, struct port_message *msg,
    struct err *e);

/* local_job.c */
int local_job_start(struct monitor *m, struct port_message *msg,
    struct err *e);
/* Answers whether the recipient could be delivered to at all. */
int local_job_ask(struct monitor *m, struct port_message *msg,
    struct err *e);
void local_job_forget(struct monitor *m);	/* queue is gone */

/* drop.c */
void drop_start(struct monitor *m);
void drop_stop(struct monitor *m);

/* http.c: `metrics`; on the sockets of now, in place of those before. */
void http_start(struct monitor *m);
void http_stop(struct monitor *m);

/* watch.c */
void watch_start(struct monitor *m);

/* refresh.c */
/* Before a configuration comes into force: sees to the certificate of
 * `certificate auto`. */
int refresh_prepare(struct monitor *m, const struct conf *conf,
    struct conf_tree *tree, struct err *e);
/* Watches the files of m->conf, in place of those before. */
void refresh_start(struct monitor *m);
void refresh_stop(struct monitor *m);

/* notify.c: systemd */
void notify_systemd(const char *state);
/* READY=1 has to follow. */
void notify_reloading(void);

#endif
