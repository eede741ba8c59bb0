/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/shared/msg.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LISTEN_FD_FIRST 3

G_DEFINE_QUARK(carrel - msg - error, msg_error)

static gboolean address_set(struct sockaddr_un *address, const char *path, GError **error)
{
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(address->sun_path)) {
		g_set_error(error, MSG_ERROR, MSG_ERROR_SIZE,
			"the socket path %s is longer than %zu bytes", path,
			sizeof(address->sun_path) - 1);
		return FALSE;
	}
	memcpy(address->sun_path, path, strlen(path));
	return TRUE;
}

static int fail_errno(int fd, const char *what, const char *path, GError **error)
{
	int saved = errno;

	if (fd >= 0)
		close(fd);
	g_set_error(error, MSG_ERROR, MSG_ERROR_SYSTEM, "%s %s: %s", what, path, g_strerror(saved));
	return -1;
}

int msg_connect(const char *path, GError **error)
{
	struct sockaddr_un address;
	int fd;

	if (!address_set(&address, path, error))
		return -1;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return fail_errno(fd, "cannot connect to", path, error);
	return fd;
}

/* systemd's protocol for handed-over sockets, sd_listen_fds(3): one socket, number 3. */
static int listen_inherited(void)
{
	const char *pid = g_getenv("LISTEN_PID");
	const char *fds = g_getenv("LISTEN_FDS");

	if (!pid || !fds || atol(pid) != (long)getpid() || atoi(fds) != 1)
		return -1;
	/* Children of ours must take neither the socket nor the variables for their own. */
	fcntl(LISTEN_FD_FIRST, F_SETFD, FD_CLOEXEC);
	g_unsetenv("LISTEN_PID");
	g_unsetenv("LISTEN_FDS");
	g_unsetenv("LISTEN_FDNAMES");
	return LISTEN_FD_FIRST;
}

/* Removes the socket that an ended process left behind, and nothing else. */
static gboolean old_socket_remove(
	const char *path, const struct sockaddr_un *address, GError **error)
{
	struct stat status;
	int fd;

	if (lstat(path, &status) < 0)
		return TRUE;
	if (!S_ISSOCK(status.st_mode)) {
		g_set_error(error, MSG_ERROR, MSG_ERROR_SYSTEM,
			"%s is in the way and not a socket; move it away", path);
		return FALSE;
	}
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	gboolean alive =
		fd >= 0 && (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ||
				   errno == EAGAIN);
	if (fd >= 0)
		close(fd);
	if (alive) {
		g_set_error(error, MSG_ERROR, MSG_ERROR_SYSTEM,
			"another process serves %s; stop it first", path);
		return FALSE;
	}
	unlink(path);
	return TRUE;
}

int msg_listen(const char *path, mode_t mode, gid_t gid, GError **error)
{
	struct sockaddr_un address;
	int fd = listen_inherited();

	if (fd >= 0)
		return fd;
	if (!address_set(&address, path, error))
		return -1;
	if (!old_socket_remove(path, &address, error))
		return -1;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return fail_errno(fd, "cannot make a socket for", path, error);
	/* Nobody may connect before mode and group are as asked. */
	mode_t old = umask(0177);
	int bound = bind(fd, (struct sockaddr *)&address, sizeof(address));
	umask(old);
	if (bound < 0)
		return fail_errno(fd, "cannot bind", path, error);
	if (gid != (gid_t)-1 && chown(path, (uid_t)-1, gid) < 0)
		return fail_errno(fd, "cannot give the group to", path, error);
	if (chmod(path, mode) < 0 || listen(fd, 16) < 0)
		return fail_errno(fd, "cannot listen on", path, error);
	return fd;
}

/* A message may hold a password: its bytes do not outlive it. */
static void text_wipe(char **text)
{
	if (*text)
		explicit_bzero(*text, strlen(*text));
	/* json_dumps uses malloc, which g_free matches since GLib 2.46. */
	g_free(*text);
}

gboolean msg_send(int fd, const json_t *message, GError **error)
{
	__attribute__((cleanup(text_wipe))) char *text = json_dumps(message, JSON_COMPACT);

	if (!text || strlen(text) > MSG_MAX) {
		g_set_error(error, MSG_ERROR, MSG_ERROR_SIZE, "a message is larger than %d bytes",
			MSG_MAX);
		return FALSE;
	}
	for (;;) {
		if (send(fd, text, strlen(text), MSG_NOSIGNAL) >= 0)
			return TRUE;
		if (errno == EINTR)
			continue;
		if (errno == EAGAIN)
			g_set_error(error, MSG_ERROR, MSG_ERROR_AGAIN, "the socket is full");
		else if (errno == EPIPE || errno == ECONNRESET)
			g_set_error(
				error, MSG_ERROR, MSG_ERROR_CLOSED, "the other side has closed");
		else
			fail_errno(-1, "cannot send", "a message", error);
		return FALSE;
	}
}

json_t *msg_parse(const char *text, gsize length, GError **error)
{
	json_error_t problem = {.text = ""};
	json_t *message = json_loadb(text, length, JSON_REJECT_DUPLICATES, &problem);

	if (json_is_object(message))
		return message;
	g_set_error(error, MSG_ERROR, MSG_ERROR_FORMAT, "a message is not a JSON object: %s",
		message ? "wrong type" : problem.text);
	json_decref(message);
	return NULL;
}

json_t *msg_recv(int fd, GError **error)
{
	g_autofree char *buffer = g_malloc(MSG_MAX + 1);
	ssize_t n;

	do
		n = recv(fd, buffer, MSG_MAX + 1, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN) {
		g_set_error(error, MSG_ERROR, MSG_ERROR_AGAIN, "nothing to read");
		return NULL;
	}
	if (n == 0 || (n < 0 && errno == ECONNRESET)) {
		g_set_error(error, MSG_ERROR, MSG_ERROR_CLOSED, "the other side has closed");
		return NULL;
	}
	if (n < 0) {
		fail_errno(-1, "cannot receive", "a message", error);
		return NULL;
	}
	if (n > MSG_MAX) {
		g_set_error(error, MSG_ERROR, MSG_ERROR_SIZE, "a message is larger than %d bytes",
			MSG_MAX);
		return NULL;
	}
	json_t *message = msg_parse(buffer, (gsize)n, error);
	explicit_bzero(buffer, (gsize)n);
	return message;
}

json_t *msg_ok(json_int_t id)
{
	return json_pack("{s:I, s:b}", "id", id, "ok", 1);
}

json_t *msg_fail(json_int_t id, const char *code, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	g_autofree char *message = g_strdup_vprintf(format, ap);
	va_end(ap);
	/* libvirt's and PAM's texts may be in any locale; what is not UTF-8 is replaced. */
	g_autofree char *clean = g_utf8_make_valid(message, -1);
	return json_pack("{s:I, s:b, s:s, s:s}", "id", id, "ok", 0, "code", code, "message", clean);
}

uid_t msg_peer_uid(int fd)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return (uid_t)-1;
	return peer.uid;
}
