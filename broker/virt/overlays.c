/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/virt/overlays.h"

#include <stdlib.h>
#include <string.h>

#include "broker/shared/log.h"
#include "broker/virt/domain_info.h"
#include "broker/virt/domain_xml.h"
#include "broker/virt/marks.h"

#define OVERLAY ".overlay"
#define NVRAM ".nvram"

static char *file_name(const struct worker *worker, uint64_t desktop, const char *ending)
{
	g_autofree char *name = domain_name(desktop);

	return g_strconcat(name, ".", worker->name, ending, NULL);
}

/* The desktop that a volume of the pool belongs to; 0: it is none of these. */
static uint64_t desktop_of(const struct worker *worker, const char *volume)
{
	const char *dot = strchr(volume, '.');
	g_autofree char *domain = dot ? g_strndup(volume, (gsize)(dot - volume)) : NULL;
	uint64_t desktop = domain ? domain_id(domain) : 0;
	g_autofree char *overlay = file_name(worker, desktop, OVERLAY);
	g_autofree char *nvram = file_name(worker, desktop, NVRAM);

	return strcmp(volume, overlay) && strcmp(volume, nvram) ? 0 : desktop;
}

char *overlay_make(struct worker *worker, struct virt_conn *conn, uint64_t desktop,
	const char *base, uint64_t size, char **nvram, GError **error)
{
	const char *pool = conf_string(worker->conf, CONF_IMAGE_POOL);
	g_autofree char *name = file_name(worker, desktop, OVERLAY);
	g_autofree char *variables = file_name(worker, desktop, NVRAM);
	struct virt_volume made;

	if (!worker->storage->overlay(conn, pool, base, name, size, error))
		return NULL;
	if (!worker->driver->volume_get(conn, pool, name, &made, error)) {
		overlay_drop(worker, conn, desktop);
		return NULL;
	}
	g_autofree char *folder = g_path_get_dirname(made.path);
	char *path = g_strdup(made.path);
	free(made.path);
	*nvram = g_build_filename(folder, variables, NULL);
	return path;
}

void overlay_drop(struct worker *worker, struct virt_conn *conn, uint64_t desktop)
{
	static const char *const endings[] = {OVERLAY, NVRAM};
	const char *pool = conf_string(worker->conf, CONF_IMAGE_POOL);

	for (gsize i = 0; i < G_N_ELEMENTS(endings); i++) {
		g_autofree char *name = file_name(worker, desktop, endings[i]);
		g_autoptr(GError) error = NULL;

		if (!marks_delete(worker, conn, pool, name, &error))
			log_event(LOG_WARN, "overlay-left", "server", worker->name, "volume", name,
				"reason", error->message, NULL);
	}
}

static GHashTable *domains_of(GPtrArray *list)
{
	GHashTable *names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

	for (guint i = 0; i < list->len; i++) {
		const char *xml = list->pdata[i];
		struct domain_info *info = domain_info_parse(xml, strlen(xml), NULL);

		if (info)
			g_hash_table_add(names, g_strdup(info->name));
		domain_info_free(info);
	}
	g_ptr_array_unref(list);
	return names;
}

void overlays_sweep(struct worker *worker, struct virt_conn *conn)
{
	g_autoptr(GError) error = NULL;
	/* The volumes first: whose VM is not there afterwards had none, or has none any more. */
	g_autoptr(GPtrArray) volumes =
		worker->storage->list(conn, conf_string(worker->conf, CONF_IMAGE_POOL), &error);
	GPtrArray *list = volumes ? worker->driver->domain_list(conn, &error) : NULL;

	if (!list) {
		log_event(LOG_WARN, "overlays-not-swept", "server", worker->name, "reason",
			error->message, NULL);
		return;
	}
	g_autoptr(GHashTable) domains = domains_of(list);
	for (guint i = 0; i < volumes->len; i++) {
		uint64_t desktop = desktop_of(worker, volumes->pdata[i]);
		g_autofree char *name = domain_name(desktop);

		if (desktop && !g_hash_table_contains(domains, name)) {
			log_event(LOG_INFO, "overlay-swept", "server", worker->name, "volume",
				volumes->pdata[i], NULL);
			overlay_drop(worker, conn, desktop);
		}
	}
}
