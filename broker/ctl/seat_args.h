/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Options of the seat commands. */
#ifndef CARREL_CTL_SEAT_ARGS_H
#define CARREL_CTL_SEAT_ARGS_H

#include <glib.h>

struct seat_args {
	char *room; /* owned; NULL: not given */
	gboolean dry_run;
};

/* Is this the command line of such a command? */
gboolean seat_args_wanted(char *const *argv);
/* The options, for g_option_context_add_group, which takes the group over; it fills `args`. */
GOptionGroup *seat_args_group(struct seat_args *args);
void seat_args_clear(struct seat_args *args);
/* The first option given that the command does not have, such as "--room"; NULL: all is well. */
const char *seat_args_stray(const struct seat_args *args, const char *command);

#endif
