/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "images/agent/agent_x.h"
#include "images/agent/agent_proc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xcb/screensaver.h>
#include <xcb/xcbext.h>

#define XORG "/usr/lib/xorg/Xorg"
#define LOG_FILE "/run/carrel/Xorg.log"
#define COOKIE_NAME "MIT-MAGIC-COOKIE-1"
#define FAMILY_WILD 0xffff

void agent_x_init(struct agent_x *x, const char *authority)
{
	memset(x, 0, sizeof(*x));
	x->pid = -1;
	x->ready_fd = -1;
	x->fd = -1;
	snprintf(x->authority, sizeof(x->authority), "%s", authority);
}

static size_t put16(unsigned char *at, size_t value)
{
	at[0] = (unsigned char)(value >> 8);
	at[1] = (unsigned char)value;
	return 2;
}

static size_t put_counted(unsigned char *at, const void *data, size_t size)
{
	put16(at, size);
	memcpy(at + 2, data, size);
	return 2 + size;
}

/* Format: Xau(3): family, address, display number, name of the protocol, data. */
bool agent_x_write_authority(const struct agent_x *x, const char *path, uid_t uid, gid_t gid)
{
	unsigned char entry[64];
	size_t n = put16(entry, FAMILY_WILD);
	bool ok;
	int fd;

	n += put_counted(entry + n, "", 0);
	n += put_counted(entry + n, "0", 1);
	n += put_counted(entry + n, COOKIE_NAME, strlen(COOKIE_NAME));
	n += put_counted(entry + n, x->cookie, sizeof(x->cookie));
	(void)unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return false;
	ok = write(fd, entry, n) == (ssize_t)n && fchown(fd, uid, gid) == 0;
	close(fd);
	return ok;
}

bool agent_x_start(struct agent_x *x)
{
	int pipes[2];
	char number[16];
	char *arguments[] = {XORG, AGENT_X_DISPLAY, "vt1", "-nolisten", "tcp", "-noreset",
		"-novtswitch", "-keeptty", "-br", "-auth", x->authority, "-logfile", LOG_FILE,
		"-displayfd", number, NULL};
	char *environment[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C", NULL};

	if (getrandom(x->cookie, sizeof(x->cookie), 0) != (ssize_t)sizeof(x->cookie) ||
		!agent_x_write_authority(x, x->authority, 0, 0) || pipe2(pipes, O_CLOEXEC))
		return false;
	snprintf(number, sizeof(number), "%d", pipes[1]);
	x->pid = agent_proc_run(arguments, environment, pipes[1]);
	close(pipes[1]);
	x->ready_fd = pipes[0];
	return x->pid > 0;
}

void agent_x_reason(char *text, size_t size)
{
	FILE *log = fopen(LOG_FILE, "re");
	char line[160];

	snprintf(text, size, "it has left no word");
	while (log && fgets(line, sizeof(line), log)) {
		line[strcspn(line, "\n")] = '\0';
		const char *error = strstr(line, "(EE) ");
		if (error && error[5])
			snprintf(text, size, "%s", error + 5);
	}
	if (log)
		fclose(log);
}

static xcb_atom_t intern(xcb_connection_t *connection, const char *name)
{
	xcb_intern_atom_reply_t *reply = xcb_intern_atom_reply(
		connection, xcb_intern_atom(connection, 0, (uint16_t)strlen(name), name), NULL);
	xcb_atom_t atom = reply ? reply->atom : XCB_ATOM_NONE;

	free(reply);
	return atom;
}

/*
 * What the server has made of the image's configuration: the property is five texts, each with its
 * end: rules, model, layout, variant, options (xkeyboard-config, "How to further enhance").
 */
static void read_keyboard(struct agent_x *x)
{
	xcb_atom_t names = intern(x->connection, "_XKB_RULES_NAMES");
	xcb_get_property_reply_t *reply = xcb_get_property_reply(x->connection,
		xcb_get_property(x->connection, 0, x->root, names, XCB_ATOM_STRING, 0, 256), NULL);
	const char *at = reply ? xcb_get_property_value(reply) : "";
	size_t left = reply ? (size_t)xcb_get_property_value_length(reply) : 0;
	char *const fields[] = {NULL, NULL, x->layout, x->variant};

	x->layout[0] = x->variant[0] = '\0';
	for (unsigned i = 0; i < 4; i++) {
		size_t length = strnlen(at, left);

		if (length == left)
			break;
		if (fields[i] && length < sizeof(x->layout))
			memcpy(fields[i], at, length + 1);
		at += length + 1;
		left -= length + 1;
	}
	free(reply);
}

bool agent_x_connect(struct agent_x *x)
{
	const uint32_t mask = XCB_EVENT_MASK_PROPERTY_CHANGE | XCB_EVENT_MASK_SUBSTRUCTURE_NOTIFY;
	xcb_auth_info_t auth = {
		.namelen = (int)strlen(COOKIE_NAME),
		.name = COOKIE_NAME,
		.datalen = sizeof(x->cookie),
		.data = (char *)x->cookie,
	};

	close(x->ready_fd);
	x->ready_fd = -1;
	x->connection = xcb_connect_to_display_with_auth_info(AGENT_X_DISPLAY, &auth, NULL);
	if (xcb_connection_has_error(x->connection)) {
		xcb_disconnect(x->connection);
		x->connection = NULL;
		return false;
	}
	x->fd = xcb_get_file_descriptor(x->connection);
	(void)fcntl(x->fd, F_SETFD, FD_CLOEXEC);
	x->root = xcb_setup_roots_iterator(xcb_get_setup(x->connection)).data->root;
	x->wm_check = intern(x->connection, "_NET_SUPPORTING_WM_CHECK");
	x->client_list = intern(x->connection, "_NET_CLIENT_LIST");
	x->type = intern(x->connection, "_NET_WM_WINDOW_TYPE");
	x->type_desktop = intern(x->connection, "_NET_WM_WINDOW_TYPE_DESKTOP");
	x->type_dock = intern(x->connection, "_NET_WM_WINDOW_TYPE_DOCK");
	read_keyboard(x);
	(void)xcb_get_extension_data(x->connection, &xcb_screensaver_id);
	xcb_change_window_attributes(x->connection, x->root, XCB_CW_EVENT_MASK, &mask);
	xcb_flush(x->connection);
	return true;
}

void agent_x_stop(struct agent_x *x)
{
	if (x->pid <= 0)
		return;
	x->stopping = true;
	(void)kill(x->pid, SIGTERM);
}

void agent_x_clear(struct agent_x *x)
{
	if (x->connection)
		xcb_disconnect(x->connection);
	if (x->ready_fd >= 0)
		close(x->ready_fd);
	x->connection = NULL;
	x->fd = -1;
	x->ready_fd = -1;
	x->pid = -1;
	x->stopping = x->clients_asked = x->idle_asked = false;
	x->types_asked = 0;
	agent_x_expect_session(x);
}

void agent_x_expect_session(struct agent_x *x)
{
	x->mapped = 0;
	x->wm_running = x->background = x->panel = x->drawn = false;
}

static void forget_types(struct agent_x *x)
{
	while (x->types_asked > 0)
		xcb_discard_reply(x->connection, x->types_sequence[--x->types_asked]);
}

/* The answer is looked for in agent_x_events(). */
static void ask_clients(struct agent_x *x)
{
	if (x->clients_asked)
		xcb_discard_reply(x->connection, x->clients_sequence);
	forget_types(x);
	x->clients_sequence = xcb_get_property(
		x->connection, 0, x->root, x->client_list, XCB_ATOM_WINDOW, 0, AGENT_X_CLIENTS_MAX)
				      .sequence;
	x->clients_asked = xcb_flush(x->connection) > 0;
}

static void ask_types(struct agent_x *x, const xcb_window_t *windows, unsigned count)
{
	while (x->types_asked < count) {
		x->types_sequence[x->types_asked] = xcb_get_property(
			x->connection, 0, windows[x->types_asked], x->type, XCB_ATOM_ATOM, 0, 1)
							    .sequence;
		x->types_asked++;
	}
	xcb_flush(x->connection);
}

static void clients_answer(struct agent_x *x)
{
	void *reply = NULL;
	int size;

	if (!x->clients_asked ||
		!xcb_poll_for_reply(x->connection, x->clients_sequence, &reply, NULL))
		return;
	x->clients_asked = false;
	size = reply ? xcb_get_property_value_length(reply) : 0;
	if (size > 0 && x->desktop)
		ask_types(x, xcb_get_property_value(reply), (unsigned)size / sizeof(xcb_window_t));
	else if (size > 0)
		x->drawn = true;
	free(reply);
}

/* A window that is gone again has an error for an answer, which is none. Answers come in the order
 * of the questions, so those that are there are the first. */
static void types_answer(struct agent_x *x)
{
	unsigned n = 0;
	void *reply;

	while (n < x->types_asked) {
		xcb_generic_error_t *error = NULL;

		reply = NULL;
		if (!xcb_poll_for_reply(x->connection, x->types_sequence[n], &reply, &error))
			break;
		n++;
		if (reply && xcb_get_property_value_length(reply) >= (int)sizeof(xcb_atom_t)) {
			xcb_atom_t type;

			memcpy(&type, xcb_get_property_value(reply), sizeof(type));
			x->background = x->background || type == x->type_desktop;
			x->panel = x->panel || type == x->type_dock;
		}
		free(reply);
		free(error);
	}
	x->types_asked -= n;
	memmove(x->types_sequence, x->types_sequence + n,
		x->types_asked * sizeof(*x->types_sequence));
	x->drawn = x->drawn || (x->background && x->panel);
}

static void property_changed(struct agent_x *x, const xcb_property_notify_event_t *event)
{
	if (event->window != x->root)
		return;
	if (event->atom == x->wm_check)
		x->wm_running = event->state == XCB_PROPERTY_NEW_VALUE;
	else if (event->atom == x->client_list && x->wm_running && !x->drawn)
		ask_clients(x);
}

bool agent_x_events(struct agent_x *x)
{
	xcb_generic_event_t *event;

	while ((event = xcb_poll_for_event(x->connection))) {
		switch (event->response_type & 0x7f) {
		case XCB_PROPERTY_NOTIFY:
			property_changed(x, (const xcb_property_notify_event_t *)event);
			break;
		case XCB_MAP_NOTIFY:
			x->mapped += x->wm_running;
			break;
		default:
			break;
		}
		free(event);
	}
	clients_answer(x);
	types_answer(x);
	return !xcb_connection_has_error(x->connection);
}

bool agent_x_idle_ask(struct agent_x *x)
{
	const xcb_query_extension_reply_t *extension;

	if (!x->connection)
		return false;
	extension = xcb_get_extension_data(x->connection, &xcb_screensaver_id);
	if (!extension || !extension->present)
		return false;
	x->idle_sequence = xcb_screensaver_query_info(x->connection, x->root).sequence;
	x->idle_asked = xcb_flush(x->connection) > 0;
	return x->idle_asked;
}

bool agent_x_idle_answer(struct agent_x *x, int64_t *idle_ms)
{
	xcb_generic_error_t *error = NULL;
	void *reply = NULL;

	if (!x->idle_asked || !xcb_poll_for_reply(x->connection, x->idle_sequence, &reply, &error))
		return false;
	x->idle_asked = false;
	*idle_ms = -1;
	if (reply)
		*idle_ms = ((xcb_screensaver_query_info_reply_t *)reply)->ms_since_user_input;
	free(reply);
	free(error);
	return true;
}
