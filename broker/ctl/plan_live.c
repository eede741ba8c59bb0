/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The site as it is: servers from carreld, sizes from its configuration. */
#include "broker/ctl/command.h"
#include "broker/ctl/plan.h"
#include "broker/ctl/request.h"
#include "broker/shared/conf.h"

#include <string.h>

static gboolean read_conf(const struct context *context, struct plan_site *defaults, GError **error)
{
	struct conf *conf = conf_load(context->conf_path, error);

	if (!conf)
		return FALSE;
	*defaults = (struct plan_site){
		.tiers = {.max_mib = (uint32_t)conf_int(conf, CONF_DESKTOP_MAX),
			.min_mib = (uint32_t)conf_int(conf, CONF_DESKTOP_MIN)},
		.overhead_mib = (uint32_t)conf_int(conf, CONF_DESKTOP_OVERHEAD),
		.host_reserve_mib = (uint32_t)conf_int(conf, CONF_DESKTOP_HOST_RESERVE),
		.standby = (uint32_t)conf_int(conf, CONF_DESKTOP_STANDBY),
	};
	conf_free(conf);
	return TRUE;
}

static void server_clear(gpointer data)
{
	g_free(((struct plan_server *)data)->name);
}

/* Why a server takes no desktops now; NULL when it does. */
static const char *away(const json_t *item)
{
	const char *state = json_string_value(json_object_get(item, "state"));

	if (!state || strcmp(state, "up") != 0)
		return state && !strcmp(state, "preparing") ? "preparing" : "down";
	return json_is_true(json_object_get(item, "draining")) ? "draining" : NULL;
}

static GArray *servers_of(const json_t *answer)
{
	GArray *servers = g_array_new(FALSE, FALSE, sizeof(struct plan_server));
	const json_t *list = json_object_get(answer, "servers"), *item;
	size_t i;

	g_array_set_clear_func(servers, server_clear);
	json_array_foreach (list, i, item) {
		json_int_t memory = json_integer_value(json_object_get(item, "memory_mib"));
		const struct plan_server server = {
			.name = g_strdup(json_string_value(json_object_get(item, "name"))),
			.memory_mib = (uint32_t)CLAMP(memory, 0, (json_int_t)UINT32_MAX),
			.away = away(item),
		};

		g_array_append_val(servers, server);
	}
	return servers;
}

struct plan_site *plan_site_live(
	const struct context *context, const struct plan_args *args, GError **error)
{
	struct plan_site defaults;
	json_t *answer;
	GArray *servers;

	if (args->servers) {
		g_set_error(error, PLAN_ERROR, PLAN_ERROR_USAGE,
			"--live and --servers exclude each other: the servers are carreld's");
		return NULL;
	}
	if (!read_conf(context, &defaults, error))
		return NULL;
	answer = request_send(context, "GET", "/v1/servers", NULL, error);
	if (!answer)
		return NULL;
	servers = servers_of(answer);
	json_decref(answer);
	if (!servers->len) {
		g_array_unref(servers);
		g_set_error(error, PLAN_ERROR, PLAN_ERROR_FAILED,
			"carreld has no servers yet: add one with \"carrel server add\"");
		return NULL;
	}
	return plan_site_of(args, servers, &defaults, error);
}
