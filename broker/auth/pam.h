/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One login by PAM. It blocks for as long as the modules of the site's stack do, and they may do
 * anything to the process: run it in a child.
 */
#ifndef CARREL_AUTH_PAM_H
#define CARREL_AUTH_PAM_H

#include <glib.h>

enum pam_outcome { PAM_OUTCOME_OK, PAM_OUTCOME_DENIED, PAM_OUTCOME_UNAVAILABLE };

struct pam_identity {
	char *user, *full_name; /* owned */
	guint32 uid, gid;
};

/*
 * Authenticates and checks the account. `confdir` is NULL for the system's PAM configuration. The
 * name that PAM's modules settled on is looked up for its ids; system users (id below 1000) are
 * denied. For UNAVAILABLE, *message (owned by the caller) says why.
 */
enum pam_outcome pam_login(const char *service, const char *confdir, const char *user,
	const char *password, struct pam_identity *identity, char **message);

void pam_identity_clear(struct pam_identity *identity);

#endif
