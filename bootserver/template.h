/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Text with @KEY@ in it. */
#ifndef CARREL_BOOTSERVER_TEMPLATE_H
#define CARREL_BOOTSERVER_TEMPLATE_H

#include <glib.h>

/*
 * Replaces each @KEY@ (capitals, digits, underscore) by its value of `values` (char * to char *).
 * A key that is not there, or a value with a line end in it, is an error that names `name`. The
 * caller frees the text.
 */
char *template_fill(const char *name, const char *text, GHashTable *values, GError **error);

#endif
