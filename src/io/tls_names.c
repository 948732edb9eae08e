/* Names in certificates (listener; RFC 5280 4.2.1.6).  Whether they can be
 * believed is for the chain to say. */
#include "io/tls_names.h"

#include <string.h>

#include <openssl/x509v3.h>

static bool
tell(const ASN1_STRING *s, enum tls_name_kind kind, tls_name_cb *cb,
    void *arg)
{
	const char *p = (const char *)ASN1_STRING_get0_data(s);
	int n = ASN1_STRING_length(s);

	if (p == NULL || n <= 0 || memchr(p, '\0', (size_t)n) != NULL)
		return false;
	return cb(arg, kind, slice_of(p, (size_t)n));
}

static bool
alternative(X509 *cert, tls_name_cb *cb, void *arg)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name,
	    NULL, NULL);
	const GENERAL_NAME *name;
	bool found = false;
	int i;

	for (i = 0; !found && i < sk_GENERAL_NAME_num(names); i++) {
		name = sk_GENERAL_NAME_value(names, i);
		if (name->type == GEN_EMAIL)
			found = tell(name->d.rfc822Name, TLS_NAME_EMAIL, cb,
			    arg);
		else if (name->type == GEN_DNS)
			found = tell(name->d.dNSName, TLS_NAME_DNS, cb, arg);
	}
	GENERAL_NAMES_free(names);
	return found;
}

static bool
common(X509 *cert, tls_name_cb *cb, void *arg)
{
	X509_NAME *subject = X509_get_subject_name(cert);
	int at = -1, last = -1;
	unsigned char *utf8 = NULL;
	bool found = false;
	int n;

	while ((at = X509_NAME_get_index_by_NID(subject, NID_commonName,
	    at)) >= 0)
		last = at;
	if (last < 0)
		return false;
	n = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(
	    X509_NAME_get_entry(subject, last)));
	if (n > 0 && memchr(utf8, '\0', (size_t)n) == NULL)
		found = cb(arg, TLS_NAME_COMMON, slice_of(utf8, (size_t)n));
	OPENSSL_free(utf8);
	return found;
}

bool
tls_names(struct x509_st *cert, tls_name_cb *cb, void *arg)
{
	return alternative(cert, cb, arg) || common(cert, cb, arg);
}
