/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The admin API of carreld, asked over its Unix socket. */
#ifndef CARREL_REQUEST_H
#define CARREL_REQUEST_H

#include <glib.h>
#include <jansson.h>

#include "broker/ctl/command.h"

#define REQUEST_ERROR (request_error_quark())
GQuark request_error_quark(void);
enum request_error { REQUEST_ERROR_CONFIG, REQUEST_ERROR_CONNECT, REQUEST_ERROR_REFUSED };

/*
 * One request; `body` may be NULL, its reference is taken over, a "password" in it is wiped.
 * Returns the answer (a new reference) or NULL with a sentence for the person who asked.
 */
json_t *request_send(const struct context *context, const char *method, const char *path,
	json_t *body, GError **error);

#endif
