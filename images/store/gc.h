/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Versions that nobody needs any more go away. A removal is in three steps, so that a kill at any
 * point leaves each version whole or none:
 *
 *   1. manifest.json is renamed to .removed: from then on nobody can take the version into use;
 *   2. carreld is asked once more what is in use. What has come into use between its first answer
 *      and step 1 gets its manifest back; of the others .removed is renamed to .removing;
 *   3. the files are removed, .removing last.
 *
 * The next run goes on where the one before was killed.
 */
#ifndef CARREL_IMAGES_GC_H
#define CARREL_IMAGES_GC_H

#include <glib.h>
#include <jansson.h>

struct gc_version {
	char *name, *version; /* owned */
	gboolean current;     /* the link "current" leads to it */
	gboolean pinned;
	guint64 bytes;
	const char *why; /* why it stays, static or of the usage; NULL: it goes */
};

/*
 * What is in use, from carreld's answer to GET /v1/images: "NAME@VERSION" -> why, both owned. NULL
 * with IMAGE_ERROR_BAD for an answer that does not say.
 */
GHashTable *gc_usage(const json_t *answer, GError **error);

/*
 * Sets `why` of each version: those in `usage` (NULL: not known), current, pinned, and the `keep`
 * newest of each image stay.
 */
void gc_decide(struct gc_version *const *list, gsize count, GHashTable *usage, guint keep);

struct gc_options {
	const char *images; /* borrowed, as all here */
	guint keep;
	gboolean dry_run;
	/* Asks for the usage, which the caller gets; NULL: nobody is asked. */
	GHashTable *(*ask)(void *data, GError **error);
	void *data;
};

struct gc_report {
	GPtrArray *kept, *removed; /* of struct gc_version */
	GPtrArray *leftovers;      /* of char *: paths that a killed build, import or gc had left */
	GPtrArray *restored;       /* of char *: "NAME@VERSION", whose killed removal was undone */
	guint64 freed;             /* bytes */
	GHashTable *usage;         /* owned; `why` may point into it */
};

/* FALSE with `error`: nothing that was whole is gone, except what the report says. */
gboolean gc_collect(const struct gc_options *options, struct gc_report *report, GError **error);
void gc_report_clear(struct gc_report *report);

#endif
