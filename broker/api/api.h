/* SPDX-License-Identifier: GPL-2.0-or-later */
/* carreld's three doors: viewers (HTTPS), boot reports (HTTP), administration (Unix socket). */
#ifndef CARREL_API_H
#define CARREL_API_H

#include "broker/daemon/broker.h"

struct api;

/* Listens at all three; on failure NULL and `error` says which one and why. */
struct api *api_new(struct broker *broker, GError **error);
/* Closes all connections; NULL is allowed. */
void api_free(struct api *api);

#endif
