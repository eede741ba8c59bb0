/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The first process of a lab server's namespaces: runs a command and reaps whatever loses its
 * parent. libvirtd and QEMU leave orphans, and libvirt waits two seconds for a VM whose process
 * nobody reaps. Killing this one is a faithful crash of the host: the kernel takes all the others
 * along.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	pid_t child;

	if (argc < 2) {
		fprintf(stderr, "usage: reaper COMMAND [ARGUMENT...]\n");
		return 2;
	}
	child = fork();
	if (child < 0) {
		fprintf(stderr, "reaper: cannot fork: %s\n", strerror(errno));
		return 1;
	}
	if (child == 0) {
		execvp(argv[1], argv + 1);
		fprintf(stderr, "reaper: cannot run %s: %s\n", argv[1], strerror(errno));
		_exit(127);
	}
	for (;;)
		if (waitpid(-1, NULL, 0) < 0 && errno == ECHILD)
			pause();
}
