/* The word that was probably meant: edit distance in which a swap of
 * neighbours counts once.  monitor and tools. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "conf/tree.h"

#define WORD_MAX 40

static size_t
min3(size_t a, size_t b, size_t c)
{
	size_t m = a < b ? a : b;

	return m < c ? m : c;
}

static int
differ(char a, char b)
{
	return tolower((unsigned char)a) != tolower((unsigned char)b);
}

/* Optimal string alignment distance; both at most WORD_MAX long. */
static size_t
distance(const char *a, size_t an, const char *b, size_t bn)
{
	size_t d[WORD_MAX + 1][WORD_MAX + 1];
	size_t i, j;

	for (i = 0; i <= an; i++)
		d[i][0] = i;
	for (j = 0; j <= bn; j++)
		d[0][j] = j;
	for (i = 1; i <= an; i++)
		for (j = 1; j <= bn; j++) {
			d[i][j] = min3(d[i - 1][j] + 1, d[i][j - 1] + 1,
			    d[i - 1][j - 1] +
			    (size_t)differ(a[i - 1], b[j - 1]));
			if (i > 1 && j > 1 && !differ(a[i - 1], b[j - 2]) &&
			    !differ(a[i - 2], b[j - 1]) &&
			    d[i - 2][j - 2] + 1 < d[i][j])
				d[i][j] = d[i - 2][j - 2] + 1;
		}
	return d[an][bn];
}

const char *
conf_suggest(const char *word, const char *const *names, size_t n)
{
	const char *best = NULL;
	size_t i, len, wn = strlen(word), d, limit, least = SIZE_MAX;

	if (wn == 0 || wn > WORD_MAX)
		return NULL;
	limit = wn <= 3 ? 1 : wn <= 7 ? 2 : 3;
	for (i = 0; i < n; i++) {
		if (names[i] == NULL ||
		    (len = strlen(names[i])) > WORD_MAX ||
		    len > wn + limit || wn > len + limit)
			continue;
		d = distance(word, wn, names[i], len);
		if (d <= limit && d < wn && d < least) {
			least = d;
			best = names[i];
		}
	}
	return best;
}

const char *
conf_suggestion(const char *word, const char *const *names, size_t n,
    char *buf, size_t size)
{
	const char *name = conf_suggest(word, names, n);

	if (name == NULL)
		return "";
	snprintf(buf, size, ", did you mean `%s`?", name);
	return buf;
}
