/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The settings of a seat: what they are called, where a row has them, what they may be. They are
 * the place's: whoever gets its name gets them. */
#include "broker/daemon/seats_internal.h"
#include "broker/shared/keyboard.h"
#include "broker/shared/screen_mode.h"
#include "images/store/bootplan.h"

#include <stddef.h>
#include <string.h>

G_STATIC_ASSERT(sizeof(((struct store_seat *)0)->kernel) == BOOTPLAN_KERNEL_MAX);
G_STATIC_ASSERT(sizeof(((struct store_seat *)0)->screen) == SCREEN_MODE_MAX);
G_STATIC_ASSERT(sizeof(((struct store_seat *)0)->keyboard) == KEYBOARD_MAX);

/* A language of login forms. */
static gboolean check_language(const char *value, GError **error)
{
	const char *choices = conf_table[CONF_SITE_LANGUAGE].choices;
	g_auto(GStrv) list = g_strsplit(choices, "|", -1);

	return g_strv_contains((const char *const *)list, value) ||
	       broker_refuse(error, BROKER_ERROR_INVALID,
		       "language = \"%s\": allowed is one of %s, or nothing for the site's", value,
		       choices);
}

static gboolean check_channel(const char *value, GError **error)
{
	return !strcmp(value, "testing") ||
	       broker_refuse(error, BROKER_ERROR_INVALID,
		       "channel = \"%s\": allowed is stable or testing, the version of the PCs' "
		       "image that it boots",
		       value);
}

static gboolean check_kernel(const char *value, GError **error)
{
	g_autoptr(GError) cause = NULL;

	return bootplan_kernel_check(value, &cause) ||
	       broker_refuse(error, BROKER_ERROR_INVALID, "%s", cause->message);
}

static gboolean check_screen(const char *value, GError **error)
{
	struct screen_mode mode;

	return screen_mode_parse(value, &mode) ||
	       broker_refuse(error, BROKER_ERROR_INVALID,
		       "screen = \"%s\": allowed is a mode such as 1920x1080 or 1920x1080@60, or "
		       "preferred, the screen's own",
		       value);
}

static gboolean check_keyboard(const char *value, GError **error)
{
	struct keyboard keyboard;

	return keyboard_parse(value, &keyboard) ||
	       broker_refuse(error, BROKER_ERROR_INVALID,
		       "keyboard = \"%s\": allowed is an X layout with or without a variant, such "
		       "as "
		       "us, kr, kr(kr104) or de(nodeadkeys), or nothing for the image's own",
		       value);
}

static const struct {
	const char *key;
	size_t at, size;  /* in struct store_seat */
	const char *none; /* what means the same as nothing; NULL: nothing else */
	gboolean (*check)(const char *value, GError **error);
} settings[] = {
#define SETTING(field)                                                                             \
#field, offsetof(struct store_seat, field), sizeof(((struct store_seat *)0)->field)
	{SETTING(language), NULL, check_language},
	{SETTING(channel), "stable", check_channel},
	{SETTING(kernel), NULL, check_kernel},
	{SETTING(screen), "preferred", check_screen},
	{SETTING(keyboard), NULL, check_keyboard},
#undef SETTING
};

static char *field(struct store_seat *row, size_t index)
{
	return (char *)row + settings[index].at;
}

static const char *value_of(const struct store_seat *row, size_t index)
{
	return (const char *)row + settings[index].at;
}

gboolean seats_settings_take(struct store_seat *row, const json_t *values, GError **error)
{
	for (size_t i = 0; i < G_N_ELEMENTS(settings); i++) {
		const char *value = json_string_value(json_object_get(values, settings[i].key));

		if (!value)
			continue;
		if (!g_strcmp0(value, settings[i].none))
			value = "";
		if (*value && !settings[i].check(value, error))
			return FALSE;
		g_strlcpy(field(row, i), value, settings[i].size);
	}
	return TRUE;
}

void seats_settings_json(const struct store_seat *row, json_t *object)
{
	for (size_t i = 0; i < G_N_ELEMENTS(settings); i++)
		json_object_set_new(object, settings[i].key, json_string(value_of(row, i)));
}

void seats_settings_move(struct store_seat *from, struct store_seat *to)
{
	for (size_t i = 0; i < G_N_ELEMENTS(settings); i++) {
		g_strlcpy(field(to, i), value_of(from, i), settings[i].size);
		field(from, i)[0] = '\0';
	}
}

gboolean seats_settings_same(const struct store_seat *a, const struct store_seat *b)
{
	for (size_t i = 0; i < G_N_ELEMENTS(settings); i++)
		if (strcmp(value_of(a, i), value_of(b, i)) != 0)
			return FALSE;
	return TRUE;
}

gboolean seats_kernels_fit(const struct seats *seats, const GArray *rows, GError **error)
{
	g_autoptr(GHashTable) changed = g_hash_table_new(g_str_hash, g_str_equal);
	g_autoptr(GHashTable) kernels = g_hash_table_new(g_str_hash, g_str_equal);
	GHashTableIter iter;
	gpointer value;

	for (guint i = 0; i < rows->len; i++) {
		struct store_seat *row = &g_array_index(rows, struct store_seat, i);

		g_hash_table_add(changed, row->mac);
		if (row->kernel[0])
			g_hash_table_add(kernels, row->kernel);
	}
	g_hash_table_iter_init(&iter, seats->all);
	while (g_hash_table_iter_next(&iter, NULL, &value)) {
		struct seat *seat = value;

		if (seat->row.kernel[0] && !g_hash_table_contains(changed, seat->row.mac))
			g_hash_table_add(kernels, seat->row.kernel);
	}
	return g_hash_table_size(kernels) <= BOOTPLAN_KERNELS_MAX ||
	       broker_refuse(error, BROKER_ERROR_INVALID,
		       "seats would have %u different kernel options, more than %d, and each is a "
		       "boot program of its own for UEFI PCs: give some the same, or take those "
		       "away that are not needed any more (kernel=)",
		       g_hash_table_size(kernels), BOOTPLAN_KERNELS_MAX);
}
