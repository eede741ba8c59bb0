/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * carrel-authd's requests (docs/protocols.md): unpacked strictly, and answered. Answering blocks
 * (PAM, yescrypt, fsync): each request is answered in a child of its own, see authd.c.
 */
#ifndef CARREL_AUTH_REQUEST_H
#define CARREL_AUTH_REQUEST_H

#include "broker/shared/conf.h"

#include <glib.h>
#include <jansson.h>

enum request_op {
	REQUEST_AUTHENTICATE,
	REQUEST_USER_ADD,
	REQUEST_USER_PASSWD,
	REQUEST_USER_DEL,
	REQUEST_USER_LIST
};

/* The strings are borrowed from the JSON; NULL where the op has no such member. */
struct request {
	enum request_op op;
	json_int_t id, offset;
	const char *user, *password, *full_name;
};

/* What a request needs to be answered; borrowed. */
struct auth_context {
	const struct conf *conf;
	const char *folder;      /* of own users */
	const char *pam_confdir; /* NULL: the system's */
};

/* TRUE, or FALSE and in *message a sentence, owned by the caller. */
gboolean request_parse(struct request *request, const json_t *json, char **message);

/* Does what the request asks; returns the answer (a new reference). */
json_t *request_answer(const struct request *request, const struct auth_context *context);

#endif
