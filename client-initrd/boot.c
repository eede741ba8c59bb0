/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "client-initrd/boot.h"

#include <stdarg.h>
#include <stdio.h>

static const struct {
	const char *name, *text;
} code_table[BOOT_CODE_COUNT] = {
	[BOOT_OK] = {"", ""},
	[BOOT_NO_CARD] = {"CARREL-B01", "No network card was found."},
	[BOOT_NO_LINK] = {"CARREL-B02", "There is no link: is the network cable plugged in?"},
	[BOOT_NO_DHCP] = {"CARREL-B03", "No DHCP server answered."},
	[BOOT_NO_IMAGE] = {"CARREL-B04", "The root image could not be fetched."},
	[BOOT_WRONG_IMAGE] = {"CARREL-B05", "The root image is not the published one."},
	[BOOT_NO_MEMORY] = {"CARREL-B06", "This PC has too little memory for the root image."},
	[BOOT_NO_ROOT] = {"CARREL-B07", "The root image could not be opened."},
	[BOOT_NO_PARAM] = {"CARREL-B08", "The kernel command line lacks a parameter."},
	[BOOT_NO_VIEWER] = {"CARREL-B09", "The viewer could not be started."},
	[BOOT_NO_SCREEN] = {"CARREL-B10", "The driver of this PC's screen could not be started."},
};

enum boot_code boot_fail(struct boot *boot, enum boot_code code, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(boot->detail, sizeof boot->detail, format, args);
	va_end(args);
	return code;
}

const char *boot_code_name(enum boot_code code)
{
	return code_table[code].name;
}

const char *boot_code_text(enum boot_code code)
{
	return code_table[code].text;
}
