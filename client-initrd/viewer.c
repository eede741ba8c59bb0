/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "client-initrd/viewer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/kd.h>
#include <linux/vt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define VIEWER "/usr/bin/carrel-viewer"
#define VIEWER_ID 900 /* user and group `viewer` of the image */
#define CONSOLE "/dev/tty1"
#define CAPABILITY_LAST 63

static const char *const allowed[] = {"dri/card", "fb0", "input/event"};

void viewer_allow_node(const char *node)
{
	char path[96];
	for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++) {
		if (strncmp(node, allowed[i], strlen(allowed[i])))
			continue;
		snprintf(path, sizeof path, "/dev/%.64s", node);
		if (!chown(path, 0, VIEWER_ID))
			chmod(path, 0660);
	}
}

static void allow_folder(const char *name)
{
	char path[64], node[96];
	snprintf(path, sizeof path, "/dev/%s", name);
	DIR *dir = opendir(path);
	if (!dir)
		return;
	for (struct dirent *entry; (entry = readdir(dir));) {
		snprintf(node, sizeof node, "%s/%.64s", name, entry->d_name);
		viewer_allow_node(node);
	}
	closedir(dir);
}

void viewer_allow_present(void)
{
	allow_folder("dri");
	allow_folder("input");
	viewer_allow_node("fb0");
}

static void set_console(long mode, int keyboard)
{
	int fd = open(CONSOLE, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return; /* a PC with a serial console alone */
	ioctl(fd, VT_ACTIVATE, 1);
	ioctl(fd, KDSETMODE, mode);
	ioctl(fd, KDSKBMODE, keyboard);
	close(fd);
}

void viewer_take_console(void)
{
	set_console(KD_GRAPHICS, K_OFF);
}

void viewer_return_console(void)
{
	set_console(KD_TEXT, K_UNICODE);
}

/* A session of its own whose terminal is the console: the viewer may then use its KD ioctls. */
static void open_terminal(void)
{
	int out = open("/dev/console", O_WRONLY | O_NOCTTY);
	setsid();
	int in = open(CONSOLE, O_RDWR);
	if (in < 0)
		in = open("/dev/null", O_RDWR);
	else
		ioctl(in, TIOCSCTTY, 1);
	dup2(in, STDIN_FILENO);
	dup2(out >= 0 ? out : in, STDOUT_FILENO);
	dup2(out >= 0 ? out : in, STDERR_FILENO);
	if (in > STDERR_FILENO)
		close(in);
	if (out > STDERR_FILENO)
		close(out);
}

static bool drop_privilege(void)
{
	for (int capability = 0; capability <= CAPABILITY_LAST; capability++)
		prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || setgroups(0, NULL) < 0 ||
		setresgid(VIEWER_ID, VIEWER_ID, VIEWER_ID) < 0 ||
		setresuid(VIEWER_ID, VIEWER_ID, VIEWER_ID) < 0)
		return false;
	return setuid(0) < 0; /* there is no way back */
}

static void run(const struct boot *boot)
{
	char address[16], broker[64];
	static char *const environment[] = {"HOME=/run/carrel/viewer", "PATH=/usr/bin:/bin",
		"LANG=C.UTF-8", "TERM=linux", "XDG_RUNTIME_DIR=/run/carrel/viewer", NULL};
	snprintf(broker, sizeof broker, "https://%s:%u", params_ipv4(boot->params.server, address),
		boot->params.broker);
	char *const arguments[] = {VIEWER, "--broker", broker, "--ca", "/etc/carrel/ca.crt",
		"--seat", (char *)boot->mac, "--boot-report", BOOT_STAGES_FILE, "--console", NULL};
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	open_terminal();
	if (!drop_privilege()) {
		fprintf(stderr, "carrel-root-init: privilege could not be dropped: %s\n",
			strerror(errno));
		_exit(126);
	}
	execve(VIEWER, arguments, environment);
	fprintf(stderr, "carrel-root-init: " VIEWER ": %s\n", strerror(errno));
	_exit(127);
}

pid_t viewer_start(const struct boot *boot)
{
	mkdir("/run/carrel/viewer", 0700);
	if (chown("/run/carrel/viewer", VIEWER_ID, VIEWER_ID) < 0)
		return -errno;
	pid_t viewer = fork();
	if (viewer == 0) {
		run(boot);
		_exit(127);
	}
	return viewer < 0 ? -errno : viewer;
}
