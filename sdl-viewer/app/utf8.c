/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sdl-viewer/app/utf8.h"

#include <string.h>

size_t utf8_read(const char *text, size_t size, uint32_t *code)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	const unsigned char *p = (const unsigned char *)text;
	size_t length;
	uint32_t value;

	if (size == 0 || p[0] == 0)
		return 0;
	if (p[0] < 0x80) {
		*code = p[0];
		return 1;
	}
	if (p[0] >= 0xc2 && p[0] < 0xe0)
		length = 2;
	else if (p[0] >= 0xe0 && p[0] < 0xf0)
		length = 3;
	else if (p[0] >= 0xf0 && p[0] < 0xf5)
		length = 4;
	else
		return 0;
	if (length > size)
		return 0;
	value = p[0] & (0xffU >> (length + 1));
	for (size_t i = 1; i < length; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		value = value << 6 | (p[i] & 0x3f);
	}
	if (value < least[length] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
		return 0;
	*code = value;
	return length;
}

size_t utf8_write(uint32_t code, char out[5])
{
	size_t length;

	out[0] = 0;
	if (code == 0 || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
		return 0;
	if (code < 0x80) {
		out[0] = (char)code;
		out[1] = 0;
		return 1;
	}
	length = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
	for (size_t i = length - 1; i > 0; i--) {
		out[i] = (char)(0x80 | (code & 0x3f));
		code >>= 6;
	}
	out[0] = (char)((0xf00U >> length) | code);
	out[length] = 0;
	return length;
}

size_t utf8_prev(const char *text, size_t at)
{
	while (at > 0 && ((unsigned char)text[--at] & 0xc0) == 0x80)
		;
	return at;
}

size_t utf8_next(const char *text, size_t at)
{
	if (text[at] == 0)
		return at;
	do
		at++;
	while (((unsigned char)text[at] & 0xc0) == 0x80);
	return at;
}

size_t utf8_count(const char *text)
{
	size_t count = 0;

	for (size_t at = 0; text[at]; at = utf8_next(text, at))
		count++;
	return count;
}

static bool is_hidden(uint32_t code)
{
	return (code >= 0x80 && code < 0xa0) || (code >= 0x200b && code <= 0x200f) ||
	       (code >= 0x2028 && code <= 0x202e) || (code >= 0x2060 && code <= 0x206f) ||
	       code == 0xfeff || (code >= 0xfff0 && code <= 0xfffb) || code >= 0xe0000;
}

void utf8_clean(char *out, size_t size, const char *text)
{
	size_t left = text ? strlen(text) : 0, used = 0;

	while (left > 0) {
		uint32_t code;
		size_t n = utf8_read(text, left, &code);

		if (n == 0) {
			text++;
			left--;
			continue;
		}
		if (!is_hidden(code)) {
			if (used + n + 1 > size)
				break;
			if (code < 0x20 || code == 0x7f)
				out[used++] = ' ';
			else {
				memcpy(out + used, text, n);
				used += n;
			}
		}
		text += n;
		left -= n;
	}
	if (size > 0)
		out[used] = 0;
}
