/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is to be rendered: carreld's boot plan with the images that it names, or, where carreld has
 * written none yet, the published image for all PCs. */
#ifndef CARREL_BOOTSERVER_WISH_H
#define CARREL_BOOTSERVER_WISH_H

#include "broker/shared/conf.h"
#include "images/store/bootplan.h"
#include "images/store/image.h"

struct wish {
	struct bootplan *plan; /* owned */
	GPtrArray *images;     /* of owned struct image: the plan's versions */
	GArray *variants;      /* owned; of struct bootplan_variant */
	char *sum;             /* owned; SHA-256 of the plan's text, NULL: there was none */
	char *words;           /* owned; where it comes from, a sentence */
};

/* The sum alone is there after a failure, when there is a plan: `wish` is to be cleared always. */
gboolean wish_load(struct wish *wish, const struct conf *conf, GError **error);
void wish_clear(struct wish *wish);

/* What all PCs boot; borrowed. */
const struct image *wish_image(const struct wish *wish);
/* Checks the files of all images. */
gboolean wish_check(const struct wish *wish, GError **error);

#endif
