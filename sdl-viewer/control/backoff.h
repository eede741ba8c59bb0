/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CARREL_VIEWER_BACKOFF_H
#define CARREL_VIEWER_BACKOFF_H

#include <stdint.h>

#define BACKOFF_FIRST_MS 500
#define BACKOFF_MAX_MS 15000

/*
 * How long to wait before the next try, ms, after `failures` (1, 2, ...) in a row: doubling from
 * BACKOFF_FIRST_MS to BACKOFF_MAX_MS, of which `random` takes away up to a half, so that a room of
 * PCs does not come back in step.
 */
unsigned backoff_ms(unsigned failures, uint32_t random);

#endif
