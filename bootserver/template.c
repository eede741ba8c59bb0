/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "bootserver/template.h"

#include <string.h>

#include "bootserver/error.h"

#define KEY_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"

char *template_fill(const char *name, const char *text, GHashTable *values, GError **error)
{
	g_autoptr(GString) out = g_string_new(NULL);
	while (*text) {
		size_t key_length = *text == '@' ? strspn(text + 1, KEY_CHARS) : 0;
		if (!key_length || text[key_length + 1] != '@') {
			g_string_append_c(out, *text++);
			continue;
		}
		g_autofree char *key = g_strndup(text + 1, key_length);
		const char *value = g_hash_table_lookup(values, key);
		if (!value || strpbrk(value, "\r\n")) {
			g_set_error(error, BOOTCONF_ERROR, BOOTCONF_FAILED, "%s: @%s@ %s", name,
				key, value ? "has a line end in its value" : "has no value");
			return NULL;
		}
		g_string_append(out, value);
		text += key_length + 2;
	}
	return g_string_free(g_steal_pointer(&out), FALSE);
}
