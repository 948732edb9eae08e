/* Fault points, for the crash tests; in a daemon without their environment
 * all of it is one false flag.  A specification that cannot be read ends the
 * process with status 78: a test that hits nothing must not look like one
 * that passed. */
#include "base/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/slice.h"

#define FAULT_KILL (-1)
#define EXIT_CONFIG 78

struct spec {
	char *name;
	uint64_t nth;			/* passages still to go */
	int action;			/* an errno, or FAULT_KILL */
};

bool fault_armed;

static struct spec *specs;
static size_t spec_count;
static bool listing;
static char **listed;
static size_t listed_count;
static int hit_fd = -1;
static bool once;
/* The store's threads pass fault points too. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static int
errno_of(struct slice name)
{
	for (int i = 1; i < 134; i++) {
		const char *known = strerrorname_np(i);

		if (known != NULL && slice_eq_cstr(name, known))
			return i;
	}
	return 0;
}

static int
read_spec(struct slice s, struct spec *out)
{
	long eq = slice_find(s, '=');
	long colon;

	out->action = FAULT_KILL;
	out->nth = 1;
	if (eq >= 0) {
		struct slice what = slice_skip(s, (size_t)eq + 1);

		if (!slice_eq_cstr(what, "kill")) {
			out->action = errno_of(what);
			if (out->action == 0)
				return -1;
		}
		s.n = (size_t)eq;
	}
	colon = slice_find(s, ':');
	if (colon >= 0) {
		if (!num_u64(slice_skip(s, (size_t)colon + 1), UINT64_MAX,
		    &out->nth) || out->nth == 0)
			return -1;
		s.n = (size_t)colon;
	}
	if (s.n == 0)
		return -1;
	out->name = slice_dup(s);
	return 0;
}

static void
bad_spec(const char *what)
{
	fprintf(stderr, "SMARTHOSTD_FAULT: cannot read \"%s\"\n", what);
	exit(EXIT_CONFIG);
}

void
fault_init(void)
{
	const char *env = getenv("SMARTHOSTD_FAULT");
	const char *file = getenv("SMARTHOSTD_FAULT_HIT");
	struct slice left = slice_cstr(env);

	listing = getenv("SMARTHOSTD_FAULT_LIST") != NULL;
	once = getenv("SMARTHOSTD_FAULT_ONCE") != NULL;
	while (left.n > 0) {
		long comma = slice_find(left, ',');
		size_t n = comma < 0 ? left.n : (size_t)comma;
		struct slice one = slice_trim(slice_of(left.p, n));
		struct spec spec;

		left = slice_skip(left, n + 1);
		if (one.n == 0)
			continue;
		if (read_spec(one, &spec) < 0)
			bad_spec(env);
		*(struct spec *)mem_push(&specs, &spec_count,
		    sizeof(spec)) = spec;
	}
	fault_armed = spec_count > 0 || listing;
	if (!fault_armed || file == NULL || hit_fd >= 0)
		return;
	hit_fd = open(file, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
	if (hit_fd < 0)
		fprintf(stderr, "SMARTHOSTD_FAULT_HIT: %s: %s\n", file,
		    strerror(errno));
}

/* One write with O_APPEND: lines of several roles do not mix. */
static void
note(const char *name)
{
	char line[128];
	int n;

	if (hit_fd < 0)
		return;
	n = snprintf(line, sizeof(line), "%s\n", name);
	if (n > 0 && (size_t)n < sizeof(line))
		(void)fs_write_all(hit_fd, line, (size_t)n);
}

/* Whether any process has noted it: the one that was started anew after the
 * death that was asked for is to live. */
static bool
noted(const char *name)
{
	char text[4096], line[128];
	ssize_t n;

	if (hit_fd < 0)
		return false;
	snprintf(line, sizeof(line), "%s\n", name);
	n = pread(hit_fd, text, sizeof(text) - 1, 0);
	text[n > 0 ? n : 0] = '\0';
	for (const char *p = text; (p = strstr(p, line)) != NULL; p++)
		if (p == text || p[-1] == '\n')
			return true;
	return false;
}

static void
list(const char *name)
{
	for (size_t i = 0; i < listed_count; i++) {
		if (strcmp(listed[i], name) == 0)
			return;
	}
	*(char **)mem_push(&listed, &listed_count, sizeof(char *)) =
	    mem_strdup(name);
	note(name);
}

int
fault_hit(const char *name)
{
	int action = 0;

	pthread_mutex_lock(&lock);
	if (listing) {
		list(name);
		pthread_mutex_unlock(&lock);
		return 0;
	}
	for (size_t i = 0; i < spec_count && action == 0; i++) {
		struct spec *s = &specs[i];

		if (s->nth > 0 && strcmp(s->name, name) == 0 &&
		    --s->nth == 0 && !(once && noted(name))) {
			note(name);
			action = s->action;
		}
	}
	pthread_mutex_unlock(&lock);
	if (action == FAULT_KILL) {
		kill(getpid(), SIGKILL);
		for (;;)
			pause();
	}
	if (action > 0)
		errno = action;
	return action;
}
