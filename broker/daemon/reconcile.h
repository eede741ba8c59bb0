/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bringing what is and what is stored together, by ordinary events: when a server is reached (its
 * image, its list of desktops) and when carrel-netd is reached (its list of forwards). A forward
 * that no session has is removed, one that is missing is made again.
 */
#ifndef CARREL_RECONCILE_H
#define CARREL_RECONCILE_H

#include "broker/daemon/worker.h"

/* The server was reached: image-ensure, desktop-list, RECONCILE events, then SERVER_UP. */
void reconcile_server(struct worker *worker);

/* broker->next_image is published: sends it to each reached server, then tells core. */
void reconcile_image(struct broker *broker);

/* Looks whether the last server that had not answered about next_image has done so, or is gone. */
void reconcile_image_check(struct broker *broker);

/* A server turned out to lack the image in use: sends it again. */
void reconcile_image_again(struct worker *worker);

/* For the connection to carrel-netd; its data is the struct broker. */
const struct helper_ops *reconcile_netd_ops(void);

#endif
