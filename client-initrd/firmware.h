/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Firmware for the kernel's drivers, from the pack of drivers: the kernel says by a uevent what a
 * driver asks for, and a process of its own gives it (Linux, "firmware fallback mechanisms"). It is
 * another one than that which loads modules, because a module's loading waits for its firmware.
 */
#ifndef CARREL_CLIENT_FIRMWARE_H
#define CARREL_CLIENT_FIRMWARE_H

#include <sys/types.h>

#include "client-initrd/drivers.h"

/* Has the kernel ask, and starts the process that answers; it, or -errno. */
pid_t firmware_start(struct drivers *drivers);

/* Gives a driver that waits at `folder` ("/sys/.../firmware/NAME") the content; NULL: there is
 * none. */
void firmware_give(const char *folder, const char *content, size_t size);

#endif
