/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Versions of the desktops' image on their way: to the servers, into a channel, to those who try
 * one out. Core decides who gets which (broker/core/image.c) and asks for its channels to be
 * stored; here a version is looked at (signature), sent to every server that is up, and handed to
 * core once all of them have it. docs/images.md.
 *
 * Refusals are BROKER_ERROR or IMAGE_ERROR; their text has the remedy.
 */
#ifndef CARREL_CHANNELS_H
#define CARREL_CHANNELS_H

#include <glib.h>
#include <jansson.h>

struct broker;
struct channels;
struct core_policy;
struct worker;

/* Reads the store and loads core's channels. `broker` is borrowed. NULL with an error. */
struct channels *channels_new(struct broker *broker, GError **error);
void channels_free(struct channels *channels); /* NULL is allowed */

/* At the start and after a reload: where no version of [desktop] image is stable, the one that
 * `current` names becomes it. */
void channels_look(struct channels *channels);
/* Why no desktop can start, or NULL. */
const char *channels_problem(const struct channels *channels);

/* Stores core's channels, within a transaction. */
gboolean channels_store(struct channels *channels, GError **error);

/*
 * What a server must have before it counts as up, the stable version first: versions in the
 * channels, of trials, of desktops that run, and the one that is on its way. Texts "name@version";
 * the caller frees it.
 */
GPtrArray *channels_wanted(const struct channels *channels);

/*
 * Begins to send a version to the servers that are up; then it becomes the testing one
 * (channels_test; the stable one where there is none yet) or the stable one. BUSY while another is
 * on its way. `canary` < 0 is the configured number; `minutes` > 0: sessions on other versions are
 * handed off after so many.
 */
gboolean channels_test(struct channels *channels, const char *image, GError **error);
gboolean channels_promote(struct channels *channels, const char *image, gint64 canary,
	gint64 minutes, GError **error);
/* The version before is stable again, at once. */
gboolean channels_rollback(struct channels *channels, const char *why, GError **error);
/* Gives up what is on its way. */
gboolean channels_cancel(struct channels *channels, GError **error);

/*
 * Who tries `image`, which must be the testing version: `members` (as of a group) or the members of
 * `group`; it takes the place of what was said of that version before. channels_untry ends it.
 */
gboolean channels_try(struct channels *channels, const char *image, const json_t *members,
	const char *group, GError **error);
gboolean channels_untry(struct channels *channels, const char *image, GError **error);
/* The trials, borrowed: {"image", "live", "members", "group"}; "" = no group. */
const json_t *channels_trials(const struct channels *channels);

/* A server has got the version, or has not (`why` is not NULL); has got so much of a file. */
void channels_sent(struct channels *channels, guint64 server, const char *image, const char *why);
void channels_progress(struct channels *channels, guint64 server, const json_t *event);
/* A server has not got it any more. */
void channels_forgotten(struct channels *channels, guint64 server, const char *image);
/* Is a version none of `wanted` (channels_wanted), and not on this machine's disk any more? */
gboolean channels_useless(
	const struct channels *channels, const GPtrArray *wanted, const char *image);
/* Every server that is up removes what is useless there. */
void channels_sweep(struct channels *channels);
/* A server is gone, or down: it gets what it lacks when it is back. */
void channels_server_gone(struct channels *channels, guint64 server);

/* Everything of it for GET /v1/images; a new reference. */
json_t *channels_json(struct channels *channels);

#endif
