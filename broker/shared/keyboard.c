/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/shared/keyboard.h"

#include <string.h>

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define WORD LOWER "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"

/* The letters of `of` at the beginning of *text; false when there are less than `least`, or more
 * than `to` holds. */
static bool take(const char **text, const char *of, size_t least, char *to, size_t size)
{
	size_t length = strspn(*text, of);

	if (length < least || length >= size)
		return false;
	memcpy(to, *text, length);
	to[length] = '\0';
	*text += length;
	return true;
}

bool keyboard_parse(const char *text, struct keyboard *keyboard)
{
	struct keyboard read = {0};
	bool good = take(&text, LOWER, 2, read.layout, sizeof(read.layout));

	*keyboard = (struct keyboard){0};
	if (good && *text == '(') {
		text++;
		good = take(&text, WORD, 1, read.variant, sizeof(read.variant)) &&
		       read.variant[0] != '-' && *text == ')';
		text += good;
	}
	good = good && *text == '\0';
	if (good)
		*keyboard = read;
	return good;
}
