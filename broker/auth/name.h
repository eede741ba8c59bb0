/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names of users. One person types a name on a Korean keyboard, another one sends it decomposed:
 * both must mean the same user, and no name may mean something to a program that reads passwd.
 *
 * The rule: 1 to 32 characters, at most 90 bytes, in Unicode's composed form (NFC); letters and
 * digits of any script (with the marks that belong to them), '.', '_' and '-'; the first is a
 * letter or a digit and at least one is no digit. Left out are look-alikes that compatibility
 * normalisation (NFKC) would change, such as full-width letters, invisible characters, and the
 * names of the system's own users.
 */
#ifndef CARREL_AUTH_NAME_H
#define CARREL_AUTH_NAME_H

#include <glib.h>

#define NAME_CHARS_MAX 32
#define NAME_BYTES_MAX 90

/*
 * The canonical form of `text`, owned by the caller; with `fold` letters become small, so that
 * Alice and alice are one user. NULL when the rule is broken: `*why` then has a static sentence.
 */
char *name_canonical(const char *text, gboolean fold, const char **why);

/* A full name: UTF-8 without ':' and control characters, at most 90 bytes, may be empty. */
gboolean name_full_valid(const char *text);

#endif
