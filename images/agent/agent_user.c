/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "images/agent/agent_user.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#define SKEL_DEPTH_MAX 8

static bool fail(char *text, size_t size, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static bool fail(char *text, size_t size, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(text, size, format, args);
	va_end(args);
	return false;
}

/* Appends a line to etc/NAME; the file is whole on the way back, or the reason is in `text`. */
static bool append(const char *etc, const char *name, char *text, size_t size, const char *format,
	...) __attribute__((format(printf, 5, 6)));

static bool append(
	const char *etc, const char *name, char *text, size_t size, const char *format, ...)
{
	char path[512];
	va_list args;
	FILE *file;
	bool ok;

	snprintf(path, sizeof(path), "%s/%s", etc, name);
	file = fopen(path, "ae");
	if (!file)
		return fail(text, size, "%s cannot be written: %s", path, strerror(errno));
	va_start(args, format);
	ok = vfprintf(file, format, args) > 0;
	va_end(args);
	ok = fclose(file) == 0 && ok;
	return ok ? true : fail(text, size, "%s cannot be written: %s", path, strerror(errno));
}

enum presence { ABSENT, PRESENT, CONFLICT };

static enum presence find_user(const char *etc, const struct agent_user *user)
{
	enum presence presence = ABSENT;
	char path[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/passwd", etc);
	file = fopen(path, "re");
	for (struct passwd *p; file && presence != CONFLICT && (p = fgetpwent(file));) {
		bool name = strcmp(p->pw_name, user->name) == 0, uid = p->pw_uid == user->uid;

		if (name || uid)
			presence = name && uid ? PRESENT : CONFLICT;
	}
	if (file)
		fclose(file);
	return presence;
}

/* A group of the site may have the gid already ("users"); then there is nothing to add. */
static bool group_exists(const char *etc, gid_t gid)
{
	bool found = false;
	char path[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/group", etc);
	file = fopen(path, "re");
	for (struct group *g; file && !found && (g = fgetgrent(file));)
		found = g->gr_gid == gid;
	if (file)
		fclose(file);
	return found;
}

bool agent_user_add(const char *etc, const struct agent_user *user, char *text, size_t size)
{
	switch (find_user(etc, user)) {
	case PRESENT:
		return true;
	case CONFLICT:
		return fail(text, size, "the image has another user with the name %s or the uid %u",
			user->name, user->uid);
	case ABSENT:
		break;
	}
	if (!group_exists(etc, user->gid) &&
		!append(etc, "group", text, size, "%s:x:%u:\n", user->name, user->gid))
		return false;
	return append(etc, "shadow", text, size, "%s:!:19000::::::\n", user->name) &&
	       append(etc, "passwd", text, size, "%s:x:%u:%u:%s:%s:/bin/bash\n", user->name,
		       user->uid, user->gid, user->full_name, user->home);
}

static bool home_is_empty(const char *home)
{
	DIR *dir = opendir(home);
	bool empty = dir != NULL;

	for (struct dirent *e; empty && (e = readdir(dir));)
		empty = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
			strcmp(e->d_name, "lost+found") == 0;
	if (dir)
		closedir(dir);
	return empty;
}

static bool copy_file(int from_dir, int to_dir, const char *name, const struct stat *st,
	const struct agent_user *user)
{
	int from = openat(from_dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	int to = openat(to_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	bool ok = from >= 0 && to >= 0;
	ssize_t n = 1;

	while (ok && n > 0) {
		n = sendfile(to, from, NULL, 1 << 20);
		ok = n >= 0;
	}
	ok = ok && fchown(to, user->uid, user->gid) == 0 && fchmod(to, st->st_mode & 0777) == 0;
	if (from >= 0)
		close(from);
	if (to >= 0)
		close(to);
	return ok;
}

/* Files and directories only; consumes neither descriptor. */
static bool copy_below(int from_dir, int to_dir, const struct agent_user *user, int depth)
{
	DIR *dir = fdopendir(dup(from_dir));
	bool ok = dir && depth < SKEL_DEPTH_MAX;

	for (struct dirent *e; ok && (e = readdir(dir));) {
		struct stat st;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		ok = fstatat(from_dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0;
		if (ok && S_ISREG(st.st_mode)) {
			ok = copy_file(from_dir, to_dir, e->d_name, &st, user);
		} else if (ok && S_ISDIR(st.st_mode)) {
			int from, to;

			ok = mkdirat(to_dir, e->d_name, 0700) == 0;
			from = openat(from_dir, e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
			to = openat(
				to_dir, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
			ok = ok && from >= 0 && to >= 0 && copy_below(from, to, user, depth + 1) &&
			     fchown(to, user->uid, user->gid) == 0 &&
			     fchmod(to, st.st_mode & 0777) == 0;
			if (from >= 0)
				close(from);
			if (to >= 0)
				close(to);
		}
	}
	if (dir)
		closedir(dir);
	return ok;
}

static bool copy_skel(const char *skel, const struct agent_user *user, char *text, size_t size)
{
	int from = open(skel, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int to = open(user->home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool ok = from >= 0 && to >= 0 && copy_below(from, to, user, 0);

	if (!ok)
		fail(text, size, "the first files cannot be put into %s: %s", user->home,
			strerror(errno));
	if (from >= 0)
		close(from);
	if (to >= 0)
		close(to);
	return ok;
}

bool agent_user_home(const char *skel, const struct agent_user *user, char *text, size_t size)
{
	struct stat st;
	bool empty;

	if (stat(user->home, &st))
		return fail(text, size, "%s cannot be read: %s", user->home, strerror(errno));
	empty = home_is_empty(user->home);
	if (st.st_uid != user->uid && (st.st_uid != 0 || !empty))
		return fail(text, size, "the volume belongs to uid %u, the user has uid %u",
			st.st_uid, user->uid);
	if (st.st_uid != user->uid &&
		(chown(user->home, user->uid, user->gid) || chmod(user->home, 0700)))
		return fail(text, size, "%s cannot be given to the user: %s", user->home,
			strerror(errno));
	return !empty || copy_skel(skel, user, text, size);
}
