/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/auth/name.h"

#include <string.h>

#define HANGUL_CHOSEONG_FILLER 0x115f

/* Users that Debian's base-passwd makes, and those of Carrel and of its desktops' services. Names
 * that begin with "systemd-" or "carrel-" are reserved too. */
static const char *const reserved[] = {"root", "daemon", "bin", "sys", "sync", "games", "man", "lp",
	"mail", "news", "uucp", "proxy", "www-data", "backup", "list", "irc", "gnats", "nobody",
	"messagebus", "polkitd", "sshd", "dnsmasq", "carrel", "libvirt-qemu", "tss", "rtkit",
	"avahi", "statd", "uuidd", "greeter", "admin", "administrator", NULL};

static gboolean is_reserved(const char *name)
{
	return g_strv_contains(reserved, name) || g_str_has_prefix(name, "systemd-") ||
	       g_str_has_prefix(name, "carrel-");
}

/* Letters that nobody can see are letters to Unicode (the Hangul fillers, old medial vowels). */
static gboolean is_visible_alnum(gunichar c)
{
	return g_unichar_isalnum(c) && !g_unichar_iszerowidth(c) && c != HANGUL_CHOSEONG_FILLER;
}

static const char *check(const char *name)
{
	g_autofree char *compatible = g_utf8_normalize(name, -1, G_NORMALIZE_NFKC);
	gboolean only_digits = TRUE;

	if (!*name)
		return "a user name is empty";
	if (strlen(name) > NAME_BYTES_MAX || g_utf8_strlen(name, -1) > NAME_CHARS_MAX)
		return "a user name is longer than 32 characters or 90 bytes";
	if (!is_visible_alnum(g_utf8_get_char(name)))
		return "a user name begins with neither a letter nor a digit";
	for (const char *p = name; *p; p = g_utf8_next_char(p)) {
		gunichar c = g_utf8_get_char(p);

		if (!is_visible_alnum(c) && !g_unichar_ismark(c) && c != '.' && c != '_' &&
			c != '-')
			return "a user name holds something else than letters, digits, '.', '_' "
			       "and '-'";
		only_digits = only_digits && g_unichar_isdigit(c);
	}
	if (only_digits)
		return "a user name of digits only would be taken for a user id; put a letter "
		       "before it";
	if (!compatible || strcmp(compatible, name) != 0)
		return "a user name holds characters that only look like others (full-width "
		       "letters, for example)";
	if (is_reserved(name))
		return "this user name belongs to the system";
	return NULL;
}

char *name_canonical(const char *text, gboolean fold, const char **why)
{
	g_autofree char *composed = NULL, *folded = NULL, *name = NULL;

	/* Also bounds the work of normalising. */
	if (strlen(text) > 4 * NAME_BYTES_MAX) {
		*why = "a user name is longer than 32 characters or 90 bytes";
		return NULL;
	}
	composed = g_utf8_normalize(text, -1, G_NORMALIZE_NFC);
	if (!composed) {
		*why = "a user name is not UTF-8";
		return NULL;
	}
	folded = fold ? g_utf8_strdown(composed, -1) : g_strdup(composed);
	name = g_utf8_normalize(folded, -1, G_NORMALIZE_NFC);
	*why = check(name);
	return *why ? NULL : g_steal_pointer(&name);
}

gboolean name_full_valid(const char *text)
{
	if (strlen(text) > NAME_BYTES_MAX || !g_utf8_validate(text, -1, NULL))
		return FALSE;
	for (const char *p = text; *p; p = g_utf8_next_char(p)) {
		gunichar c = g_utf8_get_char(p);

		if (c == ':' || g_unichar_iscntrl(c) || c == 0x2028 || c == 0x2029)
			return FALSE;
	}
	return TRUE;
}
