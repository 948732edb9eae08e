/*
 * `certificate auto`: SPOOL/certificate.pem, a self-signed certificate and
 * its key, made where it is missing and anew before it expires.  The key stays
 * the same, so that clients may pin it.  Run by monitor.
 *
 * The directory belongs to queue, the file does not: one that is not
 * monitor's own, or that others can read, is put aside by a new one with
 * another key.  Failure refuses the configuration that asks for it.
 */
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/tls_self_signed.h"
#include "monitor/certificate.h"

#define VALID_DAYS 397u
#define RENEW_SECONDS (30 * 24 * 3600)	/* before its end */
#define FILE_MAX 65536			/* octets */

bool
certificate_wanted(const struct conf *conf)
{
	size_t i;

	for (i = 0; i < conf->n_listens; i++) {
		if (conf->listens[i].certificate_auto)
			return true;
	}
	return false;
}

char *
certificate_path(const struct conf *conf)
{
	return mem_printf("%s/certificate.pem", conf->spool_directory);
}

/* What is there and may be trusted, else nothing. */
static void
read_own(const char *path, struct strbuf *out)
{
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	const char *why = NULL;

	if (fd < 0)
		return;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_nlink != 1 ||
	    st.st_size > FILE_MAX)
		why = "it is no ordinary file";
	else if (st.st_uid != geteuid())
		why = "it belongs to somebody else";
	else if ((st.st_mode & 077) != 0)
		why = "others could read its key";
	else if (fs_pread_all(fd, strbuf_room(out, (size_t)st.st_size),
	    (size_t)st.st_size, 0) == 0) {
		out->n = (size_t)st.st_size;
		out->p[out->n] = '\0';
	}
	close(fd);
	if (why == NULL)
		return;
	log_begin(LL_WARN, "certificate");
	log_str("file", path);
	log_fmt("text", "%s: it is replaced, with a new key", why);
	log_end();
}

/* Whole or not there, whatever happens meanwhile. */
static int
write_own(const char *path, struct slice text, struct err *e)
{
	char *fresh = mem_printf("%s.new", path);
	int fd, rc = -1;

	(void)unlink(fresh);
	fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
	    0600);
	if (fd < 0) {
		err_errno(e, "%s", fresh);
		goto out;
	}
	if (fs_write_all(fd, text.p, text.n) < 0 || fsync(fd) < 0)
		err_errno(e, "write %s", fresh);
	else if (rename(fresh, path) < 0)
		err_errno(e, "rename %s", fresh);
	else
		rc = 0;
	close(fd);
	if (rc < 0)
		(void)unlink(fresh);
out:
	free(fresh);
	return rc;
}

static bool
is_good(struct slice pem, const char *name,
    struct tls_certificate_facts *facts)
{
	struct err e;

	return tls_certificate_look(pem, name, facts, &e) == 0 &&
	    facts->has_key && facts->for_name && facts->expiry -
	    (int64_t)(clock_real_ms() / 1000) > RENEW_SECONDS;
}

static void
tell(const char *path, const char *name, bool renewed,
    const struct tls_certificate_facts *facts)
{
	log_begin(LL_INFO, "certificate");
	log_str("file", path);
	log_str("sha256", facts->sha256);
	log_fmt("text", "a self-signed certificate for %s was %s, valid for "
	    "%u days", name, renewed ? "renewed" : "made", VALID_DAYS);
	log_end();
}

int
certificate_keep(const struct conf *conf, struct conf_tree *tree,
    int64_t *renew_at, struct err *e)
{
	struct strbuf old = STRBUF_INIT, made = STRBUF_INIT, *pem = &old;
	struct tls_certificate_facts facts;
	char *path;
	int rc = -1;

	*renew_at = INT64_MAX;
	if (!certificate_wanted(conf))
		return 0;
	path = certificate_path(conf);
	read_own(path, &old);
	if (!is_good(strbuf_slice(&old), conf->hostname, &facts)) {
		pem = &made;
		if (tls_self_signed_make(conf->hostname, strbuf_slice(&old),
		    VALID_DAYS, &made, e) < 0 ||
		    write_own(path, strbuf_slice(&made), e) < 0 ||
		    tls_certificate_look(strbuf_slice(&made), conf->hostname,
		    &facts, e) < 0)
			goto out;
		tell(path, conf->hostname, old.n > 0, &facts);
	}
	*renew_at = facts.expiry - RENEW_SECONDS;
	conf_tree_certificate(tree, strbuf_cstr(pem));
	rc = 0;
out:
	if (rc < 0)
		err_prefix(e, "certificate auto");
	strbuf_wipe(&old);
	strbuf_wipe(&made);
	free(path);
	return rc;
}
