/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * /init of a desktop VM: from the kernel to the image's systemd in as few steps as there are.
 *
 *   1. devtmpfs, proc, sysfs, /run
 *   2. the modules named in /modules/list, in that order (the builder resolved the dependencies)
 *   3. the disk whose serial is "root", opened through dm-verity
 *   4. erofs below, a tmpfs of limited size above, joined by overlay: the OS can be written to and
 *      forgets all of it
 *   5. the initramfs is emptied, the new root takes its place, its init runs
 *
 * Anything that goes wrong ends this process, which is the kernel's panic: the hypervisor sees a
 * dead VM and never a half-checked one.
 *
 * Command line: carrel.verity=DATA_BLOCKS:ROOT_HASH:SALT carrel.upper=SIZE (tmpfs's syntax).
 */
#include "images/verity/verity.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define ROOT_SERIAL "root"
#define ROOT_DEVICE "/dev/carrel-root"
#define DISK_TIMEOUT_MS 30000
#define NEW_ROOT "/sysroot"
/* The images' file system; the bench of formats makes an init for another one. */
#ifndef ROOT_FORMAT
#define ROOT_FORMAT "erofs"
#endif

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

static void say_v(const char *level, const char *format, va_list args)
{
	char line[512];
	int n = snprintf(line, sizeof(line), "%scarrel-init: ", level);
	int kmsg = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);

	n += vsnprintf(line + n, sizeof(line) - (size_t)n, format, args);
	if (n >= (int)sizeof(line))
		n = (int)sizeof(line) - 1;
	if (kmsg >= 0) {
		if (write(kmsg, line, (size_t)n) < 0)
			(void)errno; /* nobody is left to be told */
		close(kmsg);
	}
}

static void say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say_v("<6>", format, args);
	va_end(args);
}

static void die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say_v("<0>", format, args);
	va_end(args);
	_exit(1);
}

static void make_dir(const char *path)
{
	if (mkdir(path, 0755) && errno != EEXIST)
		die("%s cannot be made: %s", path, strerror(errno));
}

static void mount_at(const char *type, const char *source, const char *target, unsigned long flags,
	const char *data)
{
	make_dir(target);
	if (mount(source, target, type, flags, data))
		die("%s (%s) cannot be mounted at %s: %s", source, type, target, strerror(errno));
}

/* Reads a small file; the text is ended and without its newline. False when it cannot be read. */
static bool read_text(const char *path, char *buffer, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, buffer, size - 1);
	close(fd);
	if (n < 0)
		return false;
	buffer[n] = '\0';
	buffer[strcspn(buffer, "\n")] = '\0';
	return true;
}

/* The value of "key=" on the command line, copied to `value`; false when it is not there. */
static bool option(char *cmdline, const char *key, char *value, size_t size)
{
	size_t length = strlen(key);

	for (const char *p = cmdline; *p; p += strcspn(p, " "), p += strspn(p, " ")) {
		size_t n = strcspn(p, " ");

		if (n <= length || strncmp(p, key, length) != 0 || p[length] != '=')
			continue;
		n -= length + 1;
		if (n >= size)
			die("%s on the command line is too long", key);
		memcpy(value, p + length + 1, n);
		value[n] = '\0';
		return true;
	}
	return false;
}

/* A module that does not load is fatal only through what is missing after it. */
static void load_modules(void)
{
	FILE *list = fopen("/modules/list", "re");
	char name[128], path[160];

	if (!list)
		die("/modules/list cannot be read: %s", strerror(errno));
	while (fgets(name, sizeof(name), list)) {
		int fd;

		name[strcspn(name, "\n")] = '\0';
		snprintf(path, sizeof(path), "/modules/%s", name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) && errno != EEXIST))
			say("module %s: %s", name, strerror(errno));
		if (fd >= 0)
			close(fd);
	}
	fclose(list);
}

static bool find_disk(char *device, size_t size)
{
	DIR *dir = opendir("/sys/block");
	bool found = false;
	char path[300], serial[64];

	if (!dir)
		return false;
	for (struct dirent *e; !found && (e = readdir(dir));) {
		snprintf(path, sizeof(path), "/sys/block/%s/serial", e->d_name);
		found = e->d_name[0] != '.' && read_text(path, serial, sizeof(serial)) &&
			strcmp(serial, ROOT_SERIAL) == 0;
		if (found)
			snprintf(device, size, "/dev/%s", e->d_name);
	}
	closedir(dir);
	return found && access(device, R_OK) == 0;
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Waits for the disk by the kernel's uevents; the socket is open before the first look. */
static void wait_disk(char *device, size_t size)
{
	struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = 1};
	int fd = socket(
		AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);
	int64_t end = now_ms() + DISK_TIMEOUT_MS;
	char event[4096];

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)))
		die("the kernel's events cannot be received: %s", strerror(errno));
	while (!find_disk(device, size)) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		int64_t left = end - now_ms();

		if (left <= 0)
			die("no disk with serial \"%s\" within %d s", ROOT_SERIAL,
				DISK_TIMEOUT_MS / 1000);
		(void)poll(&p, 1, (int)left);
		while (recv(fd, event, sizeof(event), 0) > 0)
			;
	}
	close(fd);
}

/* Empties the initramfs, whose memory is the VM's. Never leaves its own file system. */
static void remove_below(int fd, dev_t device)
{
	DIR *dir = fdopendir(fd);

	if (!dir) {
		close(fd);
		return;
	}
	for (struct dirent *e; (e = readdir(dir));) {
		struct stat st;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
			fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) ||
			st.st_dev != device)
			continue;
		if (S_ISDIR(st.st_mode)) {
			int sub = openat(dirfd(dir), e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

			if (sub >= 0)
				remove_below(sub, device);
			(void)unlinkat(dirfd(dir), e->d_name, AT_REMOVEDIR);
		} else {
			(void)unlinkat(dirfd(dir), e->d_name, 0);
		}
	}
	closedir(dir);
}

static void switch_root(void)
{
	static const char *const moved[] = {"/dev", "/proc", "/sys", "/run"};
	char target[64];
	struct stat st;
	int old = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (size_t i = 0; i < sizeof(moved) / sizeof(*moved); i++) {
		snprintf(target, sizeof(target), NEW_ROOT "%s", moved[i]);
		if (mount(moved[i], target, NULL, MS_MOVE, NULL))
			die("%s cannot be moved into the image: %s", moved[i], strerror(errno));
	}
	if (chdir(NEW_ROOT) || old < 0 || fstat(old, &st))
		die("the image's root cannot be entered: %s", strerror(errno));
	remove_below(old, st.st_dev);
	if (mount(".", "/", NULL, MS_MOVE, NULL) || chroot(".") || chdir("/"))
		die("the root cannot be switched: %s", strerror(errno));
}

static void open_root(char *cmdline)
{
	char text[1024], device[300];
	struct verity verity;
	dev_t number;

	if (!option(cmdline, "carrel.verity", text, sizeof(text)))
		die("carrel.verity is missing on the command line");
	if (!verity_parse(text, &verity))
		die("carrel.verity is not DATA_BLOCKS:ROOT_HASH:SALT: %s", text);
	wait_disk(device, sizeof(device));
	if (verity_open(&verity, device, "carrel-root", true, &number))
		die("the image on %s is refused: %s", device, strerror(errno));
	if (mknod(ROOT_DEVICE, S_IFBLK | 0400, number))
		die("%s cannot be made: %s", ROOT_DEVICE, strerror(errno));
}

int main(void)
{
	char cmdline[4096], upper[32] = "50%", options[96];

	mount_at("devtmpfs", "dev", "/dev", MS_NOSUID, "mode=0755");
	mount_at("proc", "proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	mount_at("sysfs", "sysfs", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	mount_at("tmpfs", "run", "/run", MS_NOSUID | MS_NODEV, "mode=0755,size=20%");
	if (!read_text("/proc/cmdline", cmdline, sizeof(cmdline)))
		die("/proc/cmdline cannot be read");
	(void)option(cmdline, "carrel.upper", upper, sizeof(upper));
	load_modules();
	open_root(cmdline);
	make_dir("/run/carrel");
	mount_at(ROOT_FORMAT, ROOT_DEVICE, "/run/carrel/lower", MS_RDONLY, NULL);
	snprintf(options, sizeof(options), "mode=0755,size=%s", upper);
	mount_at("tmpfs", "upper", "/run/carrel/upper", 0, options);
	make_dir("/run/carrel/upper/data");
	make_dir("/run/carrel/upper/work");
	mount_at("overlay", "root", NEW_ROOT, 0,
		"lowerdir=/run/carrel/lower,upperdir=/run/carrel/upper/data,"
		"workdir=/run/carrel/upper/work");
	say("root is the verified image");
	switch_root();
	execl("/sbin/init", "/sbin/init", (char *)NULL);
	die("/sbin/init of the image cannot be run: %s", strerror(errno));
}
