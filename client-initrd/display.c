/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "client-initrd/display.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client-initrd/util.h"

#define DEVICES "/sys/bus/pci/devices"
#define CLASS_DISPLAY "0x03" /* PCI's base class of display controllers */

bool display_present(void)
{
	DIR *dir = opendir("/dev/dri");
	bool found = !access("/dev/fb0", F_OK);
	for (struct dirent *entry; dir && (entry = readdir(dir));)
		found |= !strncmp(entry->d_name, "card", 4);
	if (dir)
		closedir(dir);
	return found;
}

void display_probe(void)
{
	DIR *dir = opendir(DEVICES);
	for (struct dirent *entry; dir && (entry = readdir(dir));) {
		char path[320], class[16];
		snprintf(path, sizeof path, DEVICES "/%.255s/class", entry->d_name);
		util_read_line(path, class, sizeof class);
		snprintf(path, sizeof path, DEVICES "/%.255s/driver", entry->d_name);
		if (!strncmp(class, CLASS_DISPLAY, strlen(CLASS_DISPLAY)) && access(path, F_OK) < 0)
			util_set("/sys/bus/pci/drivers_probe", entry->d_name);
	}
	if (dir)
		closedir(dir);
}
