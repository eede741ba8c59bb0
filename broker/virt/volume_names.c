/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/virt/volume_names.h"
#include "broker/virt/worker.h"

#include <string.h>

#define DAILY "daily-"

char *volume_copy_name(uint64_t volume, uint32_t copy)
{
	if (copy == 0)
		return g_strdup_printf("home-%" G_GUINT64_FORMAT, volume);
	return g_strdup_printf("home-%" G_GUINT64_FORMAT ".%u", volume, copy);
}

char *volume_snapshot_name(uint64_t volume, const char *snapshot)
{
	return g_strdup_printf("home-%" G_GUINT64_FORMAT ".%s", volume, snapshot);
}

gboolean volume_snapshot_ok(const char *snapshot)
{
	static const char *const kinds[] = {"snap-", DAILY, "before-"};
	static const char form[] = "00000000T000000Z";
	const char *time = NULL;

	for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++)
		if (g_str_has_prefix(snapshot, kinds[i]))
			time = snapshot + strlen(kinds[i]);
	if (!time || strlen(time) != strlen(form))
		return FALSE;
	for (size_t i = 0; form[i]; i++)
		if (form[i] == '0' ? !g_ascii_isdigit(time[i]) : time[i] != form[i])
			return FALSE;
	return TRUE;
}

/* A number as volume_copy_name writes it: no zero in front. */
static bool copy_number(const char *text, uint32_t *copy)
{
	guint64 number;

	if (*text == '0' || !g_ascii_isdigit(*text) ||
		!g_ascii_string_to_unsigned(text, 10, 1, G_MAXUINT32, &number, NULL))
		return false;
	*copy = (uint32_t)number;
	return true;
}

struct volume_part volume_part(const char *name, uint64_t volume)
{
	g_autofree char *first = volume_copy_name(volume, 0);
	g_autofree char *own = g_str_has_suffix(name, MARK_SUFFIX)
				       ? g_strndup(name, strlen(name) - strlen(MARK_SUFFIX))
				       : g_strdup(name);
	struct volume_part part = {.mark = strcmp(own, name) != 0};
	size_t length = strlen(first);

	if (strncmp(own, first, length) != 0)
		return (struct volume_part){0};
	if (own[length] == 0) {
		part.kind = VOLUME_PART_COPY;
	} else if (own[length] != '.') {
		return (struct volume_part){0};
	} else if (copy_number(own + length + 1, &part.copy)) {
		part.kind = VOLUME_PART_COPY;
	} else if (volume_snapshot_ok(own + length + 1)) {
		part.kind = VOLUME_PART_SNAPSHOT;
		g_strlcpy(part.snapshot, own + length + 1, sizeof(part.snapshot));
	} else {
		return (struct volume_part){0};
	}
	return part;
}

static gint by_name(gconstpointer a, gconstpointer b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void volume_list_sort(GPtrArray *names)
{
	g_ptr_array_sort(names, by_name);
}

bool volume_list_whole(const GPtrArray *names, const char *name)
{
	g_autofree char *mark = g_strconcat(name, MARK_SUFFIX, NULL);

	for (guint i = 0; i < names->len; i++)
		if (!strcmp(names->pdata[i], mark))
			return true;
	return false;
}

GPtrArray *volume_list_expired(const GPtrArray *names, uint64_t volume, unsigned keep)
{
	GPtrArray *expired = g_ptr_array_new();
	unsigned kept = 0;

	for (guint i = names->len; i-- > 0;) {
		struct volume_part part = volume_part(names->pdata[i], volume);

		if (part.kind == VOLUME_PART_SNAPSHOT && !part.mark &&
			g_str_has_prefix(part.snapshot, DAILY) &&
			volume_list_whole(names, names->pdata[i]) && kept++ >= keep)
			g_ptr_array_add(expired, names->pdata[i]);
	}
	return expired;
}
