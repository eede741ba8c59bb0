/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Follows log files that other programs write: each line that is written from now on. A file need
 * not be there yet; one that is replaced or cut (rotation) is followed on from its beginning.
 */
#ifndef CARREL_TAIL_H
#define CARREL_TAIL_H

#include <glib.h>

#define TAIL_LINE_MAX 4096 /* bytes; a longer line is passed over */

struct tail;

/* `line` is without its end, and the callback's until it returns. */
typedef void (*tail_line_fn)(const char *line, gpointer data);

/*
 * Watches by inotify, in the default main context. What is in the file now is passed over. NULL
 * with `error` (G_FILE_ERROR) when the folder of `path` cannot be watched.
 */
struct tail *tail_new(const char *path, tail_line_fn line, gpointer data, GError **error);
void tail_free(struct tail *tail); /* NULL: nothing */

#endif
