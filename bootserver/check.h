/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The daemons' own checks of a generation, before it is used. */
#ifndef CARREL_BOOTSERVER_CHECK_H
#define CARREL_BOOTSERVER_CHECK_H

#include "bootserver/render.h"

/* Runs a program; its output is in `error` when it does not end with 0. */
gboolean check_run(const char *const *argv, GError **error);

/* dnsmasq --test, nginx -t, PXELINUX's programs. `folder` is the generation, not yet in use. */
gboolean check_generation(
	const struct site *site, const struct image *image, const char *folder, GError **error);

#endif
