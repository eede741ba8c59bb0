/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bringing what is and what is stored together, by ordinary events: when a server is reached (its
 * images, its list of desktops) and when carrel-netd is reached (its list of forwards). A forward
 * that no session has is removed, one that is missing is made again.
 */
#ifndef CARREL_RECONCILE_H
#define CARREL_RECONCILE_H

#include "broker/daemon/worker.h"

/* The server was reached: image-ensure of each wanted, desktop-list, RECONCILE events, then
 * SERVER_UP. */
void reconcile_server(struct worker *worker);

/* Sends a version of the image to a server that is up; channels_sent hears of the end. */
void reconcile_send_image(struct worker *worker, const char *image);

/* Removes from a server that is up what it has of versions that are in use nowhere and are not on
 * this machine's disk any more. */
void reconcile_sweep_images(struct worker *worker);

/* For the connection to carrel-netd; its data is the struct broker. */
const struct helper_ops *reconcile_netd_ops(void);

#endif
