/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/daemon/seat_name.h"

#include <string.h>

#define RANGE_MAX 1000000000

gboolean seat_mac_read(const char *text, char mac[SEAT_MAC_MAX])
{
	for (size_t i = 0; i < SEAT_MAC_MAX - 1; i++) {
		/* A '-' between the first two is one between all. */
		if (i % 3 == 2 ? (text[i] != ':' && text[i] != '-') || text[i] != text[2]
			       : !g_ascii_isxdigit(text[i]))
			return FALSE;
		mac[i] = i % 3 == 2 ? ':' : g_ascii_tolower(text[i]);
	}
	mac[SEAT_MAC_MAX - 1] = '\0';
	return text[SEAT_MAC_MAX - 1] == '\0';
}

/* "1-30". */
static gboolean range_read(const char *text, guint64 *first, guint64 *last)
{
	g_auto(GStrv) ends = g_strsplit(text, "-", 3);

	return g_strv_length(ends) == 2 &&
	       g_ascii_string_to_unsigned(ends[0], 10, 0, RANGE_MAX, first, NULL) &&
	       g_ascii_string_to_unsigned(ends[1], 10, 0, RANGE_MAX, last, NULL);
}

/* What a text is, with signs that stand for others or without. */
static gboolean part_is_good(const char *part, size_t length, const char *also)
{
	const char *end = part + length;

	if (!length || length > SEAT_PART_MAX)
		return FALSE;
	for (const char *p = part; p < end; p = g_utf8_next_char(p)) {
		gunichar c = g_utf8_get_char(p);
		gboolean word = g_unichar_isalnum(c) || (c < 0x80 && strchr(also, (char)c));

		if (!word && (p == part || (c != '-' && c != '_' && c != '.')))
			return FALSE;
	}
	return TRUE;
}

/* ROOM/NAME, composed; `also` are further signs that may be in it. */
static gboolean name_read(const char *text, const char *also, char name[SEAT_NAME_MAX])
{
	g_autofree char *composed = g_utf8_validate(text, -1, NULL)
					    ? g_utf8_normalize(text, -1, G_NORMALIZE_NFC)
					    : NULL;
	const char *slash = composed ? strchr(composed, '/') : NULL;

	if (!slash || !part_is_good(composed, (size_t)(slash - composed), also) ||
		!part_is_good(slash + 1, strlen(slash + 1), also))
		return FALSE;
	g_strlcpy(name, composed, SEAT_NAME_MAX);
	return TRUE;
}

char *seat_name_read(const char *text, char name[SEAT_NAME_MAX])
{
	guint64 first, last;

	if (!name_read(text, "", name))
		return g_strdup_printf(
			"\"%s\" cannot be a seat's name: write ROOM/NAME, such as room-301/4; each "
			"part is of letters, digits, '-', '_' and '.', begins with a letter or a "
			"digit, and has at most %d bytes",
			text, SEAT_PART_MAX);
	if (range_read(strchr(name, '/') + 1, &first, &last))
		return g_strdup_printf("\"%s\" cannot be a seat's name: it is a range of seats; "
				       "write one number, such as room-301/4",
			name);
	return NULL;
}

char *seat_ref_read(const char *text, struct seat_ref *ref)
{
	*ref = (struct seat_ref){.kind = SEAT_REF_MAC};
	if (seat_mac_read(text, ref->text))
		return NULL;
	if (!name_read(text, "*?", ref->text))
		return g_strdup_printf(
			"\"%s\" is no seat: write its MAC address, such as 52:54:00:77:00:01, its "
			"name, such as room-301/4, or several, such as room-301/1-30 or "
			"'room-301/*'",
			text);
	ref->kind = strpbrk(ref->text, "*?") ? SEAT_REF_PATTERN : SEAT_REF_NAME;
	if (!range_read(strchr(ref->text, '/') + 1, &ref->first, &ref->last))
		return NULL;
	ref->kind = SEAT_REF_RANGE;
	if (ref->first <= ref->last)
		return NULL;
	return g_strdup_printf(
		"the range \"%s\" ends before it begins: write the lower number first", ref->text);
}

static gboolean range_fits(const struct seat_ref *ref, const char *name)
{
	const char *slash = strchr(name, '/');
	const char *own = strchr(ref->text, '/');
	guint64 number;

	return slash && slash - name == own - ref->text &&
	       !strncmp(name, ref->text, (size_t)(slash - name)) &&
	       g_ascii_string_to_unsigned(slash + 1, 10, ref->first, ref->last, &number, NULL);
}

gboolean seat_ref_fits(const struct seat_ref *ref, const char *mac, const char *name)
{
	switch (ref->kind) {
	case SEAT_REF_MAC:
		return !strcmp(ref->text, mac);
	case SEAT_REF_NAME:
		return !strcmp(ref->text, name);
	case SEAT_REF_RANGE:
		return range_fits(ref, name);
	case SEAT_REF_PATTERN:
		return *name && g_pattern_match_simple(ref->text, name);
	}
	return FALSE;
}
