/* See clock_ahead.h. */
#include "support/clock_ahead.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"

static char offset_path[64];

int
clock_ahead_setup(void **state)
{
	int fd;

	(void)state;
	strcpy(offset_path, "/tmp/test-clock-XXXXXX");
	fd = mkstemp(offset_path);
	if (fd < 0)
		return -1;
	close(fd);
	return setenv("SMARTHOSTD_CLOCK_OFFSET_FILE", offset_path, 1);
}

int
clock_ahead_teardown(void **state)
{
	(void)state;
	return unlink(offset_path);
}

void
clock_ahead(uint64_t ms)
{
	FILE *f = fopen(offset_path, "w");

	assert_non_null(f);
	fprintf(f, "%llu\n", (unsigned long long)ms);
	fclose(f);
	clock_update();
}
