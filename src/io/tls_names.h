/* The names that a certificate says its holder has. */
#ifndef IO_TLS_NAMES_H
#define IO_TLS_NAMES_H

#include <stdbool.h>

#include "base/slice.h"

struct x509_st;

enum tls_name_kind { TLS_NAME_EMAIL, TLS_NAME_DNS, TLS_NAME_COMMON };

/* True: this was the one, no further ones are wanted. */
typedef bool tls_name_cb(void *arg, enum tls_name_kind kind,
    struct slice name);

/* E-mail addresses and host names among the subjectAltNames, then the common
 * name, the last one where there are several.  What holds a NUL or is empty
 * is left out.  True: cb said so. */
bool tls_names(struct x509_st *cert, tls_name_cb *cb, void *arg);

#endif
