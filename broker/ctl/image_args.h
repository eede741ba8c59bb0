/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Options of the commands about images. */
#ifndef CARREL_CTL_IMAGE_ARGS_H
#define CARREL_CTL_IMAGE_ARGS_H

#include <glib.h>

struct image_args {
	char *group, *reason; /* owned; NULL: not given */
	gboolean none, no_wait;
	int canary, within; /* -1: not given; minutes */
};

/* Is this the command line of such a command? */
gboolean image_args_wanted(char *const *argv);
/* The options, for g_option_context_add_group, which takes the group over; it fills `args`. */
GOptionGroup *image_args_group(struct image_args *args);
void image_args_clear(struct image_args *args);
/* The first option given that the command does not have, such as "--group"; NULL: all is well. */
const char *image_args_stray(const struct image_args *args, const char *command);

#endif
