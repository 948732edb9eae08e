/* The text of a message on the wire, in any pieces: dots taken away and put
 * back (RFC 5321 4.5.2), line ends checked or mended (2.3.8). */
#ifndef MAIL_DOT_STREAM_H
#define MAIL_DOT_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/strbuf.h"

enum dot_mode {
	DOT_REJECT,		/* a bare LF or CR ends it: DOT_BARE */
	DOT_FIX			/* it becomes CRLF */
};

enum dot_result {
	DOT_MORE,		/* all was taken */
	DOT_END,		/* the end mark was read; *used tells up to
				 * where, what follows are commands */
	DOT_BARE		/* bare LF or CR at *used: 521 5.5.2, close */
};

/* What happened so far; read it, do not write it. */
struct dot_decoder {
	enum dot_mode mode;
	bool raw;		/* BDAT: no dots, no end mark */
	unsigned char state;
	uint64_t octets;	/* decoded, as written to out */
	uint64_t nuls;		/* NULs among them */
	uint64_t bare;		/* line ends mended */
};

/* raw: chunks of BDAT, where only line ends matter. */
void dot_decoder_init(struct dot_decoder *d, enum dot_mode mode, bool raw);
/* Decodes in and appends to out (a CR at the end of in is kept back until it
 * is known what follows).  A bare LF or CR never makes an end mark.  *used:
 * octets of in that were taken; all of them at DOT_MORE. */
enum dot_result dot_decode(struct dot_decoder *d, struct slice in,
    size_t *used, struct strbuf *out);
/* End of the last BDAT chunk: DOT_BARE when a CR is left over (mended and
 * DOT_END in mode fix), else DOT_END. */
enum dot_result dot_decode_finish(struct dot_decoder *d, struct strbuf *out);

struct dot_encoder {
	unsigned char state;
};

void dot_encoder_init(struct dot_encoder *e);
/* Appends in with dots doubled at the beginning of lines.  Lines end in CRLF;
 * nothing else is changed. */
void dot_encode(struct dot_encoder *e, struct slice in, struct strbuf *out);
/* Appends the CRLF that is missing, if it is, and ".\r\n". */
void dot_encode_end(struct dot_encoder *e, struct strbuf *out);

#endif
