/* relayctl: records of mail that are texts, looked at for what is wrong in
 * them. */
#ifndef TOOLS_CTL_DNS_RECORD_H
#define TOOLS_CTL_DNS_RECORD_H

#include "base/err.h"
#include "base/slice.h"
#include "base/strbuf.h"

/* 0: well-formed.  -1: what is wrong with it. */
int dns_record_dkim(struct slice text, struct err *e);
int dns_record_dmarc(struct slice text, struct err *e);
int dns_record_mta_sts(struct slice text, struct err *e);
int dns_record_tlsrpt(struct slice text, struct err *e);
/* The data of a TLSA record, which a mail server can be checked by. */
int dns_record_tlsa(struct slice data, struct err *e);

/* Appends record with the terms before its `all`, or its redirect, or at the
 * end; without a record a new one with `mx`. */
void dns_record_spf_with(struct slice record, const char *terms,
    struct strbuf *out);

#endif
