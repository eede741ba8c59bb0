/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Options of the commands about images. */
#ifndef CARREL_CTL_IMAGE_ARGS_H
#define CARREL_CTL_IMAGE_ARGS_H

#include <glib.h>

struct image_args {
	char *seats;          /* with ',' between them */
	char *group, *reason; /* owned, as all here that points; NULL: not given */
	gboolean none, no_wait;
	int canary, within; /* -1: not given; minutes */
	/* of those that work on the boot server's disk */
	char *keep, *trust; /* as typed */
	char *name, *firmware, *agent;
	gboolean dry_run, offline, yes, packages, files;
	char **build; /* what follows "image build", for the builder */
};

/* Is this the command line of such a command? */
gboolean image_args_wanted(char *const *argv);
/* The options, for g_option_context_add_group, which takes the group over; it fills `args`. */
GOptionGroup *image_args_group(struct image_args *args);
void image_args_clear(struct image_args *args);
/* The first option given that the command does not have, such as "--group"; NULL: all is well. */
const char *image_args_stray(const struct image_args *args, const char *command);

/*
 * Of a command line "carrel [OPTION...] image build WORD...": takes the WORDs off, which are
 * options of carrel-image-build, and keeps them in `args`. Leaves other lines as they are.
 */
void image_args_cut_build(struct image_args *args, int *argc, char **argv);

#endif
