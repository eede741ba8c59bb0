/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/auth/pam.h"
#include "broker/auth/name.h"

#include <errno.h>
#include <pwd.h>
#include <security/pam_appl.h>
#include <stdlib.h>
#include <string.h>

#define UID_PEOPLE_FIRST 1000

struct conversation {
	const char *user, *password; /* borrowed */
};

static void responses_free(struct pam_response *responses, int count)
{
	for (int i = 0; i < count; i++) {
		if (responses[i].resp)
			explicit_bzero(responses[i].resp, strlen(responses[i].resp));
		free(responses[i].resp);
	}
	free(responses);
}

/* Hidden prompts get the password, open ones the name. PAM frees the answers with free(). */
static int converse(
	int count, const struct pam_message **messages, struct pam_response **answers, void *data)
{
	const struct conversation *conversation = data;
	struct pam_response *responses;

	if (count < 1 || count > PAM_MAX_NUM_MSG)
		return PAM_CONV_ERR;
	responses = calloc((size_t)count, sizeof(*responses));
	if (!responses)
		return PAM_BUF_ERR;
	for (int i = 0; i < count; i++) {
		const char *text = NULL;

		if (messages[i]->msg_style == PAM_PROMPT_ECHO_OFF)
			text = conversation->password;
		else if (messages[i]->msg_style == PAM_PROMPT_ECHO_ON)
			text = conversation->user;
		if (text && !(responses[i].resp = strdup(text))) {
			responses_free(responses, count);
			return PAM_BUF_ERR;
		}
	}
	*answers = responses;
	return PAM_SUCCESS;
}

static enum pam_outcome identity_set(
	const char *name, struct pam_identity *identity, char **message)
{
	const struct passwd *entry;
	const char *why;

	errno = 0;
	entry = getpwnam(name);
	if (!entry) {
		*message = g_strdup_printf("PAM accepts %s, but the user has no ids: %s", name,
			errno ? g_strerror(errno) : "getpwnam knows no such user (nsswitch.conf?)");
		return PAM_OUTCOME_UNAVAILABLE;
	}
	if (entry->pw_uid < UID_PEOPLE_FIRST)
		return PAM_OUTCOME_DENIED;
	identity->user = name_canonical(entry->pw_name, FALSE, &why);
	if (!identity->user) {
		*message = g_strdup_printf("PAM accepts %s, but %s", name, why);
		return PAM_OUTCOME_UNAVAILABLE;
	}
	identity->uid = entry->pw_uid;
	identity->gid = entry->pw_gid;
	/* The first of the comma-separated fields is the name. */
	identity->full_name = g_strndup(entry->pw_gecos, strcspn(entry->pw_gecos, ","));
	if (!name_full_valid(identity->full_name)) {
		g_free(identity->full_name);
		identity->full_name = g_strdup("");
	}
	return PAM_OUTCOME_OK;
}

static enum pam_outcome outcome_of(int code)
{
	switch (code) {
	case PAM_SUCCESS:
		return PAM_OUTCOME_OK;
	case PAM_AUTH_ERR:
	case PAM_USER_UNKNOWN:
	case PAM_MAXTRIES:
	case PAM_PERM_DENIED:
	case PAM_ACCT_EXPIRED:
	case PAM_CRED_EXPIRED:
	case PAM_AUTHTOK_EXPIRED:
	case PAM_NEW_AUTHTOK_REQD:
		return PAM_OUTCOME_DENIED;
	default:
		return PAM_OUTCOME_UNAVAILABLE;
	}
}

enum pam_outcome pam_login(const char *service, const char *confdir, const char *user,
	const char *password, struct pam_identity *identity, char **message)
{
	struct conversation conversation = {user, password};
	struct pam_conv conv = {converse, &conversation};
	pam_handle_t *handle = NULL;
	const void *name = NULL;
	enum pam_outcome outcome;

	*identity = (struct pam_identity){0};
	*message = NULL;
	int code = pam_start_confdir(service, user, &conv, confdir, &handle);
	if (code == PAM_SUCCESS)
		code = pam_set_item(handle, PAM_TTY, "carrel");
	if (code == PAM_SUCCESS)
		code = pam_authenticate(handle, PAM_SILENT | PAM_DISALLOW_NULL_AUTHTOK);
	if (code == PAM_SUCCESS)
		code = pam_acct_mgmt(handle, PAM_SILENT | PAM_DISALLOW_NULL_AUTHTOK);
	if (code == PAM_SUCCESS)
		code = pam_get_item(handle, PAM_USER, &name);
	outcome = outcome_of(code);
	if (outcome == PAM_OUTCOME_OK)
		outcome = identity_set(name ? name : user, identity, message);
	else if (outcome == PAM_OUTCOME_UNAVAILABLE)
		*message = g_strdup_printf("PAM service %s: %s", service,
			handle ? pam_strerror(handle, code) : "cannot be started");
	if (handle)
		pam_end(handle, code);
	return outcome;
}

void pam_identity_clear(struct pam_identity *identity)
{
	g_free(identity->user);
	g_free(identity->full_name);
	*identity = (struct pam_identity){0};
}
