/* See steps.h. */
#include "steps.h"

struct fixture f;

int
setup(void **state)
{
	(void)state;
	fixture_start(&f, conf);
	return 0;
}

int
teardown(void **state)
{
	(void)state;
	fixture_stop(&f);
	return 0;
}

struct client *
greeted_at(size_t listen, const char *address, const char *file, int line)
{
	static const char *const lines[] = {
		"S: 220", "C: EHLO x", "S: 250", NULL
	};
	struct client *c = client_connect(&f, listen, address);

	dialogue_at(c, lines, file, line);
	return c;
}

static void
name_both(struct client *c, const char *file, int line)
{
	static const char *const lines[] = {
		"C: MAIL FROM:<a@x.test>", "S: 250",
		"C: RCPT TO:<b@y.test>", "S: 250", NULL
	};

	dialogue_at(c, lines, file, line);
}

struct client *
to_rcpt_at(size_t listen, const char *address, const char *file, int line)
{
	struct client *c = greeted_at(listen, address, file, line);

	name_both(c, file, line);
	return c;
}

struct client *
to_data_at(size_t listen, const char *address, const char *file, int line)
{
	struct client *c = greeted_at(listen, address, file, line);

	to_next_data_at(c, file, line);
	return c;
}

void
to_next_data_at(struct client *c, const char *file, int line)
{
	static const char *const lines[] = { "C: DATA", "S: 354", NULL };

	name_both(c, file, line);
	dialogue_at(c, lines, file, line);
}
