/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Carrel's own users, for sites without a directory: `users` in a folder that belongs to
 * carrel-authd alone, lines of name:hash:uid:full name. A change is made under a lock, written
 * beside the file, synced, and renamed over it. User ids are never given twice, as a volume
 * belongs to its id: `next-uid` only rises, and rises before the user is there.
 */
#ifndef CARREL_AUTH_USERS_H
#define CARREL_AUTH_USERS_H

#include <glib.h>

#define USERS_ERROR (users_error_quark())
GQuark users_error_quark(void);
enum users_error {
	USERS_ERROR_SYSTEM,
	USERS_ERROR_DAMAGED, /* a line that is none; nothing is changed until it is repaired */
	USERS_ERROR_EXISTS,
	USERS_ERROR_UNKNOWN
};

struct user {
	char *name, *hash, *full_name; /* owned */
	guint32 uid;                   /* gid is the same number */
};

/* A snapshot of the list. */
struct users {
	GPtrArray *list;  /* owned: struct user */
	unsigned damaged; /* number of the first line that is no user; 0 = none */
};

/* Makes the folder, mode 0700, when there is none. */
gboolean users_folder_make(const char *folder, GError **error);

/*
 * Reads the list; no file means no users. A damaged line is left out, so that it locks out nobody
 * else. The folder must be the process's own and closed to others.
 */
struct users *users_load(const char *folder, GError **error);
void users_free(struct users *users);

/* Borrowed; NULL when there is none. `name` is canonical. */
const struct user *users_find(const struct users *users, const char *name);

/* Changes; `name` is canonical, `hash` and `full_name` have been checked. */
gboolean users_add(const char *folder, guint32 uid_min, const char *name, const char *hash,
	const char *full_name, guint32 *uid, GError **error);
gboolean users_set_hash(const char *folder, const char *name, const char *hash, GError **error);
gboolean users_del(const char *folder, const char *name, GError **error);

/* From text, for the tests and fuzzing; never NULL. */
struct users *users_parse(const char *text);

#endif
