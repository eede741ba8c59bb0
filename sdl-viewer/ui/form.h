/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The login form's contents: two fields, a cursor in whole characters, an error line. */
#ifndef CARREL_VIEWER_FORM_H
#define CARREL_VIEWER_FORM_H

#include <stdbool.h>
#include <stddef.h>

#define FORM_USER_MAX 96      /* bytes with the terminator, as the broker keeps names */
#define FORM_PASSWORD_MAX 512 /* bytes with the terminator */

enum form_field { FORM_USER, FORM_PASSWORD, FORM_FIELDS };

enum form_key {
	FORM_KEY_NEXT,
	FORM_KEY_PREVIOUS,
	FORM_KEY_LEFT,
	FORM_KEY_RIGHT,
	FORM_KEY_HOME,
	FORM_KEY_END,
	FORM_KEY_BACKSPACE,
	FORM_KEY_DELETE,
	FORM_KEY_CLEAR
};

struct form {
	enum form_field focus;
	char user[FORM_USER_MAX];
	char password[FORM_PASSWORD_MAX]; /* wiped by form_clear and form_wipe_password */
	size_t cursor[FORM_FIELDS];       /* byte offset, on a character's start */
	char preview[32]; /* text in the making at the cursor, not yet in the field */
	char error[512];
	bool caps_lock, korean;
	bool typed_here; /* no input method runs: the viewer switches to Korean itself */
};

void form_clear(struct form *form); /* all, wiped; focus on the user */
void form_wipe_password(struct form *form);

/* The field's text and its size; borrowed. */
char *form_text(struct form *form, enum form_field field, size_t *size);

/* Puts text at the cursor; what does not fit whole, or is not printable UTF-8, is left out. */
void form_insert(struct form *form, const char *text);

void form_press(struct form *form, enum form_key key);

/* Enter: true when the form is to be sent; on an empty field the focus goes there instead. */
bool form_enter(struct form *form);

#endif
