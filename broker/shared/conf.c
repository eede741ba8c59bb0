/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/shared/conf.h"
#include "broker/shared/conf_find.h"
#include "broker/shared/log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

const struct conf_key conf_table[CONF_COUNT] = {
#define CONF_KEY(id, ...) [CONF_##id] = {__VA_ARGS__},
#include "broker/shared/conf_keys.h"
#undef CONF_KEY
};

struct conf {
	char *file;               /* owned: the name given to conf_parse */
	char *values[CONF_COUNT]; /* owned, never NULL once loaded */
	gint64 ints[CONF_COUNT];
	gboolean set[CONF_COUNT], found[CONF_COUNT];   /* in the file; found out on this machine */
	char *lacks[CONF_COUNT];                       /* owned: why it could not be; or NULL */
	guint32 first[CONF_COUNT], second[CONF_COUNT]; /* CIDR: address, mask; range: first, last */
};

G_DEFINE_QUARK(carrel - conf - error, conf_error)

static void problem_free(gpointer data)
{
	struct conf_problem *problem = data;

	g_free(problem->text);
	g_free(problem);
}

GPtrArray *conf_problems_new(void)
{
	return g_ptr_array_new_with_free_func(problem_free);
}

void conf_problem_add(GPtrArray *problems, unsigned line, const char *format, ...)
{
	struct conf_problem *problem = g_new0(struct conf_problem, 1);
	va_list ap;

	va_start(ap, format);
	problem->text = g_strdup_vprintf(format, ap);
	va_end(ap);
	problem->line = line;
	g_ptr_array_add(problems, problem);
}

static gboolean parse_ipv4(const char *text, guint32 *address)
{
	struct in_addr in;

	if (inet_pton(AF_INET, text, &in) != 1)
		return FALSE;
	*address = ntohl(in.s_addr);
	return TRUE;
}

static gboolean parse_int(const char *text, gint64 *value)
{
	return g_ascii_string_to_signed(text, 10, G_MININT64, G_MAXINT64, value, NULL);
}

/* "HH:MM" as minutes of the day. */
static gboolean parse_time(const char *text, gint64 *minutes)
{
	static const char form[] = "00:00";

	for (size_t i = 0; i < sizeof(form); i++)
		if (form[i] == '0' ? !g_ascii_isdigit(text[i]) : text[i] != form[i])
			return FALSE;
	*minutes = (text[0] * 10 + text[1] - 11 * '0') * 60 + text[3] * 10 + text[4] - 11 * '0';
	return text[0] * 10 + text[1] - 11 * '0' < 24 && text[3] < '6';
}

static gboolean parse_cidr(const char *text, guint32 *address, guint32 *mask)
{
	g_auto(GStrv) parts = g_strsplit(text, "/", 2);
	gint64 length;

	if (!parts[0] || !parts[1] || !parse_ipv4(parts[0], address) ||
		!parse_int(parts[1], &length) || length < 1 || length > 30)
		return FALSE;
	*mask = ~0u << (32 - (guint32)length);
	return TRUE;
}

static gboolean parse_range(const char *text, guint32 *first, guint32 *last)
{
	g_auto(GStrv) parts = g_strsplit(text, "-", 2);

	return parts[0] && parts[1] && parse_ipv4(g_strstrip(parts[0]), first) &&
	       parse_ipv4(g_strstrip(parts[1]), last) && *first <= *last;
}

static gboolean in_choices(const char *choices, const char *value)
{
	g_auto(GStrv) list = g_strsplit(choices, "|", -1);

	return g_strv_contains((const char *const *)list, value);
}

/* A word of ASCII letters, digits and `also`, which can be part of a path or a rule as it is. */
static gboolean is_word(const char *text, const char *also, gsize max)
{
	if (!*text || strlen(text) > max || *text == '.' || *text == '-')
		return FALSE;
	for (const char *p = text; *p; p++)
		if (!g_ascii_isalnum(*p) && !strchr(also, *p))
			return FALSE;
	return TRUE;
}

/* No character acts in a terminal or breaks a line. */
static gboolean is_plain(const char *text)
{
	for (const char *p = text; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return FALSE;
	return TRUE;
}

static char **parse_command(const char *text)
{
	char **words = NULL;

	if (!g_shell_parse_argv(text, NULL, &words, NULL))
		return NULL;
	if (g_path_is_absolute(words[0]))
		return words;
	g_strfreev(words);
	return NULL;
}

static gboolean is_command(const char *text)
{
	g_auto(GStrv) words = parse_command(text);

	return !*text || (is_plain(text) && words);
}

/* Can the value be found out on this machine? Other keys' "auto" is a choice like any. */
static gboolean is_findable(enum conf_id id)
{
	const struct conf_key *key = &conf_table[id];

	return !strcmp(key->default_value, CONF_AUTO) &&
	       (key->type == CONF_INTERFACE || key->type == CONF_CIDR || key->type == CONF_RANGE);
}

/* Parses one value into conf; returns NULL or what is allowed (static or from log_fmt). */
static const char *value_set(struct conf *conf, enum conf_id id, const char *text)
{
	const struct conf_key *key = &conf_table[id];
	gint64 number;

	switch (is_findable(id) && !strcmp(text, CONF_AUTO) ? CONF_STRING : key->type) {
	case CONF_STRING:
		if (!is_plain(text))
			return "text without control characters";
		break;
	case CONF_INTERFACE:
		if (!is_word(text, "._-@", 15))
			return "the name of an interface: up to 15 letters, digits, '.', '_', '-' "
			       "or '@'";
		break;
	case CONF_NAME:
		if (!is_word(text, "._-", 64))
			return "a name of letters, digits, '.', '_' and '-', not beginning with "
			       "'.' or '-'";
		break;
	case CONF_INT:
		if (!parse_int(text, &number) || number < key->min || number > key->max)
			return log_fmt("a whole number from %" G_GINT64_FORMAT
				       " to %" G_GINT64_FORMAT,
				key->min, key->max);
		conf->ints[id] = number;
		break;
	case CONF_TIME:
		if (!parse_time(text, &conf->ints[id]))
			return "a time of the day from 00:00 to 23:59";
		break;
	case CONF_ENUM:
		if (!in_choices(key->choices, text))
			return log_fmt("one of %s", key->choices);
		break;
	case CONF_ENUM_TIME:
		if (in_choices(key->choices, text))
			conf->ints[id] = -1;
		else if (!parse_time(text, &conf->ints[id]))
			return log_fmt(
				"one of %s, or a time of the day, such as 22:30", key->choices);
		break;
	case CONF_CIDR:
		if (!parse_cidr(text, &conf->first[id], &conf->second[id]))
			return "an IPv4 address with a prefix of 1 to 30, such as 10.77.0.1/24";
		break;
	case CONF_RANGE:
		if (!parse_range(text, &conf->first[id], &conf->second[id]))
			return "two IPv4 addresses from low to high, such as "
			       "10.77.0.100-10.77.0.250";
		break;
	case CONF_PATH:
		if (!g_path_is_absolute(text))
			return "an absolute path";
		break;
	case CONF_COMMAND:
		if (!is_command(text))
			return "a command: the absolute path of a program and its words, with "
			       "quotes that are closed again";
		break;
	}
	g_free(conf->values[id]);
	conf->values[id] = g_strdup(text);
	return NULL;
}

/* The first line of `text` that is "[group]", or "key = ..." below it when key is not NULL; 0 if
 * none. */
static unsigned line_of(const char *text, const char *group, const char *key)
{
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
	g_autofree char *header = g_strdup_printf("[%s]", group);
	gboolean inside = FALSE;

	for (unsigned i = 0; lines[i]; i++) {
		const char *line = g_strstrip(lines[i]);

		if (line[0] == '[') {
			inside = strcmp(line, header) == 0;
			if (inside && !key)
				return i + 1;
		} else if (inside && key && g_str_has_prefix(line, key)) {
			const char *rest = line + strlen(key);

			while (g_ascii_isspace(*rest))
				rest++;
			if (*rest == '=')
				return i + 1;
		}
	}
	return 0;
}

static enum conf_id find_key(const char *group, const char *key)
{
	for (int id = 0; id < CONF_COUNT; id++)
		if (!strcmp(conf_table[id].group, group) &&
			(!key || !strcmp(conf_table[id].key, key)))
			return (enum conf_id)id;
	return CONF_COUNT;
}

static char *group_names(void)
{
	GString *names = g_string_new(conf_table[0].group);

	for (int id = 1; id < CONF_COUNT; id++)
		if (strcmp(conf_table[id].group, conf_table[id - 1].group) != 0)
			g_string_append_printf(names, ", %s", conf_table[id].group);
	return g_string_free(names, FALSE);
}

static void read_group(
	struct conf *conf, GKeyFile *file, const char *text, const char *group, GPtrArray *problems)
{
	g_auto(GStrv) keys = g_key_file_get_keys(file, group, NULL, NULL);

	if (find_key(group, NULL) == CONF_COUNT) {
		g_autofree char *allowed = group_names();

		conf_problem_add(problems, line_of(text, group, NULL),
			"unknown group [%s]; allowed: %s", group, allowed);
		return;
	}
	for (unsigned i = 0; keys && keys[i]; i++) {
		enum conf_id id = find_key(group, keys[i]);
		unsigned line = line_of(text, group, keys[i]);
		g_autofree char *value = g_key_file_get_string(file, group, keys[i], NULL);
		const char *allowed;

		/* GKeyFile keeps blanks and a carriage return at the end of a line. */
		if (value)
			g_strchomp(value);
		if (id == CONF_COUNT) {
			conf_problem_add(problems, line,
				"[%s] has no key \"%s\"; see carrel.conf(5)", group, keys[i]);
			continue;
		}
		allowed = value ? value_set(conf, id, value) : "UTF-8 text";
		if (allowed)
			conf_problem_add(problems, line, "[%s] %s = %s: allowed is %s", group,
				keys[i], value ? value : "?", allowed);
		conf->set[id] = TRUE;
	}
}

static gboolean networks_overlap(guint32 a, guint32 a_mask, guint32 b, guint32 b_mask)
{
	guint32 mask = a_mask & b_mask;

	return (a & mask) == (b & mask);
}

/* A problem of one key's value, told with its line. */
static void value_problem(const struct conf *conf, const char *text, GPtrArray *problems,
	enum conf_id id, const char *what)
{
	const struct conf_key *key = &conf_table[id];

	conf_problem_add(problems, line_of(text, key->group, key->key), "[%s] %s = %s%s",
		key->group, key->key, conf->values[id], what);
}

static gboolean is_unknown(const struct conf *conf, enum conf_id id)
{
	return is_findable(id) && !strcmp(conf->values[id], CONF_AUTO);
}

/* Takes what a finder gave, which is owned. */
static void take_found(struct conf *conf, enum conf_id id, char *value)
{
	conf->found[id] = value != NULL;
	if (value)
		value_set(conf, id, value);
	g_free(value);
}

/* Replaces what is "auto": the PCs' side by the interface, then the servers' side. */
static void find_networks(struct conf *conf, const GArray *links)
{
	const char *client = conf->values[CONF_NETWORK_CLIENT_INTERFACE];
	guint32 address, mask;
	char **lacks = conf->lacks;

	if (is_unknown(conf, CONF_NETWORK_CLIENT_ADDRESS) && links)
		take_found(conf, CONF_NETWORK_CLIENT_ADDRESS,
			conf_find_client_address(
				links, client, &lacks[CONF_NETWORK_CLIENT_ADDRESS]));
	conf_cidr(conf, CONF_NETWORK_CLIENT_ADDRESS, &address, &mask);
	if (is_unknown(conf, CONF_NETWORK_CLIENT_RANGE) && mask)
		take_found(conf, CONF_NETWORK_CLIENT_RANGE, conf_find_client_range(address, mask));
	conf_cidr(conf, CONF_NETWORK_SERVER_NETWORK, &address, &mask);
	if (is_unknown(conf, CONF_NETWORK_SERVER_INTERFACE) && links)
		take_found(conf, CONF_NETWORK_SERVER_INTERFACE,
			conf_find_server_interface(links, client, address, mask,
				&lacks[CONF_NETWORK_SERVER_INTERFACE]));
	if (is_unknown(conf, CONF_NETWORK_SERVER_NETWORK) && links &&
		!is_unknown(conf, CONF_NETWORK_SERVER_INTERFACE))
		take_found(conf, CONF_NETWORK_SERVER_NETWORK,
			conf_find_server_network(links, conf->values[CONF_NETWORK_SERVER_INTERFACE],
				&lacks[CONF_NETWORK_SERVER_NETWORK]));
}

static void check_networks(const struct conf *conf, const char *text, GPtrArray *problems)
{
	guint32 address, mask, first, last, server, server_mask;
	gboolean gives = strcmp(conf->values[CONF_NETWORK_DHCP], "proxy") != 0 &&
			 !is_unknown(conf, CONF_NETWORK_CLIENT_RANGE);
	g_autofree char *own =
		g_strdup_printf("client_address = %s", conf->values[CONF_NETWORK_CLIENT_ADDRESS]);
	g_autofree char *outside = g_strconcat(" lies outside the network of ", own, NULL);
	g_autofree char *covers = g_strconcat(" overlaps the boot server's own ", own, NULL);
	g_autofree char *overlap = g_strconcat(" overlaps the network of ", own, NULL);

	conf_cidr(conf, CONF_NETWORK_CLIENT_ADDRESS, &address, &mask);
	conf_range(conf, CONF_NETWORK_CLIENT_RANGE, &first, &last);
	conf_cidr(conf, CONF_NETWORK_SERVER_NETWORK, &server, &server_mask);
	if (mask && ((address & ~mask) == 0 || (address | mask) == ~0u))
		value_problem(conf, text, problems, CONF_NETWORK_CLIENT_ADDRESS,
			" is the network's own or its broadcast address: allowed is one of a host");
	if (gives && ((first & mask) != (address & mask) || (last & mask) != (address & mask)))
		value_problem(conf, text, problems, CONF_NETWORK_CLIENT_RANGE, outside);
	else if (gives && first <= address && address <= last)
		value_problem(conf, text, problems, CONF_NETWORK_CLIENT_RANGE, covers);
	if (mask && server_mask && networks_overlap(address, mask, server, server_mask))
		value_problem(conf, text, problems, CONF_NETWORK_SERVER_NETWORK, overlap);
	if (!strcmp(conf->values[CONF_NETWORK_CLIENT_INTERFACE],
		    conf->values[CONF_NETWORK_SERVER_INTERFACE]))
		value_problem(conf, text, problems, CONF_NETWORK_SERVER_INTERFACE,
			" is the client_interface too: the two sides need an interface each");
}

/* Ports of the boot server towards the PCs: none may hide another. */
static void check_ports(const struct conf *conf, const char *text, GPtrArray *problems)
{
	static const enum conf_id ports[] = {
		CONF_BROKER_PORT, CONF_BROKER_REPORT_PORT, CONF_BOOT_HTTP_PORT};
	gint64 forward = conf_int(conf, CONF_NETWORK_FORWARD_PORT);

	for (gsize i = 0; i < G_N_ELEMENTS(ports); i++) {
		gint64 port = conf_int(conf, ports[i]);

		if (port >= forward && port < forward + CONF_FORWARD_PORTS)
			value_problem(conf, text, problems, ports[i],
				" is one of the ports that are forwarded to desktops, "
				"see [network] forward_port");
		for (gsize j = 0; j < i; j++) {
			const struct conf_key *other = &conf_table[ports[j]];
			g_autofree char *taken = g_strdup_printf(
				" is the port of [%s] %s too", other->group, other->key);

			if (port == conf_int(conf, ports[j]))
				value_problem(conf, text, problems, ports[i], taken);
		}
	}
}

/* What no single value shows. Only called when every value is right by itself. */
static void check_together(const struct conf *conf, const char *text, GPtrArray *problems)
{
	const char *network = conf_string(conf, CONF_DESKTOP_NETWORK);
	gint64 size = conf_int(conf, CONF_DESKTOP_MIN);
	g_autofree char *tiers = g_strdup_printf(
		" is not min_mib = %s times a power of two", conf->values[CONF_DESKTOP_MIN]);

	check_networks(conf, text, problems);
	check_ports(conf, text, problems);
	while (size < conf_int(conf, CONF_DESKTOP_MAX))
		size *= 2;
	if (size != conf_int(conf, CONF_DESKTOP_MAX))
		value_problem(conf, text, problems, CONF_DESKTOP_MAX, tiers);
	if (strcmp(network, "none") && !g_str_has_prefix(network, "network:") &&
		!g_str_has_prefix(network, "bridge:"))
		value_problem(conf, text, problems, CONF_DESKTOP_NETWORK,
			": allowed is none, network:NAME or bridge:NAME");
}

/* GKeyFile takes the last of a key given twice, in silence; a person wants to know. */
static void check_syntax(const char *text, GPtrArray *problems)
{
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
	g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_autofree char *group = g_strdup("");

	for (unsigned i = 0; lines[i]; i++) {
		char *line = g_strstrip(lines[i]);
		char *equals = strchr(line, '=');
		g_autofree char *name = NULL;

		if (!*line || *line == '#')
			continue;
		if (*line == '[' && g_str_has_suffix(line, "]")) {
			g_free(group);
			group = g_strdup(line);
			continue;
		}
		if (!equals || equals == line) {
			conf_problem_add(problems, i + 1,
				"\"%s\" is neither [group], key = value nor # comment", line);
			continue;
		}
		name = g_strndup(line, (gsize)(equals - line));
		g_strchomp(name);
		char *full = g_strdup_printf("%s %s", group, name);
		unsigned before = GPOINTER_TO_UINT(g_hash_table_lookup(seen, full));
		if (before) {
			conf_problem_add(problems, i + 1,
				"%s is given a second time; first in line %u", full, before);
			g_free(full);
		} else {
			g_hash_table_insert(seen, full, GUINT_TO_POINTER(i + 1));
		}
	}
}

struct conf *conf_parse(
	const char *name, const char *text, gsize length, const GArray *links, GPtrArray *problems)
{
	g_autoptr(GKeyFile) file = g_key_file_new();
	g_autoptr(GError) error = NULL;
	g_autofree char *copy = g_strndup(text, length);
	struct conf *conf = g_new0(struct conf, 1);

	conf->file = g_strdup(name);
	for (int id = 0; id < CONF_COUNT; id++)
		value_set(conf, (enum conf_id)id, conf_table[id].default_value);
	if (!g_utf8_validate(copy, -1, NULL) || strlen(copy) != length) {
		conf_problem_add(problems, 0, "the file is not UTF-8 text");
	} else {
		check_syntax(copy, problems);
		if (!problems->len &&
			!g_key_file_load_from_data(
				file, copy, length, G_KEY_FILE_KEEP_TRANSLATIONS, &error) &&
			length)
			conf_problem_add(problems, 0, "%s", error->message);
	}
	if (!problems->len) {
		g_auto(GStrv) groups = g_key_file_get_groups(file, NULL);

		for (unsigned i = 0; groups[i]; i++)
			read_group(conf, file, copy, groups[i], problems);
	}
	if (!problems->len) {
		find_networks(conf, links);
		check_together(conf, copy, problems);
	}
	if (problems->len) {
		conf_free(conf);
		return NULL;
	}
	return conf;
}

struct conf *conf_load(const char *path, GError **error)
{
	g_autoptr(GPtrArray) problems = conf_problems_new();
	g_autoptr(GError) cause = NULL;
	g_autofree char *text = NULL;
	gsize length;

	if (!g_file_get_contents(path, &text, &length, &cause)) {
		g_set_error(error, CONF_ERROR, CONF_ERROR_FILE, "cannot read the configuration: %s",
			cause->message);
		return NULL;
	}
	g_autoptr(GArray) links = conf_links_read();
	struct conf *conf = conf_parse(path, text, length, links, problems);
	if (!conf) {
		g_autoptr(GString) all = g_string_new(NULL);

		for (unsigned i = 0; i < problems->len; i++) {
			const struct conf_problem *problem = problems->pdata[i];

			g_string_append_printf(all, "%s%s:", i ? "\n" : "", path);
			if (problem->line)
				g_string_append_printf(all, "%u:", problem->line);
			g_string_append_printf(all, " %s", problem->text);
		}
		g_set_error_literal(error, CONF_ERROR, CONF_ERROR_INVALID, all->str);
	}
	return conf;
}

void conf_free(struct conf *conf)
{
	if (!conf)
		return;
	for (int id = 0; id < CONF_COUNT; id++) {
		g_free(conf->values[id]);
		g_free(conf->lacks[id]);
	}
	g_free(conf->file);
	g_free(conf);
}

const char *conf_file(const struct conf *conf)
{
	return conf->file;
}

const char *conf_string(const struct conf *conf, enum conf_id id)
{
	return conf->values[id];
}

gint64 conf_int(const struct conf *conf, enum conf_id id)
{
	g_assert(conf_table[id].type == CONF_INT || conf_table[id].type == CONF_TIME ||
		 conf_table[id].type == CONF_ENUM_TIME);
	return conf->ints[id];
}

gboolean conf_is_set(const struct conf *conf, enum conf_id id)
{
	return conf->set[id];
}

gboolean conf_is_auto(const struct conf *conf, enum conf_id id)
{
	return conf->found[id] || is_unknown(conf, id);
}

gboolean conf_found(const struct conf *conf, enum conf_id id, GError **error)
{
	const struct conf_key *key = &conf_table[id];

	if (!is_unknown(conf, id))
		return TRUE;
	/* the network of an interface that was not found */
	if (id == CONF_NETWORK_SERVER_NETWORK && !conf->lacks[id])
		return conf_found(conf, CONF_NETWORK_SERVER_INTERFACE, error);
	if (id == CONF_NETWORK_CLIENT_RANGE)
		return conf_found(conf, CONF_NETWORK_CLIENT_ADDRESS, error);
	g_set_error(error, CONF_ERROR, CONF_ERROR_NOT_FOUND, "[%s] %s could not be found out: %s",
		key->group, key->key,
		conf->lacks[id] ? conf->lacks[id] : "this machine's interfaces are not known");
	return FALSE;
}

void conf_cidr(const struct conf *conf, enum conf_id id, guint32 *address, guint32 *mask)
{
	g_assert(conf_table[id].type == CONF_CIDR);
	*address = conf->first[id];
	*mask = conf->second[id];
}

void conf_range(const struct conf *conf, enum conf_id id, guint32 *first, guint32 *last)
{
	g_assert(conf_table[id].type == CONF_RANGE);
	*first = conf->first[id];
	*last = conf->second[id];
}

char **conf_command(const struct conf *conf, enum conf_id id)
{
	g_assert(conf_table[id].type == CONF_COMMAND);
	return parse_command(conf->values[id]);
}

char *conf_path(const struct conf *conf, enum conf_id folder, const char *name)
{
	g_assert(conf_table[folder].type == CONF_PATH);
	return g_build_filename(conf->values[folder], name, NULL);
}

char *conf_cidr_text(guint32 address, guint32 mask)
{
	return g_strdup_printf("%s/%d", conf_ipv4(address), __builtin_popcount(mask));
}

const char *conf_ipv4(guint32 address)
{
	return log_fmt("%u.%u.%u.%u", address >> 24, address >> 16 & 255, address >> 8 & 255,
		address & 255);
}
