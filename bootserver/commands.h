/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command lines of the boot server's daemons: one place for the units, the lab and people. */
#ifndef CARREL_BOOTSERVER_COMMANDS_H
#define CARREL_BOOTSERVER_COMMANDS_H

#include "bootserver/render.h"

/* The file of a rendering that has its commands_text(). Daemons are run by it and not by another
 * look at the host, which in a unit's sandbox has no nfsd and no interfaces. */
#define COMMANDS_FILE "commands"

#define COMMANDS_DNSMASQ "/usr/sbin/dnsmasq"
#define COMMANDS_NGINX "/usr/sbin/nginx"

/*
 * One line for each: name, a tab, the words quoted for a shell. Names that begin with "setup-" are
 * run once before the daemons and end by themselves; the others stay in the foreground.
 */
char *commands_text(const struct site *site);

#endif
