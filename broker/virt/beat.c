/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/virt/beat.h"

#include <stdlib.h>

#define BEAT_US G_USEC_PER_SEC

struct beat {
	struct worker *worker; /* borrowed */
	uint64_t volume;
	char *watched; /* owned, or NULL */
	GThread *thread;
	GMutex lock;
	GCond changed;
	/* under lock */
	bool over;
	uint64_t done, total;
};

/* What the watched volume has by now; FALSE: the server does not say. */
static gboolean look(struct beat *beat, struct virt_conn **conn, uint64_t *done)
{
	const struct worker *worker = beat->worker;
	const char *pool = conf_string(worker->conf, CONF_VOLUME_POOL);
	g_autoptr(GError) error = NULL;
	struct virt_volume volume;

	if (!*conn)
		*conn = worker->driver->open(worker->uri, NULL, NULL);
	if (!*conn)
		return FALSE;
	if (worker->driver->volume_get(*conn, pool, beat->watched, &volume, &error)) {
		*done = volume.allocation;
		free(volume.path);
		return TRUE;
	}
	/* It may not have been begun yet. */
	return !g_error_matches(error, VIRT_ERROR, VIRT_ERROR_UNREACHABLE);
}

/* TRUE: a second is over; FALSE: the work is. */
static bool pause_over(struct beat *beat)
{
	gint64 until = g_get_monotonic_time() + BEAT_US;
	bool over;

	g_mutex_lock(&beat->lock);
	while (!beat->over && g_cond_wait_until(&beat->changed, &beat->lock, until))
		;
	over = beat->over;
	g_mutex_unlock(&beat->lock);
	return !over;
}

static gpointer run(gpointer data)
{
	struct beat *beat = data;
	struct virt_conn *conn = NULL;

	while (pause_over(beat)) {
		uint64_t done = 0;

		if (beat->watched && !look(beat, &conn, &done))
			break;
		g_mutex_lock(&beat->lock);
		if (!beat->watched)
			done = beat->done;
		uint64_t total = MAX(beat->total, done);
		g_mutex_unlock(&beat->lock);
		worker_event(
			beat->worker, json_pack("{s:s, s:I, s:I, s:I}", "event", "volume-progress",
					      "volume", (json_int_t)beat->volume, "done",
					      (json_int_t)done, "total", (json_int_t)total));
	}
	beat->worker->driver->close(conn);
	return NULL;
}

struct beat *beat_new(struct worker *worker, uint64_t volume, const char *watched, uint64_t total)
{
	struct beat *beat = g_new0(struct beat, 1);

	beat->worker = worker;
	beat->volume = volume;
	beat->watched = g_strdup(watched);
	beat->total = total;
	g_mutex_init(&beat->lock);
	g_cond_init(&beat->changed);
	beat->thread = g_thread_new("beat", run, beat);
	return beat;
}

void beat_set(struct beat *beat, uint64_t done, uint64_t total)
{
	g_mutex_lock(&beat->lock);
	beat->done = done;
	beat->total = total;
	g_mutex_unlock(&beat->lock);
}

void beat_free(struct beat *beat)
{
	if (!beat)
		return;
	g_mutex_lock(&beat->lock);
	beat->over = true;
	g_cond_signal(&beat->changed);
	g_mutex_unlock(&beat->lock);
	g_thread_join(beat->thread);
	g_mutex_clear(&beat->lock);
	g_cond_clear(&beat->changed);
	g_free(beat->watched);
	g_free(beat);
}
