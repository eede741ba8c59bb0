/* SPDX-License-Identifier: GPL-2.0-or-later */
/* carrel config: needs no carreld. */
#include "broker/ctl/command.h"
#include "broker/ctl/table.h"
#include "broker/shared/conf.h"

#include <stdio.h>

/* What the boot server needs and this machine does not tell. */
static void add_lacking(const struct conf *conf, GPtrArray *problems)
{
	g_autoptr(GError) client = NULL;
	g_autoptr(GError) server = NULL;

	if (!conf_found(conf, CONF_NETWORK_CLIENT_ADDRESS, &client))
		conf_problem_add(problems, 0, "%s", client->message);
	/* without the interface its network is not known either: one reason */
	if (!conf_found(conf, CONF_NETWORK_SERVER_INTERFACE, &server) ||
		!conf_found(conf, CONF_NETWORK_SERVER_NETWORK, &server))
		conf_problem_add(problems, 0, "%s", server->message);
}

int command_config_check(const struct context *context)
{
	const char *path = context->args[0] ? context->args[0] : context->conf_path;
	g_autoptr(GPtrArray) problems = conf_problems_new();
	g_autoptr(GError) error = NULL;
	g_autofree char *text = NULL;
	g_autoptr(GArray) links = conf_links_read();
	json_t *list = json_array();
	gsize length;

	if (!g_file_get_contents(path, &text, &length, &error)) {
		fprintf(stderr, "carrel: cannot read the configuration: %s\n", error->message);
		json_decref(list);
		return EXIT_FAILED;
	}
	struct conf *conf = conf_parse(path, text, length, links, problems);
	if (conf)
		add_lacking(conf, problems);
	conf_free(conf);
	for (guint i = 0; i < problems->len; i++) {
		const struct conf_problem *problem = problems->pdata[i];

		json_array_append_new(
			list, json_pack("{s:I, s:s}", "line", (json_int_t)problem->line, "problem",
				      problem->text));
		if (context->json)
			continue;
		if (problem->line)
			printf("%s:%u: %s\n", path, problem->line, problem->text);
		else
			printf("%s: %s\n", path, problem->text);
	}
	if (context->json) {
		json_t *answer = json_pack("{s:s, s:O}", "file", path, "problems", list);
		char *json = json_dumps(answer, JSON_INDENT(2));

		puts(json);
		free(json);
		json_decref(answer);
	} else if (!problems->len) {
		puts("ok");
	}
	json_decref(list);
	return problems->len ? EXIT_FAILED : EXIT_DONE;
}

static const char *value_origin(const struct conf *conf, enum conf_id id)
{
	if (conf_is_auto(conf, id))
		return conf_found(conf, id, NULL) ? "found" : "not found";
	return conf_is_set(conf, id) ? "file" : "default";
}

static void show_table(const struct conf *conf)
{
	static const char *const headers[] = {"GROUP", "KEY", "VALUE", "FROM", NULL};
	struct table *table = table_new(headers);

	for (int id = 0; id < CONF_COUNT; id++) {
		table_cell(table, conf_table[id].group);
		table_cell(table, conf_table[id].key);
		table_cell(table, conf_string(conf, (enum conf_id)id));
		table_cell(table, value_origin(conf, (enum conf_id)id));
	}
	g_autofree char *text = table_text(table);
	fputs(text, stdout);
	table_free(table);
}

static void show_json(const struct conf *conf)
{
	json_t *all = json_object();

	for (int id = 0; id < CONF_COUNT; id++) {
		const struct conf_key *key = &conf_table[id];
		json_t *group = json_object_get(all, key->group);

		if (!group) {
			group = json_object();
			json_object_set_new(all, key->group, group);
		}
		json_object_set_new(group, key->key,
			key->type == CONF_INT ? json_integer(conf_int(conf, (enum conf_id)id))
					      : json_string(conf_string(conf, (enum conf_id)id)));
	}
	char *json = json_dumps(all, JSON_INDENT(2));
	puts(json);
	free(json);
	json_decref(all);
}

int command_config_show(const struct context *context)
{
	g_autoptr(GError) error = NULL;
	struct conf *conf = conf_load(context->conf_path, &error);

	if (!conf) {
		fprintf(stderr, "%s\n", error->message);
		return EXIT_FAILED;
	}
	if (context->json)
		show_json(conf);
	else
		show_table(conf);
	conf_free(conf);
	return EXIT_DONE;
}
