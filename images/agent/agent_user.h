/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who uses this desktop: the entries in passwd, group and shadow, and a new home's first files. The
 * ids come from the broker, so files on a volume keep their owner from desktop to desktop. adduser
 * and its kind are not used: they refuse names that are not ASCII.
 */
#ifndef CARREL_AGENT_USER_H
#define CARREL_AGENT_USER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct agent_user {
	const char *name; /* borrowed, all three */
	const char *full_name;
	const char *home;
	uid_t uid;
	gid_t gid;
};

/*
 * Adds the user to the files in `etc` ("/etc"). The same user already there is fine; another one of
 * the same name or uid is refused. Returns false with the reason in `text`.
 */
bool agent_user_add(const char *etc, const struct agent_user *user, char *text, size_t size);

/*
 * Makes a mounted home the user's: a new volume's root directory is given to the user, and copies
 * of the files in `skel` are put into a home that is empty. A home that belongs to another user is
 * refused and left alone.
 */
bool agent_user_home(const char *skel, const struct agent_user *user, char *text, size_t size);

#endif
