/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a person in front of the PC sees before there is a viewer: one line that grows, or one page
 * that says what failed. It goes to every console of the kernel (screen and serial line alike).
 * There is no shell behind it: any key means "try again now".
 */
#ifndef CARREL_CLIENT_SCREEN_H
#define CARREL_CLIENT_SCREEN_H

#include "client-initrd/boot.h"

/* Opens the consoles that /sys names; once. Keys are read without echo and without signals. */
void screen_open(void);
void screen_close(void);

/* A line of its own: "Carrel: what". */
void screen_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * The progress of `done` of `total` bytes since `start_ms`, on one line that is written over; at
 * most ten times a second, and once more at the end.
 */
void screen_progress(const char *what, uint64_t done, uint64_t total, int64_t start_ms);

/* The failure page; returns after `seconds` or at a key. The time left is counted on the page. */
void screen_failure(const struct boot *boot, enum boot_code code, int seconds);

/*
 * Seconds to wait before try number `failures` (1, 2, ...): 5, 10, 20, 40, then 60, and up to half
 * as much again by chance.
 */
int screen_backoff(unsigned failures);

#endif
