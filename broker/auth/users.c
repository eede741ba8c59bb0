/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/auth/users.h"
#include "broker/auth/name.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX_BYTES (16 << 20)

/* Ids that systemd and others use for short-lived users, and the two that mean "nobody". */
#define UID_HOLE_FIRST 60000
#define UID_HOLE_LAST 65535

G_DEFINE_QUARK(carrel - users - error, users_error)

static void user_free(gpointer pointer)
{
	struct user *user = pointer;

	if (!user)
		return;
	g_free(user->name);
	g_free(user->hash);
	g_free(user->full_name);
	g_free(user);
}

void users_free(struct users *users)
{
	if (!users)
		return;
	g_ptr_array_unref(users->list);
	g_free(users);
}

static gboolean fail(GError **error, const char *what, const char *name)
{
	g_set_error(error, USERS_ERROR, USERS_ERROR_SYSTEM, "cannot %s %s: %s", what, name,
		g_strerror(errno));
	return FALSE;
}

gboolean users_folder_make(const char *folder, GError **error)
{
	if (mkdir(folder, 0700) < 0 && errno != EEXIST)
		return fail(error, "make", folder);
	return TRUE;
}

/* The folder of folders may belong to the broker's user, who must not be able to lead us, root, to
 * another place: no link is followed and the owner is looked at. */
static int folder_open(const char *folder, GError **error)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat status;

	if (fd < 0) {
		fail(error, "open", folder);
		return -1;
	}
	if (fstat(fd, &status) < 0 || status.st_uid != geteuid() || (status.st_mode & 077)) {
		g_set_error(error, USERS_ERROR, USERS_ERROR_SYSTEM,
			"%s must belong to the user of carrel-authd and have mode 0700", folder);
		close(fd);
		return -1;
	}
	return fd;
}

static struct user *user_parse(const char *line)
{
	g_auto(GStrv) parts = g_strsplit(line, ":", 4);
	g_autofree char *canonical = NULL;
	const char *why;
	guint64 uid;

	if (g_strv_length(parts) != 4)
		return NULL;
	canonical = name_canonical(parts[0], TRUE, &why);
	if (!canonical || strcmp(canonical, parts[0]) != 0 || !g_str_has_prefix(parts[1], "$y$") ||
		!name_full_valid(parts[3]) ||
		!g_ascii_string_to_unsigned(parts[2], 10, 1, G_MAXINT32, &uid, NULL))
		return NULL;
	struct user *user = g_new0(struct user, 1);
	user->name = g_strdup(parts[0]);
	user->hash = g_strdup(parts[1]);
	user->uid = (guint32)uid;
	user->full_name = g_strdup(parts[3]);
	return user;
}

struct users *users_parse(const char *text)
{
	struct users *users = g_new0(struct users, 1);
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

	users->list = g_ptr_array_new_with_free_func(user_free);
	for (unsigned i = 0; lines[i]; i++) {
		struct user *user;

		if (!*lines[i])
			continue;
		user = user_parse(lines[i]);
		if (user && !users_find(users, user->name)) {
			g_ptr_array_add(users->list, user);
			continue;
		}
		user_free(user);
		if (!users->damaged)
			users->damaged = i + 1;
	}
	return users;
}

/* The whole of a file in the folder; an empty text when there is none. */
static char *file_read(int folder, const char *name, GError **error)
{
	g_autoptr(GString) text = g_string_new(NULL);
	int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	char buffer[8192];
	ssize_t n = 0;

	if (fd < 0 && errno == ENOENT)
		return g_string_free(g_steal_pointer(&text), FALSE);
	while (fd >= 0 && text->len < FILE_MAX_BYTES && (n = read(fd, buffer, sizeof(buffer))) > 0)
		g_string_append_len(text, buffer, n);
	if (fd < 0 || n < 0)
		fail(error, "read", name);
	else if (text->len >= FILE_MAX_BYTES || strlen(text->str) != text->len)
		g_set_error(
			error, USERS_ERROR, USERS_ERROR_DAMAGED, "%s is not a text of users", name);
	else
		n = 1;
	if (fd >= 0)
		close(fd);
	return n == 1 ? g_string_free(g_steal_pointer(&text), FALSE) : NULL;
}

/* Replaces a file: after a crash there is the old one or the new one, whole. */
static gboolean file_write(int folder, const char *name, const char *text, GError **error)
{
	g_autofree char *fresh = g_strconcat(name, ".new", NULL);
	int fd = openat(folder, fresh, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	size_t left = strlen(text);
	gboolean done = fd >= 0;

	for (const char *p = text; done && left;) {
		ssize_t n = write(fd, p, left);

		if (n < 0 && errno == EINTR)
			continue;
		done = n > 0;
		if (done) {
			p += n;
			left -= (size_t)n;
		}
	}
	done = done && fsync(fd) == 0 && renameat(folder, fresh, folder, name) == 0 &&
	       fsync(folder) == 0;
	if (!done)
		fail(error, "write", name);
	if (fd >= 0)
		close(fd);
	return done;
}

static struct users *load_at(int folder, GError **error)
{
	g_autofree char *text = file_read(folder, "users", error);

	return text ? users_parse(text) : NULL;
}

struct users *users_load(const char *folder, GError **error)
{
	int fd = folder_open(folder, error);
	struct users *users = fd < 0 ? NULL : load_at(fd, error);

	if (fd >= 0)
		close(fd);
	return users;
}

const struct user *users_find(const struct users *users, const char *name)
{
	for (guint i = 0; i < users->list->len; i++) {
		const struct user *user = users->list->pdata[i];

		if (!strcmp(user->name, name))
			return user;
	}
	return NULL;
}

/* A change in the making: the folder and its lock, and the list as it is. */
struct change {
	int folder, lock;
	struct users *users; /* owned */
};

static void change_end(struct change *change)
{
	users_free(change->users);
	/* Closing gives the lock back. */
	if (change->lock >= 0)
		close(change->lock);
	if (change->folder >= 0)
		close(change->folder);
}

static gboolean change_begin(struct change *change, const char *folder, GError **error)
{
	*change = (struct change){.folder = folder_open(folder, error), .lock = -1};
	if (change->folder < 0)
		return FALSE;
	change->lock =
		openat(change->folder, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (change->lock < 0 || flock(change->lock, LOCK_EX) < 0)
		return fail(error, "lock", folder);
	change->users = load_at(change->folder, error);
	if (!change->users)
		return FALSE;
	if (change->users->damaged) {
		g_set_error(error, USERS_ERROR, USERS_ERROR_DAMAGED,
			"%s/users:%u: this line is no user; repair or remove it", folder,
			change->users->damaged);
		return FALSE;
	}
	return TRUE;
}

static gboolean change_write(struct change *change, GError **error)
{
	g_autoptr(GString) text = g_string_new(NULL);

	for (guint i = 0; i < change->users->list->len; i++) {
		const struct user *user = change->users->list->pdata[i];

		g_string_append_printf(
			text, "%s:%s:%u:%s\n", user->name, user->hash, user->uid, user->full_name);
	}
	return file_write(change->folder, "users", text->str, error);
}

/* Takes the next id for good. */
static gboolean uid_take(struct change *change, guint32 uid_min, guint32 *uid, GError **error)
{
	g_autofree char *text = file_read(change->folder, "next-uid", error);
	g_autofree char *next = NULL;
	guint64 number = 0;

	if (!text)
		return FALSE;
	if (*text && !g_ascii_string_to_unsigned(
			     g_strchomp(text), 10, 1, G_MAXINT32 - 1, &number, NULL)) {
		g_set_error(error, USERS_ERROR, USERS_ERROR_DAMAGED,
			"next-uid holds no user id; write one there that was never given");
		return FALSE;
	}
	number = MAX(number, uid_min);
	for (guint i = 0; i < change->users->list->len; i++) {
		const struct user *user = change->users->list->pdata[i];

		number = MAX(number, (guint64)user->uid + 1);
	}
	if (number >= UID_HOLE_FIRST && number <= UID_HOLE_LAST)
		number = UID_HOLE_LAST + 1;
	next = g_strdup_printf("%" G_GUINT64_FORMAT "\n", number + 1);
	*uid = (guint32)number;
	return file_write(change->folder, "next-uid", next, error);
}

gboolean users_add(const char *folder, guint32 uid_min, const char *name, const char *hash,
	const char *full_name, guint32 *uid, GError **error)
{
	struct change change;
	gboolean done = FALSE;

	if (change_begin(&change, folder, error)) {
		if (users_find(change.users, name)) {
			g_set_error(error, USERS_ERROR, USERS_ERROR_EXISTS,
				"the user %s exists already", name);
		} else if (uid_take(&change, uid_min, uid, error)) {
			struct user *user = g_new0(struct user, 1);

			user->name = g_strdup(name);
			user->hash = g_strdup(hash);
			user->full_name = g_strdup(full_name);
			user->uid = *uid;
			g_ptr_array_add(change.users->list, user);
			done = change_write(&change, error);
		}
	}
	change_end(&change);
	return done;
}

/* Replaces the hash, or removes the user when `hash` is NULL. */
static gboolean change_user(const char *folder, const char *name, const char *hash, GError **error)
{
	struct change change;
	gboolean done = FALSE;

	if (change_begin(&change, folder, error)) {
		guint i = 0;

		while (i < change.users->list->len &&
			strcmp(((struct user *)change.users->list->pdata[i])->name, name) != 0)
			i++;
		if (i == change.users->list->len) {
			g_set_error(error, USERS_ERROR, USERS_ERROR_UNKNOWN, "there is no user %s",
				name);
		} else {
			struct user *user = change.users->list->pdata[i];

			if (hash) {
				g_free(user->hash);
				user->hash = g_strdup(hash);
			} else {
				g_ptr_array_remove_index(change.users->list, i);
			}
			done = change_write(&change, error);
		}
	}
	change_end(&change);
	return done;
}

gboolean users_set_hash(const char *folder, const char *name, const char *hash, GError **error)
{
	return change_user(folder, name, hash, error);
}

gboolean users_del(const char *folder, const char *name, GError **error)
{
	return change_user(folder, name, NULL, error);
}
