/*
 * The queue's events as they happen.  Run by queue.  A follower that does not
 * keep up loses lines and is told how many; the log itself never waits.
 */
#include "base/log.h"
#include "queue/control_private.h"

#define BEHIND_MAX (1u << 20)		/* octets that may wait for it */

/* Called from inside the log: may not log. */
static void
log_line(void *arg, struct slice json)
{
	struct control *c = arg;
	struct caller *cl;
	struct json_writer w;

	while (json.n > 0 && json.p[json.n - 1] == '\n')
		json.n--;
	TAILQ_FOREACH(cl, &c->callers, link) {
		if (!cl->follows || cl->conn == NULL)
			continue;
		if (conn_pending_out(cl->conn) > BEHIND_MAX) {
			cl->lost++;
			continue;
		}
		if (cl->lost > 0) {
			w = caller_item(cl);
			json_text(&w, "event", "lost");
			json_number(&w, "lines", cl->lost);
			caller_item_end(cl, &w);
			cl->lost = 0;
		}
		caller_item_raw(cl, json);
	}
}

enum step
control_log(struct caller *cl)
{
	if (!cl->follows) {
		cl->follows = true;
		conn_timeout(cl->conn, 0);
		if (cl->c->followers++ == 0)
			log_tap(log_line, cl->c);
	}
	return STEP_WAIT;
}

void
control_unfollow(struct caller *cl)
{
	if (!cl->follows)
		return;
	cl->follows = false;
	if (--cl->c->followers == 0)
		log_tap(NULL, NULL);
}
