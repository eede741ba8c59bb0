/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * /init of the initramfs. PID 1 does next to nothing: it starts a worker, buries the dead, and
 * when the worker has mounted the root, switches to it. The worker walks through the steps and,
 * when one fails, shows why and begins again, for as long as it takes. So no fault in the code that
 * reads the network can end PID 1 (a kernel panic, a black screen), and there is no shell to fall
 * into: a PC in a room full of people is either a client or says what it lacks.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "client-initrd/boot.h"
#include "client-initrd/dhcpc.h"
#include "client-initrd/fetch.h"
#include "client-initrd/modules.h"
#include "client-initrd/net.h"
#include "client-initrd/report.h"
#include "client-initrd/root.h"
#include "client-initrd/screen.h"
#include "client-initrd/util.h"

#define IMAGE_FILE BOOT_IMAGE_DIR "/root"

/* USB and HID are for the "any key" of the failure page only: a good boot does not wait for them.
 */
static const char *const late_modules[] = {"/usb/", "/hid/", "/input/", NULL};

static struct modules modules;

static void mount_basics(void)
{
	mkdir("/proc", 0555);
	mkdir("/sys", 0555);
	mkdir("/dev", 0755);
	mkdir("/run", 0755);
	mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	mount("sys", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	mount("dev", "/dev", "devtmpfs", MS_NOSUID, "mode=0755");
	mount("run", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=16m");
	mkdir(BOOT_RUN, 0755);
}

static enum boot_code step_modules(struct boot *boot)
{
	modules_coldplug(&modules, late_modules);
	report_stage(boot, "modules", 0, NULL);
	return BOOT_OK;
}

static enum boot_code step_network(struct boot *boot)
{
	char address[16];
	enum boot_code code = net_up(boot);
	if (code == BOOT_OK)
		code = dhcpc_find(boot);
	if (code != BOOT_OK)
		return code;
	net_leave_others(boot);
	int error = dhcpc_apply(boot);
	if (!error)
		error = dhcpc_save(boot, BOOT_NETWORK_FILE);
	if (error)
		return boot_fail(boot, BOOT_NO_DHCP, "%s: the lease could not be used: %s",
			boot->interface, strerror(-error));
	screen_say("%s has %s", boot->interface, params_ipv4(boot->lease.address, address));
	report_stage(boot, "network", 0, NULL);
	return BOOT_OK;
}

static enum boot_code step_root(struct boot *boot)
{
	static struct fetch fetch;
	enum boot_code code = root_make_room(boot);
	if (code == BOOT_OK)
		code = fetch_image(&fetch, boot, &modules, IMAGE_FILE);
	if (code != BOOT_OK)
		return code;
	report_stage(boot, "fetch", fetch.done, NULL);
	code = fetch_verify(&fetch, boot);
	if (code != BOOT_OK)
		return code;
	screen_say("%s by %s is the published one", boot->params.root, fetch.source);
	report_stage(boot, "verify", 0, NULL);
	code = root_mount(boot, &modules, IMAGE_FILE);
	if (code == BOOT_OK)
		report_stage(boot, "root", 0, NULL);
	return code;
}

static enum boot_code attempt(struct boot *boot)
{
	memset(boot, 0, sizeof *boot);
	report_reset();
	const char *lacks = params_load(&boot->params);
	report_stage(boot, "kernel", 0, NULL);
	if (lacks)
		return boot_fail(boot, BOOT_NO_PARAM, "%s is missing or malformed", lacks);
	enum boot_code code = step_modules(boot);
	if (code == BOOT_OK)
		code = step_network(boot);
	return code == BOOT_OK ? step_root(boot) : code;
}

/* Ends with 0 when the new root is mounted; it never gives up. */
static void work(void)
{
	struct boot boot;
	int error = modules_open_running(&modules);
	screen_open();
	if (error)
		screen_say("no kernel modules: %s", strerror(-error));
	for (unsigned failures = 1;; failures++) {
		enum boot_code code = attempt(&boot);
		if (code == BOOT_OK)
			return;
		report_stage(&boot, "failed", 0, boot_code_name(code));
		root_unmount();
		modules_coldplug(&modules, NULL);
		screen_failure(&boot, code, screen_backoff(failures));
	}
}

/* Runs the worker and buries whoever dies meanwhile; true when the new root is ready. */
static bool run_worker(void)
{
	int status = -1;
	pid_t worker = fork();
	if (worker == 0) {
		work();
		_exit(0);
	}
	for (;;) {
		int dead_status;
		pid_t dead = waitpid(-1, &dead_status, 0);
		if (dead == worker)
			status = dead_status;
		if (dead == worker || (dead < 0 && errno == ECHILD))
			break;
	}
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* The worker itself has crashed (a fault of this program), or the new root's init did not start. */
static void show_fault(const char *detail, unsigned failures)
{
	struct boot boot = {0};
	params_load(&boot.params);
	boot_fail(&boot, BOOT_NO_ROOT, "%s", detail);
	screen_open();
	screen_failure(&boot, BOOT_NO_ROOT, screen_backoff(failures));
	screen_close();
}

int main(void)
{
	if (getpid() != 1) {
		fprintf(stderr, "carrel-init: this is the /init of a Carrel client; it runs as "
				"process 1 of a PC that was booted from the network\n");
		return 2;
	}
	mount_basics();
	reboot(RB_DISABLE_CAD);
	signal(SIGPIPE, SIG_IGN);
	unsigned failures = 1;
	while (!run_worker())
		show_fault("the program that starts this PC has crashed", failures++);
	root_switch("/sbin/init");
	show_fault("its first program does not start; the PC restarts", 1);
	for (;;) {
		reboot(RB_AUTOBOOT);
		pause();
	}
}
