/* Stands in for libFuzzer: runs the fuzz target of the program on every file
 * named, or in the directories named, so that the seeds are tried by any
 * compiler in `make check`.  An input that crashes ends the process, as it
 * should; its name is then the last that was printed.
 *
 * Exit status: 0 all ran, 1 a file could not be read, 2 there was none. */
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t inputs, unreadable;

/* The input has a block of its own, exactly as long as it is: a sanitizer or
 * valgrind then sees the first octet read beyond it. */
static int
replay(const char *path, const struct stat *st, int type, struct FTW *where)
{
	FILE *f;
	uint8_t *data;
	size_t size = (size_t)st->st_size;

	(void)where;
	if (type == FTW_D)
		return 0;
	printf("%s\n", path);
	fflush(stdout);
	f = fopen(path, "rb");
	data = malloc(size > 0 ? size : 1);
	if (f == NULL || data == NULL || fread(data, 1, size, f) != size) {
		perror(path);
		unreadable++;
	} else {
		LLVMFuzzerTestOneInput(data, size);
		inputs++;
	}
	free(data);
	if (f != NULL)
		fclose(f);
	return 0;
}

int
main(int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++)
		if (nftw(argv[i], replay, 16, FTW_PHYS) != 0) {
			perror(argv[i]);
			unreadable++;
		}
	printf("%zu inputs\n", inputs);
	if (unreadable > 0)
		return 1;
	return inputs > 0 ? 0 : 2;
}
