/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/ctl/image_store.h"
#include "broker/ctl/request.h"
#include "broker/ctl/show.h"
#include "broker/shared/conf.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SHOW_US (200 * 1000)

static volatile sig_atomic_t interrupted;

gboolean image_store_open(struct image_store *store, const struct context *context)
{
	g_autoptr(GError) error = NULL;
	struct conf *conf = conf_load(context->conf_path, &error);

	*store = (struct image_store){0};
	if (!conf) {
		show_failed(error);
		return FALSE;
	}
	store->images = g_strdup(conf_string(conf, CONF_PATH_IMAGES));
	store->public_key = conf_path(conf, CONF_PATH_PKI, IMAGE_PUBLIC_KEY);
	store->private_key = conf_path(conf, CONF_PATH_PKI, IMAGE_PRIVATE_KEY);
	store->ca = conf_path(conf, CONF_PATH_PKI, "ca.crt");
	conf_free(conf);
	return TRUE;
}

void image_store_clear(struct image_store *store)
{
	g_free(store->images);
	g_free(store->public_key);
	g_free(store->private_key);
	g_free(store->ca);
}

struct version *image_store_find(const struct image_store *store, const char *id)
{
	g_autoptr(GError) error = NULL;
	struct version *version = version_find(store->images, id, store->public_key, &error);

	if (!version)
		show_failed(error);
	return version;
}

struct version *image_store_find_good(const struct image_store *store, const char *id)
{
	struct version *version = image_store_find(store, id);

	if (!version || version->image)
		return version;
	fprintf(stderr, "carrel: %s\n", version->problem);
	version_free(version);
	return NULL;
}

json_t *image_store_ask(const struct context *context, GError **error)
{
	return request_send(context, "GET", "/v1/images", NULL, error);
}

char *image_store_size(guint64 bytes)
{
	return g_strdup_printf("%.1f MB", (double)bytes / 1e6);
}

char *image_store_text(const char *bytes)
{
	return g_utf8_validate(bytes, -1, NULL) ? g_strdup(bytes) : g_strescape(bytes, NULL);
}

static void on_signal(int number)
{
	(void)number;
	interrupted = 1;
}

/* What the line on the terminal says; one at a time. */
static gint64 shown_us;

static gboolean on_step(guint64 done, guint64 total, void *what)
{
	gint64 now_us = g_get_monotonic_time();

	if (interrupted || now_us - shown_us < SHOW_US || !isatty(STDERR_FILENO))
		return !interrupted;
	shown_us = now_us;
	g_autofree char *size = image_store_size(done);
	if (total)
		fprintf(stderr, "\r%s: %s, %.0f %%\033[K", (const char *)what, size,
			100.0 * (double)done / (double)total);
	else
		fprintf(stderr, "\r%s: %s\033[K", (const char *)what, size);
	return TRUE;
}

struct disk_progress image_store_progress(const char *what)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction action = {.sa_handler = on_signal};

	for (size_t i = 0; i < G_N_ELEMENTS(signals); i++)
		sigaction(signals[i], &action, NULL);
	return (struct disk_progress){on_step, (void *)what};
}

void image_store_progress_end(void)
{
	if (shown_us)
		fputs("\r\033[K", stderr);
	shown_us = 0;
}
