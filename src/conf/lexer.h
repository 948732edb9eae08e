/* Characters into words: quotes, comments, joined lines, the environment. */
#ifndef CONF_LEXER_H
#define CONF_LEXER_H

#include "conf/tree.h"

enum conf_token {
	TOKEN_WORD, TOKEN_OPEN, TOKEN_CLOSE, TOKEN_SEMICOLON, TOKEN_NEWLINE,
	TOKEN_END
};

struct conf_lexer {
	const char *p, *end;
	unsigned file, line;
	struct conf_arena *arena;
	struct conf_notes *notes;

	/* The last token. */
	unsigned token_line;
	struct conf_word word;
	bool bad;			/* the word had a mistake, told */
};

/* The text is borrowed; it is checked to be UTF-8 without control characters
 * (each line that is not is noted). */
void conf_lexer_init(struct conf_lexer *lx, const char *text, size_t n,
    unsigned file, struct conf_arena *arena, struct conf_notes *notes);
enum conf_token conf_lexer_next(struct conf_lexer *lx);

#endif
