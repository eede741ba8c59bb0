/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Options of the commands that move sessions, put desktops and servers away, and work on volumes.
 */
#ifndef CARREL_CTL_MOVE_ARGS_H
#define CARREL_CTL_MOVE_ARGS_H

#include <glib.h>

#define WAIT_DEFAULT_S 3600

struct move_args {
	char *to, *size; /* as typed, owned; NULL: not given */
	gboolean wait, yes, log, repair;
	guint wait_s; /* seconds after which waiting ends */
};

/* Is this the command line of such a command? */
gboolean move_args_wanted(char *const *argv);
/* The options, for g_option_context_add_group, which takes the group over; it fills `args`. */
GOptionGroup *move_args_group(struct move_args *args);
void move_args_clear(struct move_args *args);
/* The first option given that the command does not have, such as "--to"; NULL: all is well. */
const char *move_args_stray(const struct move_args *args, const char *command);

#endif
