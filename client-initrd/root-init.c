/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * /sbin/init of the client's root: loads the drivers of screen and keyboard, keeps the DHCP lease,
 * and runs the viewer, without privilege, again whenever it ends; by the status with which it ends
 * the viewer can ask for the PC to be switched off, or to boot again. This is the only program with
 * privilege on the PC, and nothing else that comes over the network reaches it but DHCP answers and
 * drivers whose sum the verified root has.
 *
 * One process (dhcpc_keep) renews the lease, one gives drivers their firmware, one shows the
 * failure page when the viewer does not live; this one waits for signals (a child has ended), for
 * uevents (a device has come) and for the moment of the next start.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "client-initrd/boot.h"
#include "client-initrd/dhcpc.h"
#include "client-initrd/display.h"
#include "client-initrd/drivers.h"
#include "client-initrd/firmware.h"
#include "client-initrd/modules.h"
#include "client-initrd/power.h"
#include "client-initrd/report.h"
#include "client-initrd/screen.h"
#include "client-initrd/uevent.h"
#include "client-initrd/util.h"
#include "client-initrd/viewer.h"

#define GOOD_LIFE_MS 10000 /* a viewer that lived this long works */
#define SHORT_LIVES 3      /* so many short lives in a row are shown to the person */
#define RESTART_MS 500
#define PANIC_S "10" /* to read the kernel's last words */
#define READING_S 5  /* a message that the viewer will cover */

struct supervisor {
	struct boot boot;
	struct modules modules;
	struct drivers drivers;
	int events, signals;
	pid_t lease, firmware, viewer, page; /* 0: not running */
	int64_t started_ms, next_ms;
	unsigned short_lives;
	bool left_alone; /* a driver with which boots have ended */
	bool unheard;    /* the broker does not answer: it is not waited for again */
};

/* The broker is told which driver is next: should the PC crash with it, its next boot leaves that
 * alone. */
static int fetch_module(void *context, const char *path, char **content, size_t *size)
{
	struct supervisor *self = context;
	char name[sizeof DRIVERS_MODULES + 256], module[64];
	snprintf(name, sizeof name, DRIVERS_MODULES "%.256s", path);
	int error = drivers_get(&self->drivers, name, content, size);
	if (error)
		return error;
	const char *file = strrchr(name, '/') + 1;
	snprintf(module, sizeof module, "%.*s", (int)strcspn(file, "."), file);
	enum report_answer answer =
		self->unheard ? REPORT_NO_ANSWER : report_driver(&self->boot, module);
	self->unheard = answer == REPORT_NO_ANSWER;
	if (answer != REPORT_LEAVE_ALONE) {
		screen_say("driver %s, %zu kB", file, (*size + 999) / 1000);
		return 0;
	}
	free(*content);
	*content = NULL;
	drivers_lacks(&self->drivers, name, "left alone, as two boots have ended with it");
	self->left_alone = true;
	return -ECANCELED;
}

static void start_firmware(struct supervisor *self)
{
	pid_t child = firmware_start(&self->drivers);
	self->firmware = child > 0 ? child : 0;
	if (child < 0)
		screen_say("drivers will have no firmware: %s", strerror(-child));
}

static void open_drivers(struct supervisor *self)
{
	int error = modules_open_running(&self->modules);
	if (error)
		screen_say("no kernel modules: %s", strerror(-error));
	error = drivers_open(&self->drivers, DRIVERS_INDEX, &self->boot.params);
	if (error) {
		screen_say(DRIVERS_INDEX ": %s", strerror(-error));
		return;
	}
	self->modules.absent = fetch_module;
	self->modules.context = self;
	start_firmware(self);
}

static void set_up(struct supervisor *self)
{
	sigset_t children;
	reboot(RB_DISABLE_CAD);
	util_set("/proc/sys/kernel/sysrq", "0");
	/* What a driver that has crashed holds it holds for ever, the screen perhaps: the PC boots
	 * again. */
	util_set("/proc/sys/kernel/panic_on_oops", "1");
	util_set("/proc/sys/kernel/panic", PANIC_S);
	mkdir("/dev/shm", 01777);
	mount("shm", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777,size=64m");
	mount("tmp", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777,size=32m");
	if (sethostname("carrel-client", 13) < 0)
		screen_say("host name: %s", strerror(errno));
	sigemptyset(&children);
	sigaddset(&children, SIGCHLD);
	sigprocmask(SIG_BLOCK, &children, NULL);
	signal(SIGPIPE, SIG_IGN);
	self->signals = signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
	self->events = uevent_open();
	params_load(&self->boot.params);
	int error = dhcpc_restore(&self->boot, BOOT_NETWORK_FILE);
	if (error)
		screen_say(BOOT_NETWORK_FILE ": %s: the address will not be renewed",
			strerror(-error));
	open_drivers(self);
}

/* For the person in front of a PC that has no screen to go on with; it returns for another try. */
static void tell_no_screen(struct supervisor *self, unsigned failures)
{
	boot_fail(&self->boot, BOOT_NO_SCREEN, "%s", self->drivers.state->problem);
	report_stage(&self->boot, "failed", 0, boot_code_name(BOOT_NO_SCREEN));
	screen_failure(&self->boot, BOOT_NO_SCREEN, screen_backoff(failures));
	drivers_retry(&self->drivers);
}

/*
 * A driver that failed has perhaps taken the firmware's screen away: then there is none. Where that
 * is there still, the PC goes on with it, and says so.
 */
static void load_screen(struct supervisor *self)
{
	const struct drivers_state *state = self->drivers.state;
	for (unsigned failures = 1;; failures++) {
		display_probe();
		modules_coldplug(&self->modules, NULL);
		if (!state || !state->problem[0])
			return;
		if (display_present())
			break;
		tell_no_screen(self, failures);
	}
	if (!state->failed_ms && !self->left_alone)
		return; /* some firmware that the site does not have */
	struct timespec reading = {.tv_sec = READING_S};
	screen_say("%s", state->problem);
	screen_say("this PC goes on without it");
	nanosleep(&reading, NULL);
}

/* `evdev` is asked for by no device; the rest is found by what the PC has. */
static void load_drivers(struct supervisor *self)
{
	const struct drivers_state *state = self->drivers.state;
	modules_load(&self->modules, "evdev");
	load_screen(self);
	viewer_allow_present();
	report_stage(&self->boot, "drivers", state ? state->bytes : 0,
		state && state->problem[0] ? state->problem : NULL);
}

static pid_t start_lease(struct supervisor *self)
{
	if (!self->boot.lease.address)
		return 0;
	pid_t child = fork();
	if (child == 0)
		dhcpc_keep(&self->boot);
	return child > 0 ? child : 0;
}

static void start_viewer(struct supervisor *self)
{
	self->started_ms = util_now_ms();
	viewer_take_console();
	pid_t viewer = viewer_start(&self->boot);
	self->viewer = viewer > 0 ? viewer : 0;
	if (!self->viewer) {
		boot_fail(&self->boot, BOOT_NO_VIEWER, "fork: %s", strerror(-viewer));
		self->next_ms = self->started_ms + 1000;
	}
}

/* The page runs in a process of its own and ends when it is time, or at a key. */
static void show_page(struct supervisor *self)
{
	unsigned times = self->short_lives - SHORT_LIVES + 1;
	report_stage(&self->boot, "failed", 0, boot_code_name(BOOT_NO_VIEWER));
	viewer_return_console();
	self->page = fork();
	if (self->page == 0) {
		screen_open();
		screen_failure(&self->boot, BOOT_NO_VIEWER, screen_backoff(times));
		_exit(0);
	}
	if (self->page < 0)
		self->page = 0;
}

/* Nothing of this PC has to be written anywhere. It comes back when the kernel refuses. */
static void leave(const struct supervisor *self, int how)
{
	viewer_return_console();
	screen_open();
	screen_say(how == RB_POWER_OFF ? "switching off" : "booting again");
	screen_close();
	if (self->lease > 0)
		kill(self->lease, SIGTERM);
	reboot(how);
}

static void viewer_ended(struct supervisor *self, int status)
{
	int64_t now = util_now_ms();
	self->viewer = 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == VIEWER_POWER_OFF)
		leave(self, RB_POWER_OFF);
	else if (WIFEXITED(status) && WEXITSTATUS(status) == VIEWER_REBOOT)
		leave(self, RB_AUTOBOOT);
	if (WIFSIGNALED(status))
		boot_fail(
			&self->boot, BOOT_NO_VIEWER, "it was ended by signal %d", WTERMSIG(status));
	else
		boot_fail(&self->boot, BOOT_NO_VIEWER, "it ended with status %d after %lld ms",
			WEXITSTATUS(status), (long long)(now - self->started_ms));
	if (now - self->started_ms >= GOOD_LIFE_MS)
		self->short_lives = 0;
	else
		self->short_lives++;
	self->next_ms = now + RESTART_MS * (self->short_lives + 1);
	if (self->short_lives >= SHORT_LIVES)
		show_page(self);
}

static void bury(struct supervisor *self)
{
	struct signalfd_siginfo information;
	int status;
	while (read(self->signals, &information, sizeof information) > 0) {
	}
	for (pid_t dead; (dead = waitpid(-1, &status, WNOHANG)) > 0;) {
		if (dead == self->viewer)
			viewer_ended(self, status);
		else if (dead == self->page)
			self->page = 0, self->next_ms = 0;
		else if (dead == self->lease)
			self->lease = start_lease(self);
		else if (dead == self->firmware)
			start_firmware(self);
	}
}

static void devices(struct supervisor *self)
{
	struct uevent event;
	while (uevent_next(self->events, &event)) {
		if (!event.add)
			continue;
		if (event.modalias[0])
			modules_load_alias(&self->modules, event.modalias, NULL);
		if (event.node[0])
			viewer_allow_node(event.node);
	}
}

static void wait_for_something(struct supervisor *self)
{
	struct pollfd wait[2] = {
		{.fd = self->signals, .events = POLLIN}, {.fd = self->events, .events = POLLIN}};
	int timeout = -1;
	if (!self->viewer && !self->page) {
		int64_t left = self->next_ms - util_now_ms();
		timeout = left > 0 ? (int)left : 0;
	}
	poll(wait, 2, timeout);
}

int main(void)
{
	static struct supervisor self;
	if (getpid() != 1) {
		fprintf(stderr, "carrel-root-init: this is the /sbin/init of a Carrel client; it "
				"runs as process 1 of a PC that was booted from the network\n");
		return 2;
	}
	screen_open();
	set_up(&self);
	load_drivers(&self);
	self.lease = start_lease(&self);
	screen_say("starting the viewer");
	screen_close();
	report_stage(&self.boot, "viewer", 0, NULL);
	for (;;) {
		if (!self.viewer && !self.page && util_now_ms() >= self.next_ms)
			start_viewer(&self);
		wait_for_something(&self);
		devices(&self);
		bury(&self);
	}
}
