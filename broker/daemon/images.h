/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which version of a desktop image is published: `$images/NAME/current`. */
#ifndef CARREL_IMAGES_H
#define CARREL_IMAGES_H

#include "broker/shared/conf.h"

/*
 * Returns "NAME@VERSION" of the published version of [desktop] image (the caller frees it), whose
 * manifest is signed by the site, or NULL with the reason and the remedy. `live` says whether its
 * desktops are shrunk in place before their users are moved.
 */
char *images_current(const struct conf *conf, gboolean *live, GError **error);

#endif
