/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stands in for carrel-viewer in the tests of the network boot: says on the console who it is and
 * what it was given, and stays. Never part of a product image.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *can(const char *path, int mode)
{
	int fd = open(path, mode);
	if (fd < 0)
		return "no";
	close(fd);
	return "yes";
}

int main(int argc, char **argv)
{
	char stages[4096] = "";
	int fd = open("/run/carrel/boot.json", O_RDONLY);
	if (fd >= 0 && read(fd, stages, sizeof stages - 1) < 0)
		strcpy(stages, "unreadable");
	printf("STANDIN uid=%d gid=%d console=%s dri=%s fb=%s input=%s ca=%s kmsg=%s\n", getuid(),
		getgid(), isatty(0) ? "yes" : "no", can("/dev/dri/card0", O_RDWR),
		can("/dev/fb0", O_RDWR), can("/dev/input/event0", O_RDWR),
		can("/etc/carrel/ca.crt", O_RDONLY), can("/dev/kmsg", O_WRONLY));
	printf("STANDIN argv");
	for (int i = 1; i < argc; i++)
		printf(" %s", argv[i]);
	char line[4096] = "";
	fd = open("/proc/cmdline", O_RDONLY);
	if (fd >= 0 && read(fd, line, sizeof line - 1) < 0)
		strcpy(line, "unreadable");
	line[strcspn(line, "\n")] = '\0';
	printf("\nSTANDIN stages %s\nSTANDIN cmdline %s\nSTANDIN end\n", stages, line);
	fflush(stdout);
	if (strstr(line, "standin=exit"))
		return 3;
	for (;;)
		pause();
}
