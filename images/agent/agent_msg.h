/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The agent channel's lines (docs/protocols.md, "Agent channel"): cutting a byte stream into lines
 * and reading a request. What comes from the host is checked as if it came from a stranger.
 */
#ifndef CARREL_AGENT_MSG_H
#define CARREL_AGENT_MSG_H

#include "broker/shared/keyboard.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define AGENT_LINE_MAX 16384 /* bytes of a line, its newline included */
#define AGENT_NAME_MAX 96    /* with the terminator */
#define AGENT_VOLUME_MAX 21  /* a virtio disk's serial has at most 20 bytes */

enum agent_op {
	AGENT_OP_HELLO,
	AGENT_OP_CLAIM,
	AGENT_OP_RELEASE,
	AGENT_OP_STATUS,
	AGENT_OP_KEYBOARD,
};

struct agent_request {
	enum agent_op op;
	int64_t id; /* 0 for hello */
	char user[AGENT_NAME_MAX];
	char full_name[AGENT_NAME_MAX];
	char volume[AGENT_VOLUME_MAX];
	uid_t uid;
	gid_t gid;
	struct keyboard keyboard; /* empty: the image's own */
};

/*
 * Reads one line (without its newline). Returns NULL, or a static text that says what was wrong;
 * request->id is the line's id as far as it could be read, else 0.
 */
const char *agent_msg_parse(const char *line, size_t length, struct agent_request *request);

/*
 * May this be the name of a user here? UTF-8 of any script, without what passwd(5), paths or a
 * terminal would take for something else.
 */
bool agent_msg_user_ok(const char *user);

/* Bytes so far of a line that is not whole yet. */
struct agent_lines {
	char buffer[AGENT_LINE_MAX];
	size_t used;
	bool skipping; /* the line was too long; its rest is thrown away */
};

void agent_lines_init(struct agent_lines *lines);

/*
 * Adds `size` bytes and calls `line` for each whole line that is not empty; for a line that is too
 * long, once, with `text` NULL.
 */
void agent_lines_feed(struct agent_lines *lines, const char *data, size_t size,
	void (*line)(void *context, const char *text, size_t length), void *context);

#endif
