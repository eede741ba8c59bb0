/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CARREL_VIEWER_VT_H
#define CARREL_VIEWER_VT_H

/*
 * Takes the text console's hands off the screen (no blinking cursor, no kernel message over the
 * picture), when this process has one as its terminal. Returns an fd for vt_release, or -1 when
 * there is none or it may not be changed: the picture is right all the same under KMS.
 */
int vt_take(void);

/* Gives the text console back; -1 is allowed. */
void vt_release(int fd);

#endif
