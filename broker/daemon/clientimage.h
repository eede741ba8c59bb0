/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Versions of the PCs' image ([boot] image): which one they boot. The channels are those of the
 * desktops' image (channels.h), but core knows nothing of them: what follows from them is the boot
 * plan (images/store/bootplan.h), a file that carrel-bootconf makes boot configuration of. A
 * version comes into a channel when carrel-bootconf has answered that it is there.
 * docs/channels.md.
 *
 * A promoted version must prove itself: so many boots ([image] canary) must reach the login form.
 * Before that the first boot that fails for a reason that is the image's, or the second that loads
 * its kernel and then goes silent, takes it back.
 *
 * Refusals are BROKER_ERROR or IMAGE_ERROR; their text has the remedy. Names of versions are
 * "NAME@VERSION".
 */
#ifndef CARREL_CLIENTIMAGE_H
#define CARREL_CLIENTIMAGE_H

#include <glib.h>
#include <jansson.h>

struct broker;
struct clientimage;

/* Reads the store. `broker` is borrowed. NULL with an error. */
struct clientimage *clientimage_new(struct broker *broker, GError **error);
void clientimage_free(struct clientimage *self); /* NULL is allowed */

/* At the start and after a reload: where no version is stable, the published one becomes it; the
 * plan is written. */
void clientimage_look(struct clientimage *self);
/* Seats were changed: the plan follows. NULL is allowed. */
void clientimage_apply(struct clientimage *self);

/* Is that a version of the PCs' image, or its name? */
gboolean clientimage_is(const struct clientimage *self, const char *image);

gboolean clientimage_test(struct clientimage *self, const char *image, GError **error);
/* `canary` < 0 is the configured number. */
gboolean clientimage_promote(
	struct clientimage *self, const char *image, gint64 canary, GError **error);
gboolean clientimage_rollback(struct clientimage *self, const char *why, GError **error);
/* Gives up what carrel-bootconf has not answered yet. */
gboolean clientimage_cancel(struct clientimage *self, GError **error);
/* Which seats (texts as seat_name.h has them) boot the testing version; in the place of those said
 * before. */
gboolean clientimage_try(
	struct clientimage *self, const char *image, const json_t *seats, GError **error);
gboolean clientimage_untry(struct clientimage *self, const char *image, GError **error);

/* Why PCs boot other than said, a sentence that the caller frees, or NULL. */
char *clientimage_warning(struct clientimage *self);
/* Everything of it, as "clients" of GET /v1/images; a new reference. */
json_t *clientimage_json(struct clientimage *self);

#endif
