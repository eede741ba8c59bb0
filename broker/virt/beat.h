/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tells carreld once a second how far the work on a volume is, event volume-progress, by a thread
 * of its own: a copy on the server is one call of libvirt that says nothing until it is over, a
 * check is another program. carreld's watchdog takes a second without it for a hang only after
 * [broker] call_timeout of them; when the server does not answer any more nothing is told.
 */
#ifndef CARREL_VIRT_BEAT_H
#define CARREL_VIRT_BEAT_H

#include "broker/virt/worker.h"

struct beat;

/* `watched`: the name of a volume that grows to `total` bytes, looked at by a connection of its
 * own; or NULL, then beat_set says what is done. */
struct beat *beat_new(struct worker *worker, uint64_t volume, const char *watched, uint64_t total);
void beat_set(struct beat *beat, uint64_t done, uint64_t total);
void beat_free(struct beat *beat); /* waits for the thread's end; NULL is allowed */

#endif
