/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Boot stages ("Boot reports" in docs/protocols.md): kept in /run/carrel/boot.json for the viewer,
 * and sent to the broker by a process of their own, so that a broker that is down or slow costs the
 * boot nothing.
 */
#ifndef CARREL_CLIENT_REPORT_H
#define CARREL_CLIENT_REPORT_H

#include "client-initrd/boot.h"

/* `error` is NULL, or a code; bytes 0 is left out. Sent only when there is an address already. */
void report_stage(const struct boot *boot, const char *stage, uint64_t bytes, const char *error);

enum report_answer { REPORT_START, REPORT_LEAVE_ALONE, REPORT_NO_ANSWER };

/*
 * Says that a driver (a kernel module's name) that was fetched is about to be started, and waits
 * for the answer, some seconds at most: REPORT_LEAVE_ALONE when two boots have ended with it.
 * Who gets no answer, or has nobody to ask, starts it.
 */
enum report_answer report_driver(const struct boot *boot, const char *driver);

/* Forgets the stages of an earlier try. */
void report_reset(void);

/* The JSON object alone; its length, or -1 when it does not fit. For tests too. */
int report_format(char *text, size_t size, const char *mac, const char *stage, int64_t ms,
	uint64_t bytes, const char *error);

/* Adds `object` to the JSON array in `path`, which is made when it is missing. 0 or -errno. */
int report_keep(const char *path, const char *object);

#endif
