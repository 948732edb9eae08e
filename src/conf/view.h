/* What both ends of a role's view agree on. */
#ifndef CONF_VIEW_H
#define CONF_VIEW_H

#define VIEW_MAGIC 0x57564853u		/* "SHVW" */
#define VIEW_VERSION 1u

/* Flags of a statement and of a word. */
#define VIEW_BLOCK 1u
#define VIEW_HIDDEN 2u
#define VIEW_WORD_QUOTED 1u

#endif
