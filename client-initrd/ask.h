/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A published file, or a piece of it, asked of the boot server by HTTP. */
#ifndef CARREL_CLIENT_ASK_H
#define CARREL_CLIENT_ASK_H

#include <sys/types.h>

#include "client-initrd/http.h"
#include "client-initrd/params.h"

/*
 * Asks for the bytes of /images/FILE from `first` to `last`, 0: to its end. The socket, each read
 * of which has a time limit, or -errno.
 */
int ask_file(const struct params *params, const char *file, uint64_t first, uint64_t last);

/*
 * Reads until the answer's head is whole. `data`, of HTTP_HEAD_MAX bytes, then has as many bytes as
 * are returned, of which `*head_size` are the head. -errno when there is no usable head.
 */
ssize_t ask_head(int fd, char *data, size_t *head_size, struct http_head *head);

#endif
