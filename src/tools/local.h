/* What libexec/local can do; each returns an exit status of sysexits. */
#ifndef TOOLS_LOCAL_H
#define TOOLS_LOCAL_H

/* The message on standard input into the maildir. */
int local_maildir(const char *path);
/* A batch of the drop directory on standard input, to the daemon. */
int local_submit(const char *socket_path);

#endif
