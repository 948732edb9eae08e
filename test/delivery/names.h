/* A name server on a thread of its own, over loopback UDP. */
#ifndef TEST_DELIVERY_NAMES_H
#define TEST_DELIVERY_NAMES_H

#include <pthread.h>

struct names_record {
	const char *name;	/* NULL at the end */
	const char *type;	/* "A", "AAAA", "MX", "CNAME", "TXT"; NULL: any, and
				 * text is "servfail" or "silent" */
	const char *text;	/* as in a zone file, without final dots */
};

struct names {
	const struct names_record *records;
	pthread_t thread;
	int fd;
	char address[64];	/* for struct resolver_options */
};

/* What is in no record does not exist. */
void names_start(struct names *n, const struct names_record *records);
void names_stop(struct names *n);

#endif
