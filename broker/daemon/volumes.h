/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Work on users' volumes: what core wants done is asked of a server's worker and its answer given
 * back; how far it is; and the clock of the daily snapshots. core/volume_work.c decides.
 */
#ifndef CARREL_VOLUMES_H
#define CARREL_VOLUMES_H

#include "broker/daemon/broker.h"

struct volumes;

/* `broker` is borrowed; its store is open. */
struct volumes *volumes_new(struct broker *broker);
void volumes_free(struct volumes *volumes); /* NULL is allowed */
/* Starts the clock. */
void volumes_start(struct volumes *volumes);

/* CORE_ACT_VOLUME_WORK, _CANCEL and _SWEEP */
void volumes_work(struct broker *broker, const struct core_action *action);
void volumes_cancel(struct broker *broker, const struct core_action *action);
void volumes_sweep(struct broker *broker, const struct core_action *action);

/* A worker's event volume-progress. */
void volumes_progress(struct volumes *volumes, const json_t *event);
/* How far the work on a volume is; 0 where that is not known. */
unsigned volumes_percent(const struct volumes *volumes, guint64 volume);

/* A user's volume; NULL with BROKER_ERROR_UNKNOWN. */
const struct core_volume *volumes_find(
	const struct broker *broker, const char *user, GError **error);

/*
 * Begins a work on a user's volume, or calls off the one under way (VOLUME_WORK_CANCEL).
 * BROKER_ERROR: UNKNOWN when he has none, BUSY with the reason and a remedy when it cannot be now.
 * `text` is the row's work_text.
 */
gboolean volumes_begin(struct broker *broker, const char *user, enum core_volume_work work,
	guint32 mib, const char *text, GError **error);

/* The worker of a server that is up, or NULL. */
struct worker *volumes_worker(struct broker *broker);
/* The file that has what the last check of a volume said; the caller frees it. */
char *volumes_log_path(const struct broker *broker, guint64 volume);

#endif
