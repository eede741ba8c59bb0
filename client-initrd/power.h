/* SPDX-License-Identifier: GPL-2.0-or-later */
/* With what status carrel-viewer ends when the PC is to be switched off, or to boot again; the
 * root's init, which has the privilege, does it. */
#ifndef CARREL_CLIENT_POWER_H
#define CARREL_CLIENT_POWER_H

#define VIEWER_POWER_OFF 10
#define VIEWER_REBOOT 11

#endif
