/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/auth/request.h"
#include "broker/auth/name.h"
#include "broker/auth/pam.h"
#include "broker/auth/password.h"
#include "broker/auth/users.h"
#include "broker/shared/log.h"
#include "broker/shared/msg.h"

#include <string.h>

/* Users in one answer: 300 of at most 215 bytes stay below MSG_MAX. */
#define LIST_PAGE 300

static const struct {
	const char *name;
	enum request_op op;
	gboolean password, full_name;
} ops[] = {
	{"authenticate", REQUEST_AUTHENTICATE, TRUE, FALSE},
	{"user-add", REQUEST_USER_ADD, TRUE, TRUE},
	{"user-passwd", REQUEST_USER_PASSWD, TRUE, FALSE},
	{"user-del", REQUEST_USER_DEL, FALSE, FALSE},
	{"user-list", REQUEST_USER_LIST, FALSE, FALSE},
};

/* json_unpack only borrows, but its first argument is not const. */
static json_t *unconst(const json_t *json)
{
	union {
		const json_t *in;
		json_t *out;
	} cast = {.in = json};

	return cast.out;
}

static int unpack(struct request *request, const json_t *json, gsize row, json_error_t *problem)
{
	json_t *in = unconst(json);
	const char *op;

	if (ops[row].op == REQUEST_USER_LIST)
		return json_unpack_ex(in, problem, JSON_STRICT, "{s:I, s:s, s?I}", "id",
			&request->id, "op", &op, "offset", &request->offset);
	if (ops[row].full_name)
		return json_unpack_ex(in, problem, JSON_STRICT, "{s:I, s:s, s:s, s:s, s:s}", "id",
			&request->id, "op", &op, "user", &request->user, "password",
			&request->password, "full_name", &request->full_name);
	if (ops[row].password)
		return json_unpack_ex(in, problem, JSON_STRICT, "{s:I, s:s, s:s, s:s}", "id",
			&request->id, "op", &op, "user", &request->user, "password",
			&request->password);
	return json_unpack_ex(in, problem, JSON_STRICT, "{s:I, s:s, s:s}", "id", &request->id, "op",
		&op, "user", &request->user);
}

gboolean request_parse(struct request *request, const json_t *json, char **message)
{
	const char *op = json_string_value(json_object_get(json, "op"));
	json_error_t problem = {.text = ""};
	gsize row = 0;

	*request = (struct request){0};
	*message = NULL;
	while (op && row < G_N_ELEMENTS(ops) && strcmp(op, ops[row].name) != 0)
		row++;
	if (!op || row == G_N_ELEMENTS(ops)) {
		*message = g_strdup("unknown op");
		return FALSE;
	}
	if (unpack(request, json, row, &problem) != 0 || request->offset < 0) {
		*message = g_strdup_printf(
			"%s: %s", op, problem.text[0] ? problem.text : "an offset is not negative");
		return FALSE;
	}
	request->op = ops[row].op;
	return TRUE;
}

static json_t *denied(json_int_t id)
{
	return msg_fail(id, "denied", "the user name or the password is wrong");
}

static json_t *identity(
	json_int_t id, const char *user, const char *full_name, guint32 uid, guint32 gid)
{
	return json_pack("{s:I, s:b, s:s, s:s, s:I, s:I}", "id", id, "ok", 1, "user", user,
		"full_name", full_name, "uid", (json_int_t)uid, "gid", (json_int_t)gid);
}

static json_t *authenticate_own(
	const struct request *request, const struct auth_context *context, const char *name)
{
	g_autoptr(GError) error = NULL;
	struct users *users = users_load(context->folder, &error);
	const struct user *user = users && name ? users_find(users, name) : NULL;
	gboolean right = password_verify(request->password, user ? user->hash : NULL);
	json_t *answer;

	if (users && users->damaged)
		log_event(LOG_ERROR, "users-damaged", "file", log_fmt("%s/users", context->folder),
			"line", log_fmt("%u", users->damaged), NULL);
	if (!users)
		answer = msg_fail(request->id, "unavailable", "%s", error->message);
	else if (right)
		answer = identity(request->id, user->name, user->full_name, user->uid, user->uid);
	else
		answer = denied(request->id);
	users_free(users);
	return answer;
}

static json_t *authenticate_pam(
	const struct request *request, const struct auth_context *context, const char *name)
{
	const char *service = conf_string(context->conf, CONF_AUTH_PAM_SERVICE);
	struct pam_identity who;
	g_autofree char *message = NULL;
	json_t *answer = NULL;

	switch (pam_login(service, context->pam_confdir, name, request->password, &who, &message)) {
	case PAM_OUTCOME_OK:
		answer = identity(request->id, who.user, who.full_name, who.uid, who.gid);
		break;
	case PAM_OUTCOME_DENIED:
		answer = denied(request->id);
		break;
	case PAM_OUTCOME_UNAVAILABLE:
		answer = msg_fail(request->id, "unavailable", "%s", message);
		break;
	}
	pam_identity_clear(&who);
	return answer;
}

static json_t *authenticate(const struct request *request, const struct auth_context *context)
{
	gboolean pam = !strcmp(conf_string(context->conf, CONF_AUTH_METHOD), "pam");
	const char *why;
	/* PAM's directories tell capital letters as they like. A name that breaks the rule is one
	 * that nobody has: the same answer, and for own users the same work. */
	g_autofree char *name = name_canonical(request->user, !pam, &why);

	if (!pam)
		return authenticate_own(request, context, name);
	return name ? authenticate_pam(request, context, name) : denied(request->id);
}

static json_t *fail_users(json_int_t id, const GError *error)
{
	const char *code = "unavailable";

	if (g_error_matches(error, USERS_ERROR, USERS_ERROR_EXISTS))
		code = "exists";
	else if (g_error_matches(error, USERS_ERROR, USERS_ERROR_UNKNOWN))
		code = "unknown-user";
	else
		log_event(LOG_ERROR, "users-failed", "error", error->message, NULL);
	return msg_fail(id, code, "%s", error->message);
}

static json_t *user_list(const struct request *request, const struct auth_context *context)
{
	g_autoptr(GError) error = NULL;
	struct users *users = users_load(context->folder, &error);

	if (!users)
		return fail_users(request->id, error);
	json_t *list = json_array();
	for (json_int_t i = request->offset;
		i < users->list->len && i < request->offset + LIST_PAGE; i++) {
		const struct user *user = users->list->pdata[i];

		json_array_append_new(
			list, json_pack("{s:s, s:s, s:I}", "user", user->name, "full_name",
				      user->full_name, "uid", (json_int_t)user->uid));
	}
	json_t *answer = msg_ok(request->id);
	json_object_set_new(answer, "users", list);
	json_object_set_new(answer, "total", json_integer(users->list->len));
	users_free(users);
	return answer;
}

static json_t *user_change(
	const struct request *request, const struct auth_context *context, const char *name)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *hash = NULL;
	guint32 uid = 0;
	gboolean done;

	if (request->password) {
		const char *weak = password_check(request->password, name);

		if (weak)
			return msg_fail(request->id, "weak-password", "%s", weak);
		hash = password_hash(request->password);
		if (!hash)
			return msg_fail(request->id, "unavailable", "libcrypt has no yescrypt");
	}
	if (request->op == REQUEST_USER_ADD)
		done = users_add(context->folder,
			(guint32)conf_int(context->conf, CONF_AUTH_UID_MIN), name, hash,
			request->full_name, &uid, &error);
	else if (request->op == REQUEST_USER_PASSWD)
		done = users_set_hash(context->folder, name, hash, &error);
	else
		done = users_del(context->folder, name, &error);
	if (!done)
		return fail_users(request->id, error);
	log_event(LOG_INFO, ops[request->op].name, "user", name, NULL);
	json_t *answer = msg_ok(request->id);
	if (request->op == REQUEST_USER_ADD)
		json_object_set_new(answer, "uid", json_integer(uid));
	return answer;
}

json_t *request_answer(const struct request *request, const struct auth_context *context)
{
	const char *why;

	if (request->op == REQUEST_AUTHENTICATE)
		return authenticate(request, context);
	if (!strcmp(conf_string(context->conf, CONF_AUTH_METHOD), "pam"))
		return msg_fail(request->id, "not-own",
			"[auth] method is pam: users are managed where PAM finds them");
	if (request->op == REQUEST_USER_LIST)
		return user_list(request, context);
	g_autofree char *name = name_canonical(request->user, TRUE, &why);
	if (!name)
		return msg_fail(request->id, "bad-name", "%s", why);
	if (request->full_name && !name_full_valid(request->full_name))
		return msg_fail(request->id, "bad-name",
			"a full name is at most 90 bytes without ':' and control characters");
	return user_change(request, context, name);
}
