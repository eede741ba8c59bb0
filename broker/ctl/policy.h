/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Options of the commands about groups and reservations. Other commands do not know them. */
#ifndef CARREL_CTL_POLICY_H
#define CARREL_CTL_POLICY_H

#include <glib.h>

struct policy_args {
	int min, max, seats;                       /* MiB, number; -1 = not given */
	char *group, *users, *when, *from, *until; /* owned; NULL = not given */
};

/* Is this the command line of such a command? */
gboolean policy_args_wanted(char *const *argv);
/* The options, for g_option_context_add_group, which takes the group over. */
GOptionGroup *policy_args_group(struct policy_args *args);
void policy_args_clear(struct policy_args *args);

#endif
