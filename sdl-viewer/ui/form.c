/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sdl-viewer/ui/form.h"

#include <string.h>

#include "sdl-viewer/app/utf8.h"

void form_clear(struct form *form)
{
	bool caps_lock = form->caps_lock, korean = form->korean, here = form->typed_here;

	explicit_bzero(form, sizeof(*form));
	form->caps_lock = caps_lock;
	form->korean = korean;
	form->typed_here = here;
}

void form_wipe_password(struct form *form)
{
	explicit_bzero(form->password, sizeof(form->password));
	form->cursor[FORM_PASSWORD] = 0;
}

char *form_text(struct form *form, enum form_field field, size_t *size)
{
	*size = field == FORM_USER ? sizeof(form->user) : sizeof(form->password);
	return field == FORM_USER ? form->user : form->password;
}

void form_insert(struct form *form, const char *text)
{
	size_t size, *cursor = &form->cursor[form->focus];
	char *field = form_text(form, form->focus, &size);
	size_t used = strlen(field), left = strlen(text), n;
	uint32_t code;

	form->error[0] = 0;
	for (; (n = utf8_read(text, left, &code)) > 0; text += n, left -= n) {
		if (code < 0x20 || code == 0x7f)
			continue;
		if (used + n >= size)
			return;
		memmove(field + *cursor + n, field + *cursor, used - *cursor + 1);
		memcpy(field + *cursor, text, n);
		*cursor += n;
		used += n;
	}
}

/* Removes bytes from..to of the field and wipes what is behind the new end. */
static void cut(char *field, size_t from, size_t to)
{
	size_t used = strlen(field);

	memmove(field + from, field + to, used - to);
	explicit_bzero(field + used - (to - from), to - from);
}

void form_press(struct form *form, enum form_key key)
{
	size_t size, *cursor = &form->cursor[form->focus], at = *cursor;
	char *field = form_text(form, form->focus, &size);

	switch (key) {
	case FORM_KEY_NEXT:
	case FORM_KEY_PREVIOUS:
		form->focus = form->focus == FORM_USER ? FORM_PASSWORD : FORM_USER;
		break;
	case FORM_KEY_LEFT:
		*cursor = utf8_prev(field, at);
		break;
	case FORM_KEY_RIGHT:
		*cursor = utf8_next(field, at);
		break;
	case FORM_KEY_HOME:
		*cursor = 0;
		break;
	case FORM_KEY_END:
		*cursor = strlen(field);
		break;
	case FORM_KEY_BACKSPACE:
		*cursor = utf8_prev(field, at);
		cut(field, *cursor, at);
		break;
	case FORM_KEY_DELETE:
		cut(field, at, utf8_next(field, at));
		break;
	case FORM_KEY_CLEAR:
		explicit_bzero(field, size);
		*cursor = 0;
		break;
	}
}

bool form_enter(struct form *form)
{
	if (!form->user[0]) {
		form->focus = FORM_USER;
		return false;
	}
	if (form->focus == FORM_USER && !form->password[0]) {
		form->focus = FORM_PASSWORD;
		return false;
	}
	return true;
}
