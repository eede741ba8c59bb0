/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The knock: a UDP packet from the broker to a PC at its login form, which then asks at once what
 * it otherwise asks once a minute. It says nothing itself, so whoever forges one has a PC ask, no
 * more; one that is lost costs the minute. A PC that waits costs the broker no connection.
 */
#ifndef CARREL_KNOCK_H
#define CARREL_KNOCK_H

/* All that is in a packet. It is sent to the port that has the number of the broker's TCP port. */
#define KNOCK_TEXT "carrel knock\n"
#define KNOCK_BYTES (sizeof KNOCK_TEXT - 1)

#endif
