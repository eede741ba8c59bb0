/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CARREL_VIEWER_STRINGS_H
#define CARREL_VIEWER_STRINGS_H

#include <stddef.h>

enum language { LANGUAGE_EN, LANGUAGE_KO, LANGUAGE_COUNT };

enum string_id {
	STR_USER,
	STR_PASSWORD,
	STR_LOG_IN,
	STR_CAPS_LOCK,
	STR_FORM_HINT,
	STR_HELLO,
	STR_HELLO_FAILED,
	STR_UNREACHABLE,
	STR_DENIED,
	STR_HELD,
	STR_EMPTY_USER,
	STR_LOGGING_IN,
	STR_STAGE_SENDING,
	STR_STAGE_AUTHENTICATING,
	STR_STAGE_PLACING,
	STR_STAGE_WAITING,
	STR_STAGE_QUEUED,
	STR_QUEUE_MINUTES,
	STR_QUEUE_UNKNOWN,
	STR_STAGE_STARTING,
	STR_STAGE_CLAIMING,
	STR_STAGE_CONNECTING,
	STR_LOST,
	STR_LOST_HINT,
	STR_HANDOFF_SMALLER,
	STR_HANDOFF_LARGER,
	STR_HANDOFF_OTHER,
	STR_HANDOFF_SECONDS,
	STR_HANDOFF_NOW,
	STR_HANDOFF_SAVE,
	STR_HANDOFF_CHORD,
	STR_HANDOFF_ASKED,
	STR_HANDOFF_CANCELLED,
	STR_HANDOFF_DONE,
	STR_MOVING,
	STR_MOVING_BEGIN,
	STR_MOVING_HINT,
	STR_REFUSED,
	STR_MOVED,
	STR_MOVED_HINT,
	STR_ENDED,
	STR_ENDED_LOGOUT,
	STR_TOKEN_GONE,
	STR_UNSAFE,
	STR_UNSAFE_HINT,
	STR_CONFIRM,
	STR_MENU,
	STR_MENU_BACK,
	STR_MENU_MOVE_NOW,
	STR_MENU_DISCONNECT,
	STR_MENU_LOGOUT,
	STR_MENU_HINT,
	STR_CHORD,
	STR_SEAT,
	STR_COUNT
};

/* Never NULL. */
const char *string_get(enum language language, enum string_id id);

/* "ko" and "ko-KR" are Korean; whatever else is English. */
enum language language_parse(const char *name);

/* What is said below the title of stage "queued", in `out`; minutes 0 = no estimate yet. */
void string_of_queue(
	char *out, size_t size, enum language language, unsigned position, unsigned minutes);

/* What a hand-off's banner says first: where to, of what size (MiB; 0 = not said), and when. */
void string_of_handoff(char *out, size_t size, enum language language, unsigned from_mib,
	unsigned size_mib, unsigned seconds);

/* The title for a stage of the login, for stages that this version does not know too. */
enum string_id string_of_stage(const char *stage);

#endif
