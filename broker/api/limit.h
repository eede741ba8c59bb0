/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How long a login waits before its password is looked at. The first two failures of a user's name
 * from an address cost nothing; from then on each doubles the wait: 1, 2, 4 ... 30 s. An address
 * that tries many names waits too, from its ninth failure on. A success forgets the name's
 * failures; ten quiet minutes forget all. Names that do not exist are treated alike. No I/O, no
 * clock.
 */
#ifndef CARREL_LIMIT_H
#define CARREL_LIMIT_H

#include <glib.h>

struct limit;

struct limit *limit_new(void);
void limit_free(struct limit *limit);

/* ms to wait from now on. */
unsigned limit_delay_ms(struct limit *limit, const char *client, const char *user, gint64 now_ms);
void limit_failed(struct limit *limit, const char *client, const char *user, gint64 now_ms);
void limit_passed(struct limit *limit, const char *client, const char *user);

#endif
