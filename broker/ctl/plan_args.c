/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/ctl/plan_args.h"
#include "broker/ctl/command.h"

#include <string.h>

G_DEFINE_QUARK(carrel - plan - error, plan_error)

enum { OF_PLAN = 1, OF_SIMULATE = 2 };

static const struct option {
	const char *name, *value;
	size_t offset; /* in struct plan_args */
	unsigned commands;
} options[] = {
	{"servers", "LIST", offsetof(struct plan_args, servers), OF_PLAN | OF_SIMULATE},
	{"max", "SIZE", offsetof(struct plan_args, max), OF_PLAN | OF_SIMULATE},
	{"min", "SIZE", offsetof(struct plan_args, min), OF_PLAN | OF_SIMULATE},
	{"standby", "K", offsetof(struct plan_args, standby), OF_PLAN | OF_SIMULATE},
	{"host-reserve", "SIZE", offsetof(struct plan_args, host_reserve), OF_PLAN | OF_SIMULATE},
	{"overhead", "SIZE", offsetof(struct plan_args, overhead), OF_PLAN | OF_SIMULATE},
	{"users", "N", offsetof(struct plan_args, users), OF_PLAN},
	{"fail", "SERVER", offsetof(struct plan_args, fail), OF_PLAN},
	{"seats", "N", offsetof(struct plan_args, seats), OF_PLAN},
	{"chart", "FILE", offsetof(struct plan_args, chart), OF_PLAN},
	{"trace", "FILE", offsetof(struct plan_args, trace), OF_SIMULATE},
};

static char **value_of(const struct plan_args *args, const struct option *option)
{
	return (char **)(void *)((char *)args + option->offset);
}

gboolean plan_args_wanted(char *const *argv)
{
	const char *word = command_first_word(argv);

	return word && (!strcmp(word, "plan") || !strcmp(word, "simulate"));
}

GOptionGroup *plan_args_group(struct plan_args *args)
{
	GOptionGroup *group = g_option_group_new("plan", "", "", NULL, NULL);
	GOptionEntry entries[G_N_ELEMENTS(options) + 2] = {
		{"live", 0, 0, G_OPTION_ARG_NONE, &args->live, NULL, NULL}};

	for (size_t i = 0; i < G_N_ELEMENTS(options); i++)
		entries[i + 1] = (GOptionEntry){options[i].name, 0, 0, G_OPTION_ARG_STRING,
			value_of(args, &options[i]), NULL, options[i].value};
	g_option_group_add_entries(group, entries);
	return group;
}

void plan_args_clear(struct plan_args *args)
{
	for (size_t i = 0; i < G_N_ELEMENTS(options); i++)
		g_clear_pointer(value_of(args, &options[i]), g_free);
}

const char *plan_args_stray(const struct plan_args *args, const char *command)
{
	static char stray[32];
	unsigned of = !strcmp(command, "plan")       ? OF_PLAN
		      : !strcmp(command, "simulate") ? OF_SIMULATE
						     : 0;

	for (size_t i = 0; i < G_N_ELEMENTS(options); i++) {
		if (*value_of(args, &options[i]) && !(options[i].commands & of)) {
			g_snprintf(stray, sizeof(stray), "--%s", options[i].name);
			return stray;
		}
	}
	return args->live && of != OF_PLAN ? "--live" : NULL;
}

/* Digits from the front of `text`; false when there are none or they are too many. */
static gboolean digits(const char *text, const char **end, uint64_t *number)
{
	uint64_t n = 0;
	const char *p = text;

	for (; g_ascii_isdigit(*p); p++) {
		uint64_t digit = (uint64_t)(*p - '0');
		if (n > (UINT64_MAX - digit) / 10)
			return FALSE;
		n = n * 10 + digit;
	}
	*end = p;
	*number = n;
	return p > text;
}

gboolean plan_size(const char *text, const char *what, uint32_t *mib, GError **error)
{
	static const struct {
		const char *suffix;
		uint64_t factor;
	} suffixes[] = {{"", 1}, {"M", 1}, {"MiB", 1}, {"G", 1024}, {"GiB", 1024}};
	uint64_t number = 0;
	const char *end = text;

	if (digits(text, &end, &number)) {
		for (size_t i = 0; i < G_N_ELEMENTS(suffixes); i++) {
			if (g_ascii_strcasecmp(end, suffixes[i].suffix))
				continue;
			if (number == 0) {
				g_set_error(error, PLAN_ERROR, PLAN_ERROR_USAGE,
					"%s: %.40s is too small; the smallest size is 1 MiB", what,
					text);
				return FALSE;
			}
			if (number > UINT32_MAX / suffixes[i].factor)
				break;
			*mib = (uint32_t)(number * suffixes[i].factor);
			return TRUE;
		}
	}
	g_set_error(error, PLAN_ERROR, PLAN_ERROR_USAGE,
		"%s: \"%.40s\" is not a size; give MiB from 1 to %u, or such as 4GiB", what, text,
		UINT32_MAX);
	return FALSE;
}

gboolean plan_count(const char *text, const char *what, uint64_t least, uint64_t most,
	uint64_t *count, GError **error)
{
	const char *end = text;

	if (digits(text, &end, count) && !*end && *count >= least && *count <= most)
		return TRUE;
	g_set_error(error, PLAN_ERROR, PLAN_ERROR_USAGE,
		"%s: \"%.40s\" is not a number from %" G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT,
		what, text, least, most);
	return FALSE;
}

static void server_clear(gpointer data)
{
	g_free(((struct plan_server *)data)->name);
}

static gboolean name_known(const GArray *servers, const char *name)
{
	for (guint i = 0; i < servers->len; i++)
		if (!g_strcmp0(g_array_index(servers, struct plan_server, i).name, name))
			return TRUE;
	return FALSE;
}

/* A name that --fail can say: no number, no blank. */
static gboolean name_check(
	const GArray *servers, const char *name, const char *what, GError **error)
{
	const char *wrong = NULL;

	if (!*name)
		wrong = "a name is missing before =";
	else if (strspn(name, "0123456789") == strlen(name))
		wrong = "a name that is a number would be taken for an index";
	else if (!g_utf8_validate(name, -1, NULL) || strpbrk(name, " \t\r\n\"\\"))
		wrong = "a name has no blanks or quotation marks";
	else if (name_known(servers, name))
		wrong = "two servers have this name";
	if (wrong)
		g_set_error(error, PLAN_ERROR, PLAN_ERROR_USAGE, "%s: \"%.40s\": %s", what, name,
			wrong);
	return wrong == NULL;
}

/* One element: [NAME=][COUNTx]SIZE. */
static gboolean add_element(GArray *servers, char *element, guint number, GError **error)
{
	g_autofree char *what = g_strdup_printf("--servers: element %u", number);
	char *equals = strchr(element, '=');
	const char *size = equals ? equals + 1 : element, *end = size;
	struct plan_server server = {0};
	uint64_t count = 1;

	if (!*element) {
		g_set_error(error, PLAN_ERROR, PLAN_ERROR_USAGE,
			"%s is empty; give sizes with commas between, such as 4096,4096", what);
		return FALSE;
	}
	if (equals) {
		*equals = '\0';
		if (!name_check(servers, element, what, error))
			return FALSE;
	} else if (digits(size, &end, &count) && *end == 'x') {
		size = end + 1;
		if (count == 0 || count > PLAN_SERVERS_MOST) {
			g_set_error(error, PLAN_ERROR, PLAN_ERROR_USAGE,
				"%s: \"%.40s\": the number before x goes from 1 to %d", what,
				element, PLAN_SERVERS_MOST);
			return FALSE;
		}
	} else {
		count = 1;
	}
	if (!plan_size(size, what, &server.memory_mib, error))
		return FALSE;
	if (servers->len + count > PLAN_SERVERS_MOST) {
		g_set_error(error, PLAN_ERROR, PLAN_ERROR_USAGE, "--servers: more than %d servers",
			PLAN_SERVERS_MOST);
		return FALSE;
	}
	server.name = equals ? g_strdup(element) : NULL;
	for (uint64_t i = 0; i < count; i++)
		g_array_append_val(servers, server);
	return TRUE;
}

GArray *plan_servers(const char *text, GError **error)
{
	g_auto(GStrv) elements = g_strsplit(text, ",", -1);
	GArray *servers = g_array_new(FALSE, FALSE, sizeof(struct plan_server));

	g_array_set_clear_func(servers, server_clear);
	if (!*text) {
		g_set_error(error, PLAN_ERROR, PLAN_ERROR_USAGE,
			"--servers: no server is given; give sizes with commas between, such as "
			"4096,4096");
		g_array_unref(servers);
		return NULL;
	}
	for (guint i = 0; elements[i]; i++) {
		if (!add_element(servers, g_strstrip(elements[i]), i + 1, error)) {
			g_array_unref(servers);
			return NULL;
		}
	}
	return servers;
}

/* An option's size, or what it is without the option; `zero`: "0" is a size too. */
static gboolean size_or(const char *text, const char *what, gboolean zero, uint32_t otherwise,
	uint32_t *mib, GError **error)
{
	*mib = text && zero && !strcmp(text, "0") ? 0 : otherwise;
	return !text || (zero && !strcmp(text, "0")) || plan_size(text, what, mib, error);
}

static gboolean site_fill(struct plan_site *site, const struct plan_args *args,
	const struct plan_site *defaults, GError **error)
{
	uint32_t max, min;
	uint64_t standby = defaults->standby;

	if (!size_or(args->max, "--max", FALSE, defaults->tiers.max_mib, &max, error) ||
		!size_or(args->min, "--min", FALSE, defaults->tiers.min_mib, &min, error) ||
		!size_or(args->host_reserve, "--host-reserve", TRUE, defaults->host_reserve_mib,
			&site->host_reserve_mib, error) ||
		!size_or(args->overhead, "--overhead", TRUE, defaults->overhead_mib,
			&site->overhead_mib, error) ||
		(args->standby &&
			!plan_count(args->standby, "--standby", 0, 1000000, &standby, error)))
		return FALSE;
	site->standby = (uint32_t)standby;
	if (!max || !min)
		g_set_error(error, PLAN_ERROR, PLAN_ERROR_USAGE,
			"--%s is missing: the memory of the %s desktop", max ? "min" : "max",
			max ? "smallest" : "largest");
	else if (site->overhead_mib > UINT32_MAX - min)
		g_set_error(error, PLAN_ERROR, PLAN_ERROR_USAGE,
			"--overhead: %u MiB on top of %u MiB are too many", site->overhead_mib,
			min);
	else if (!tier_table_init(&site->tiers, max, min, site->overhead_mib))
		g_set_error(error, PLAN_ERROR, PLAN_ERROR_USAGE,
			"--max %u is not --min %u times a power of two: sizes are halved from the "
			"largest to the smallest",
			max, min);
	else
		return TRUE;
	return FALSE;
}

struct plan_site *plan_site_of(const struct plan_args *args, GArray *servers,
	const struct plan_site *defaults, GError **error)
{
	struct plan_site *site = g_new0(struct plan_site, 1);

	site->servers = servers;
	if (!site_fill(site, args, defaults, error))
		g_clear_pointer(&site, plan_site_free);
	return site;
}

struct plan_site *plan_site_new(const struct plan_args *args, GError **error)
{
	const struct plan_site defaults = {0};
	GArray *servers;

	if (!args->servers) {
		g_set_error(error, PLAN_ERROR, PLAN_ERROR_USAGE,
			"--servers is missing: the memory of each server, such as 4096,4096");
		return NULL;
	}
	servers = plan_servers(args->servers, error);
	return servers ? plan_site_of(args, servers, &defaults, error) : NULL;
}

void plan_site_free(struct plan_site *site)
{
	if (!site)
		return;
	g_array_unref(site->servers);
	g_free(site);
}

const struct plan_server *plan_site_server(const struct plan_site *site, size_t index)
{
	return &g_array_index(site->servers, struct plan_server, index);
}

gboolean plan_site_find(
	const struct plan_site *site, const char *name, size_t *index, GError **error)
{
	const char *end = name;
	uint64_t number;

	if (digits(name, &end, &number) && !*end && number < site->servers->len) {
		*index = (size_t)number;
		return TRUE;
	}
	for (guint i = 0; i < site->servers->len; i++) {
		if (!g_strcmp0(plan_site_server(site, i)->name, name)) {
			*index = i;
			return TRUE;
		}
	}
	g_set_error(error, PLAN_ERROR, PLAN_ERROR_USAGE,
		"there is no server \"%.40s\": indexes go from 0 to %u", name,
		site->servers->len - 1);
	return FALSE;
}

char *plan_server_text(const struct plan_site *site, size_t index)
{
	const char *name = plan_site_server(site, index)->name;

	return name ? g_strdup_printf("server %zu (%s)", index, name)
		    : g_strdup_printf("server %zu", index);
}
