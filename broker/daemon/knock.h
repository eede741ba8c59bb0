/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Has viewers ask at once what is new for their PC (broker/shared/knock.h). */
#ifndef CARREL_DAEMON_KNOCK_H
#define CARREL_DAEMON_KNOCK_H

#include "broker/shared/conf.h"

/* Sends one to each of `addresses` (texts, NULL at the end). What cannot be sent is only logged:
 * the viewer asks by itself within a minute. */
void knock_send(const struct conf *conf, const char *const *addresses);

#endif
