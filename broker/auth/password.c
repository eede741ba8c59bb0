/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/auth/password.h"

#include <crypt.h>
#include <string.h>

#define PREFIX "$y$"
/* libcrypt's default cost, written out so that hash and dummy have the same one. */
#define COST 5
/* A salt and a hash of that cost, made up: no password is known that has it. */
static const char dummy[] = PREFIX "j9T$Wq6v0iTVb9PdQmCkqKxUu/$"
				   "1nB0RkV3cPzZ4hTjyYl8xEoGm5sDf2uAq7wIeL9tHr1";

const char *password_check(const char *password, const char *user)
{
	g_autofree char *folded = NULL;
	gboolean same = TRUE;
	const char *wrong = NULL;

	if (!g_utf8_validate(password, -1, NULL))
		return "the password is not UTF-8";
	if (strlen(password) > PASSWORD_BYTES_MAX)
		return "the password is longer than 256 bytes";
	if (g_utf8_strlen(password, -1) < PASSWORD_CHARS_MIN)
		return "the password is shorter than 8 characters";
	folded = g_utf8_strdown(password, -1);
	for (const char *p = password; *p; p++) {
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			wrong = "the password holds control characters";
		same = same && *p == password[0];
	}
	if (same)
		wrong = "the password is one character repeated";
	if (strstr(folded, user) && strlen(folded) < strlen(user) + PASSWORD_CHARS_MIN)
		wrong = "the password is little more than the user's name";
	password_wipe(folded);
	return wrong;
}

static char *hash_with(const char *password, const char *setting)
{
	struct crypt_data *data = g_new0(struct crypt_data, 1);
	const char *hash = crypt_r(password, setting, data);
	/* crypt_r marks a failure by a string that begins with '*'. */
	char *copy = hash && hash[0] != '*' ? g_strdup(hash) : NULL;

	explicit_bzero(data, sizeof(*data));
	g_free(data);
	return copy;
}

char *password_hash(const char *password)
{
	char setting[CRYPT_GENSALT_OUTPUT_SIZE];

	if (!crypt_gensalt_rn(PREFIX, COST, NULL, 0, setting, sizeof(setting)))
		return NULL;
	return hash_with(password, setting);
}

gboolean password_verify(const char *password, const char *hash)
{
	g_autofree char *computed = hash_with(password, hash ? hash : dummy);

	return hash && computed && strcmp(computed, hash) == 0;
}

void password_wipe(char *password)
{
	if (password)
		explicit_bzero(password, strlen(password));
}
