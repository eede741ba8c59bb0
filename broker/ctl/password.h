/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CARREL_PASSWORD_H
#define CARREL_PASSWORD_H

#include <gio/gio.h>

/*
 * A new password: the first line of standard input (`from_stdin`), or asked for twice on the
 * terminal, without echo. The caller gives it to password_free; NULL on failure.
 */
char *password_read(gboolean from_stdin, const char *user, GError **error);
void password_free(char *password);

#endif
