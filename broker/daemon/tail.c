/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/daemon/tail.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/shared/log.h"

struct tail {
	char *path;
	tail_line_fn line;
	gpointer data;
	int inotify, file; /* -1: not open */
	guint source;
	gint64 offset;    /* of what was read */
	GString *rest;    /* of a line whose end is not there yet */
	gboolean passing; /* until the end of a line that is too long */
	gboolean refused; /* it was said that the file cannot be opened */
};

static void take_line(struct tail *tail, char *text, gsize length)
{
	if (!tail->passing && tail->rest->len + length <= TAIL_LINE_MAX) {
		g_string_append_len(tail->rest, text, (gssize)length);
		if (!memchr(tail->rest->str, '\0', tail->rest->len))
			tail->line(tail->rest->str, tail->data);
	}
	g_string_truncate(tail->rest, 0);
	tail->passing = FALSE;
}

static void take(struct tail *tail, char *bytes, gsize length)
{
	char *end;
	while ((end = memchr(bytes, '\n', length))) {
		take_line(tail, bytes, (gsize)(end - bytes));
		length -= (gsize)(end + 1 - bytes);
		bytes = end + 1;
	}
	if (tail->rest->len + length > TAIL_LINE_MAX)
		tail->passing = TRUE;
	else
		g_string_append_len(tail->rest, bytes, (gssize)length);
}

static void read_on(struct tail *tail)
{
	char bytes[16384];
	struct stat about;
	ssize_t length;
	if (tail->file < 0)
		return;
	if (fstat(tail->file, &about) == 0 && about.st_size < tail->offset) {
		tail->offset = 0; /* it was cut */
		g_string_truncate(tail->rest, 0);
	}
	while ((length = pread(tail->file, bytes, sizeof bytes, tail->offset)) > 0) {
		tail->offset += length;
		take(tail, bytes, (gsize)length);
	}
}

/* A file that is not there yet is nothing to speak of. */
static void open_file(struct tail *tail)
{
	tail->file = open(tail->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (tail->file < 0 && errno != ENOENT && !tail->refused) {
		log_event(LOG_WARN, "log-unread", "file", tail->path, "reason", g_strerror(errno),
			"hint", "systemd-tmpfiles --create gives it its mode", NULL);
		tail->refused = TRUE;
	}
}

static void close_file(struct tail *tail)
{
	if (tail->file >= 0)
		close(tail->file);
	tail->file = -1;
	tail->offset = 0;
	g_string_truncate(tail->rest, 0);
	tail->passing = FALSE;
}

/* Another file may have the name now: what the old one still got is read first. */
static void look(struct tail *tail)
{
	struct stat mine, named;
	read_on(tail);
	if (tail->file >= 0 && (fstat(tail->file, &mine) < 0 || stat(tail->path, &named) < 0 ||
				       mine.st_ino != named.st_ino || mine.st_dev != named.st_dev))
		close_file(tail);
	if (tail->file < 0) {
		open_file(tail);
		read_on(tail);
	}
}

static gboolean on_change(int fd, GIOCondition condition, gpointer data)
{
	char events[4096];
	(void)condition;
	while (read(fd, events, sizeof events) > 0)
		; /* which of the folder's files it was does not matter */
	look(data);
	return G_SOURCE_CONTINUE;
}

struct tail *tail_new(const char *path, tail_line_fn line, gpointer data, GError **error)
{
	g_autofree char *folder = g_path_get_dirname(path);
	int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (fd < 0 || inotify_add_watch(fd, folder, IN_MODIFY | IN_CREATE | IN_MOVED_TO) < 0) {
		int cause = errno;
		if (fd >= 0)
			close(fd);
		g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(cause),
			"%s cannot be watched: %s", folder, g_strerror(cause));
		return NULL;
	}
	struct tail *tail = g_new0(struct tail, 1);
	tail->path = g_strdup(path);
	tail->line = line;
	tail->data = data;
	tail->inotify = fd;
	tail->rest = g_string_new(NULL);
	open_file(tail);
	if (tail->file >= 0)
		tail->offset = lseek(tail->file, 0, SEEK_END);
	tail->source = g_unix_fd_add(fd, G_IO_IN, on_change, tail);
	return tail;
}

void tail_free(struct tail *tail)
{
	if (!tail)
		return;
	g_source_remove(tail->source);
	close_file(tail);
	close(tail->inotify);
	g_string_free(tail->rest, TRUE);
	g_free(tail->path);
	g_free(tail);
}
