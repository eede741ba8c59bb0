/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The broker's knocks (broker/shared/knock.h), for the control thread: at most one a second counts,
 * and none is lost by that. */
#ifndef CARREL_VIEWER_KNOCK_H
#define CARREL_VIEWER_KNOCK_H

#include <stdbool.h>
#include <stdint.h>

struct knock {
	int fd; /* -1: knocks are not heard */
	uint32_t broker;
	bool heard;
	int64_t next_ms; /* before that none is passed on */
};

/* Listens for the broker of "https://ADDR:PORT"; not where ADDR is a name or the port is taken. */
void knock_open(struct knock *knock, const char *broker);
void knock_close(struct knock *knock);

/* Takes what has come; true when somebody is to be asked now. */
bool knock_take(struct knock *knock, int64_t now_ms);

/* How long until knock_take() has something to say though nothing comes, ms; at most `wait`. */
int knock_wait(const struct knock *knock, int64_t now_ms, int wait);

#endif
