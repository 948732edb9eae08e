/* Directories of a test's own. */
#ifndef TEST_SUPPORT_TREE_H
#define TEST_SUPPORT_TREE_H

/* The directory and all that is below it. */
void tree_remove(const char *path);

#endif
