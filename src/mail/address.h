/* Mail addresses as SMTP has them: paths of MAIL and RCPT, their parts, their
 * form for comparison (RFC 5321 4.1.2, RFC 6531 3.3). */
#ifndef MAIL_ADDRESS_H
#define MAIL_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"
#include "base/strbuf.h"

#define MAIL_LOCAL_MAX 256	/* the RFC demands 64; VERP writes more */
#define MAIL_ADDRESS_MAX 512	/* local part, "@", domain: in octets */

/* All slices point into what was parsed. */
struct mail_path {
	struct slice whole;	/* as written, without <> and source route;
				 * empty: the null reverse-path */
	struct slice local;	/* as written, with its quotes */
	struct slice domain;	/* as written; empty: null, or a bare local
				 * part (<Postmaster>, <root>) */
	bool utf8;		/* holds octets above 127 */
};

/* Results of mail_path_parse. */
enum {
	MAIL_PATH_OK = 0,
	MAIL_PATH_SYNTAX = -1,	/* 501 5.1.7 or 5.1.3 */
	MAIL_PATH_UTF8 = -2	/* needs SMTPUTF8: 553 5.6.7 */
};

/* Reads `<...>` at the front of in (blanks before it are skipped; an address
 * without brackets, up to the next blank, is taken too: old devices).  Source
 * routes are dropped.  *used: octets up to and with the '>'.  Whether a null
 * path or one without domain is wanted here is the caller's to say.  Does not
 * allocate.  *out is only set at MAIL_PATH_OK. */
int mail_path_parse(struct slice in, struct mail_path *out, bool utf8_ok,
    size_t *used);

/* Cuts at the last '@' outside of quotes; domain is empty where there is
 * none.  Says nothing about validity. */
void mail_address_split(struct slice addr, struct slice *local,
    struct slice *domain);
/* A whole `local@domain` without brackets, as a path would have it; with
 * domain.  This is the test for addresses of a configuration. */
bool mail_address_valid(struct slice addr, bool utf8_ok);
/* Local part alone: dot-string or quoted-string. */
bool mail_local_valid(struct slice local, bool utf8_ok);

/* Appends the form in which two addresses are compared: local part ASCII
 * lower-cased, unquoted where the quotes are idle ("a"@x is a@x), domain as
 * mail_domain_normal.  An invalid domain is taken as it is, lower-cased.
 * "" stays "". */
void mail_address_normal(struct slice addr, struct strbuf *out);
/* Same mailbox by that form? */
bool mail_address_same(struct slice a, struct slice b);

/* Appends the text of a local part without quotes and backslashes. */
void mail_local_unquote(struct slice local, struct strbuf *out);
/* Appends a text as local part, quoted where it must be. */
void mail_local_quote(struct slice text, struct strbuf *out);

#endif
