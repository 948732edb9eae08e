/* A wall clock that a test sets: its program's tests run between these two,
 * as the group's set-up and teardown. */
#ifndef TEST_SUPPORT_CLOCK_AHEAD_H
#define TEST_SUPPORT_CLOCK_AHEAD_H

#include <stdint.h>

int clock_ahead_setup(void **state);
int clock_ahead_teardown(void **state);
/* From now on, by so many milliseconds; 0: it is right again.  Processes that
 * are begun later see it, too. */
void clock_ahead(uint64_t ms);

#endif
