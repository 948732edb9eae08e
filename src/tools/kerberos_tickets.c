/*
 * Tickets.  Run by the program kerberos.  Those of a keytab live in this
 * process alone: no file holds them, and a KDC is asked again only when they
 * are half used up.  GSSAPI fetches them by itself when a credential is made.
 *
 * What has failed is not tried anew for those who had come meanwhile: a KDC
 * that is silent costs one wait, not one for each of them.
 */
#include "tools/kerberos_tickets.h"

#include <gssapi/gssapi_ext.h>
#include <gssapi/gssapi_krb5.h>
#include <krb5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

#define FAILED_US 1000000u
#define KEYS "MEMORY:keys"
#define CACHE "MEMORY:tickets"

struct tickets {
	krb5_context context;		/* keeps KEYS alive */
	krb5_keytab keys;		/* NULL: of a cache */
	gss_name_t principal;		/* or GSS_C_NO_NAME */
	gss_key_value_element_desc where[2];
	gss_key_value_set_desc store;
	struct failure last;
	uint64_t failed_at;		/* monotonic us; 0: it has not */
};

/* ---- the keytab ---- */

/* Entries of a keytab: all of them, and those of the principal. */
struct entries {
	krb5_principal principal;	/* NULL: any */
	unsigned all, its;
};

static krb5_error_code
copy_entries(krb5_context c, krb5_keytab from, krb5_keytab to,
    struct entries *n)
{
	krb5_keytab_entry entry;
	krb5_kt_cursor cursor;
	krb5_error_code r = krb5_kt_start_seq_get(c, from, &cursor);

	if (r != 0)
		return r;
	while ((r = krb5_kt_next_entry(c, from, &entry, &cursor)) == 0) {
		n->all++;
		n->its += n->principal == NULL || krb5_principal_compare(c,
		    n->principal, entry.principal);
		r = krb5_kt_add_entry(c, to, &entry);
		krb5_free_keytab_entry_contents(c, &entry);
		if (r != 0)
			break;
	}
	krb5_kt_end_seq_get(c, from, &cursor);
	return r == KRB5_KT_END ? 0 : r;
}

/* What the descriptor holds, into memory: nothing has to be opened later. */
static krb5_error_code
load_keys(struct tickets *t, int fd, const char *principal,
    struct entries *n)
{
	krb5_keytab file = NULL;
	char name[40];
	krb5_error_code r = krb5_init_context(&t->context);

	snprintf(name, sizeof(name), "FILE:/proc/self/fd/%d", fd);
	if (r == 0 && principal != NULL)
		r = krb5_parse_name(t->context, principal, &n->principal);
	if (r == 0)
		r = krb5_kt_resolve(t->context, KEYS, &t->keys);
	if (r == 0)
		r = krb5_kt_resolve(t->context, name, &file);
	if (r == 0)
		r = copy_entries(t->context, file, t->keys, n);
	if (file != NULL)
		krb5_kt_close(t->context, file);
	return r;
}

static int
take_keytab(struct tickets *t, int fd, const char *principal,
    struct failure *f)
{
	struct entries n = { NULL, 0, 0 };
	krb5_error_code r = load_keys(t, fd, principal, &n);
	const char *text;

	close(fd);
	if (t->context != NULL)
		krb5_free_principal(t->context, n.principal);
	if (r == 0 && n.its > 0)
		return 0;
	if (r == 0) {
		failure_own(f, n.all == 0 ? "the keytab holds no key" :
		    "the keytab holds no key of %s: see klist -k", principal);
		return -1;
	}
	text = krb5_get_error_message(t->context, r);
	failure_own(f, "the keytab: %s", text);
	krb5_free_error_message(t->context, text);
	return -1;
}

/* ---- the whole ---- */

static int
take_principal(struct tickets *t, const char *principal, struct failure *f)
{
	gss_buffer_desc name = { strlen(principal),
	    (void *)(uintptr_t)principal };
	OM_uint32 major, minor;

	major = gss_import_name(&minor, &name,
	    (gss_OID)GSS_KRB5_NT_PRINCIPAL_NAME, &t->principal);
	if (!GSS_ERROR(major))
		return 0;
	failure_gss(f, major, minor, false);
	return -1;
}

struct tickets *
tickets_new(int keytab, const char *cache, const char *principal,
    struct failure *f)
{
	struct tickets *t = mem_zalloc(sizeof(*t));

	t->store.elements = t->where;
	t->where[t->store.count].key = "ccache";
	t->where[t->store.count++].value = keytab >= 0 ? CACHE : cache;
	if (keytab >= 0) {
		t->where[t->store.count].key = "client_keytab";
		t->where[t->store.count++].value = KEYS;
	}
	if ((keytab >= 0 && take_keytab(t, keytab, principal,
	    f) < 0) ||
	    (principal != NULL && take_principal(t, principal, f) < 0))
		tickets_free(&t);
	return t;
}

void
tickets_free(struct tickets **tp)
{
	struct tickets *t = *tp;
	OM_uint32 minor;

	if (t == NULL)
		return;
	*tp = NULL;
	gss_release_name(&minor, &t->principal);
	if (t->keys != NULL)
		krb5_kt_close(t->context, t->keys);
	if (t->context != NULL)
		krb5_free_context(t->context);
	free(t);
}

void
tickets_failed(struct tickets *t, const struct failure *f)
{
	t->last = *f;
	t->failed_at = clock_mono_us();
}

int
tickets_get(struct tickets *t, gss_cred_id_t *cred, struct failure *f)
{
	gss_OID_set_desc krb5 = { 1, (gss_OID)gss_mech_krb5 };
	OM_uint32 major, minor;
	size_t n;

	if (t->failed_at != 0 &&
	    clock_mono_us() - t->failed_at < FAILED_US) {
		*f = t->last;
		return -1;
	}
	t->failed_at = 0;
	major = gss_acquire_cred_from(&minor, t->principal, GSS_C_INDEFINITE,
	    &krb5, GSS_C_INITIATE, &t->store, cred, NULL, NULL);
	if (!GSS_ERROR(major))
		return 0;
	failure_gss(f, major, minor, false);
	if (t->keys == NULL) {
		n = strlen(f->text);
		snprintf(f->text + n, sizeof(f->text) - n, " (cache %s)",
		    t->where[0].value);
	}
	tickets_failed(t, f);
	return -1;
}
