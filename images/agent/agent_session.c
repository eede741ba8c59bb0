/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "images/agent/agent.h"
#include "images/agent/agent_user.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SESSION_PROGRAM "/usr/libexec/carrel/session"

struct preparation {
	struct agent *agent;
	const struct agent_user *user;
	char cookie[96];
	bool (*prepare)(struct agent *agent);
};

/* In the child, as root. */
static bool prepare(void *context)
{
	const struct preparation *p = context;

	if (p->prepare && !p->prepare(p->agent))
		return false;
	if (agent_x_write_authority(&p->agent->x, p->cookie, p->user->uid, p->user->gid))
		return true;
	agent_log("cookie-failed file=%s error=\"%s\"", p->cookie, strerror(errno));
	return false;
}

pid_t agent_session_start(struct agent *agent, const struct agent_user *user,
	const char *runtime_dir, bool (*prepare_first)(struct agent *agent))
{
	struct preparation p = {.agent = agent, .user = user, .prepare = prepare_first};
	char env[10][160];
	char *environment[11];
	int n = 0;

	snprintf(p.cookie, sizeof(p.cookie), "%s/Xauthority", runtime_dir);
	snprintf(env[n++], sizeof(*env), "HOME=%s", user->home);
	snprintf(env[n++], sizeof(*env), "USER=%s", user->name);
	snprintf(env[n++], sizeof(*env), "LOGNAME=%s", user->name);
	snprintf(env[n++], sizeof(*env), "SHELL=/bin/bash");
	snprintf(env[n++], sizeof(*env), "PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin");
	snprintf(env[n++], sizeof(*env), "LANG=%s", agent->language);
	snprintf(env[n++], sizeof(*env), "DISPLAY=" AGENT_X_DISPLAY);
	snprintf(env[n++], sizeof(*env), "XAUTHORITY=%s", p.cookie);
	snprintf(env[n++], sizeof(*env), "XDG_RUNTIME_DIR=%s", runtime_dir);
	snprintf(env[n++], sizeof(*env), "XDG_SESSION_TYPE=x11");
	for (int i = 0; i < n; i++)
		environment[i] = env[i];
	environment[n] = NULL;
	return agent_proc_session(&agent->group, user, SESSION_PROGRAM, environment, prepare, &p);
}
