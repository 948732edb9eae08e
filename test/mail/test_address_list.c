/* Mailboxes out of header fields, as sendmail -t needs them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/strbuf.h"
#include "mail/address_list.h"

static struct strbuf got;
static const char *field;

static void
take(void *arg, const struct mail_mailbox *m)
{
	(void)arg;
	if (got.n > 0)
		strbuf_putc(&got, ' ');
	if (m->display.n > 0) {
		strbuf_putc(&got, '{');
		strbuf_add_slice(&got, m->display);
		strbuf_putc(&got, '}');
	}
	strbuf_add_slice(&got, m->addr);
	assert_true(m->pos + m->len <= strlen(field));
	assert_int_equal(field[m->pos], m->addr.p[0]);
	assert_int_equal(field[m->pos + m->len - 1],
	    m->addr.p[m->addr.n - 1]);
}

static void
list(const char *value, const char *want, size_t skipped)
{
	field = value;
	strbuf_clear(&got);
	assert_int_equal(mail_address_list(slice_cstr(value), take, NULL),
	    skipped);
	assert_string_equal(strbuf_cstr(&got), want);
}

static void
plain_lists(void **state)
{
	(void)state;
	list("a@b", "a@b", 0);
	list("a@b, c@d ,e", "a@b c@d e", 0);
	list("", "", 0);
	list(" , ,", "", 0);
	list("root", "root", 0);
	list("a@[192.0.2.1]", "a@[192.0.2.1]", 0);
}

static void
names_in_front(void **state)
{
	(void)state;
	list("Joe Q. Public <joe@x>, <b@y>", "{Joe Q. Public}joe@x b@y", 0);
	list("\"Doe, John\" <j@x>", "{\"Doe, John\"}j@x", 0);
	list("=?utf-8?q?J=C3=BCrgen?= <j@x>", "{=?utf-8?q?J=C3=BCrgen?=}j@x",
	    0);
	list("j@x <k@y>", "{j@x}k@y", 0);
	list("x <@r1,@r2:k@y>", "{x}k@y", 0);
	list("x <\"a b\"@y> (gone), z@z", "{x}\"a b\"@y z@z", 0);
}

static void
comments_and_folding(void **state)
{
	(void)state;
	list("a@b (the (inner) one\\)), c@d", "a@b c@d", 0);
	list("a (x) @ (y) b . c", "a@b.c", 0);
	list("Joe\r\n <joe\r\n\t@x>,\r\n k@y", "{Joe}joe@x k@y", 0);
	list("\"a\r\n b\"@x", "\"a b\"@x", 0);
}

static void
groups(void **state)
{
	(void)state;
	list("Friends: a@b, C <c@d>;, e@f", "a@b {C}c@d e@f", 0);
	list("Undisclosed recipients:;", "", 0);
	list("A:x@y;B:;z@z", "x@y z@z", 0);
}

static void
what_cannot_be_read_is_counted(void **state)
{
	(void)state;
	list("John Smith, a@b", "a@b", 1);
	list("a@b@c, d@e", "d@e", 1);
	list("@b, d@e", "d@e", 1);
	list("a@, d@e", "d@e", 1);
	list("<>, d@e", "d@e", 1);
	list("<a@b, d@e", "", 1);
	list("\"open, d@e", "", 1);
	list("(open, d@e", "", 1);
	list("a@[open, d@e", "", 1);
	list("a)b@c, d@e", "d@e", 1);
	list("a\x01@c, d@e", "d@e", 1);
	list("x <a, b@c>, d@e", "d@e", 1);
}

static int
free_all(void **state)
{
	(void)state;
	strbuf_free(&got);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_lists),
		cmocka_unit_test(names_in_front),
		cmocka_unit_test(comments_and_folding),
		cmocka_unit_test(groups),
		cmocka_unit_test(what_cannot_be_read_is_counted),
	};

	return cmocka_run_group_tests(tests, NULL, free_all);
}
