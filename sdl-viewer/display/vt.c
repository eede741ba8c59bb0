/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sdl-viewer/display/vt.h"

#include <fcntl.h>
#include <linux/kd.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <unistd.h>

int vt_take(void)
{
	static const char *const paths[] = {"/dev/tty", "/dev/tty0", "/dev/tty1"};

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		int fd = open(paths[i], O_RDWR | O_NOCTTY | O_CLOEXEC), mode;

		if (fd < 0)
			continue;
		if (ioctl(fd, KDGETMODE, &mode) == 0 && mode == KD_TEXT &&
			ioctl(fd, KDSETMODE, KD_GRAPHICS) == 0)
			return fd;
		close(fd);
	}
	return -1;
}

void vt_release(int fd)
{
	if (fd < 0)
		return;
	ioctl(fd, KDSETMODE, KD_TEXT);
	close(fd);
}
