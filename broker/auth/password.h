/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Passwords of own users: yescrypt by libcrypt, crypt(5) format "$y$". */
#ifndef CARREL_AUTH_PASSWORD_H
#define CARREL_AUTH_PASSWORD_H

#include <glib.h>

#define PASSWORD_CHARS_MIN 8
#define PASSWORD_BYTES_MAX 256

/*
 * Is it good enough for `user`? NULL, or what is wrong (static). Length is what makes a password
 * hard to guess: at least 8 characters, not one character repeated, not holding the user's name.
 */
const char *password_check(const char *password, const char *user);

/* A new hash with a salt from the kernel, owned by the caller; NULL when libcrypt fails. */
char *password_hash(const char *password);

/*
 * Does the password have this hash? With `hash` NULL (no such user) the same work is done for a
 * fixed hash of the same cost, and the answer is FALSE: time does not tell who exists.
 */
gboolean password_verify(const char *password, const char *hash);

/* Overwrites a string; safe on NULL. */
void password_wipe(char *password);

#endif
