/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/virt/domain_info.h"
#include "broker/virt/domain_xml.h"
#include "broker/virt/virt.h"

#include <string.h>

/* Elements that matter lie at depth 2 (name, memory, currentMemory) and 3 or 4 (below devices). */
struct parse {
	struct domain_info *info;
	GString *text;     /* of the element that is being read */
	gboolean in_vnc;   /* below <graphics type='vnc'> */
	gboolean in_disk;  /* below <devices><disk> */
	char *memory_unit; /* owned */
};

static const char *attribute(const char **names, const char **values, const char *name)
{
	for (unsigned i = 0; names[i]; i++)
		if (!strcmp(names[i], name))
			return values[i];
	return NULL;
}

static gboolean at(GMarkupParseContext *context, const char *parent, unsigned depth)
{
	const GSList *stack = g_markup_parse_context_get_element_stack(context);

	return g_slist_length((GSList *)stack) == depth && stack->next &&
	       !strcmp(stack->next->data, parent);
}

static void graphics_begin(struct parse *parse, const char **names, const char **values)
{
	const char *type = attribute(names, values, "type");
	const char *port = attribute(names, values, "port");
	const char *listen = attribute(names, values, "listen");
	gint64 number;

	parse->in_vnc = type && !strcmp(type, "vnc");
	if (!parse->in_vnc)
		return;
	if (port && g_ascii_string_to_signed(port, 10, 1, 65535, &number, NULL))
		parse->info->vnc_port = (uint16_t)number;
	g_free(parse->info->vnc_host);
	parse->info->vnc_host = g_strdup(listen);
}

static void disk_part(
	struct parse *parse, const char *name, const char **names, const char **values)
{
	struct domain_info *info = parse->info;
	char **field = NULL;
	const char *value = NULL;

	if (!strcmp(name, "source")) {
		field = &info->disks[info->disk_count].path;
		value = attribute(names, values, "file");
		if (!value)
			value = attribute(names, values, "dev");
	} else if (!strcmp(name, "alias")) {
		field = &info->disks[info->disk_count].alias;
		value = attribute(names, values, "name");
	} else if (!strcmp(name, "target")) {
		field = &info->disks[info->disk_count].target;
		value = attribute(names, values, "dev");
	}
	if (field && value) {
		g_free(*field);
		*field = g_strdup(value);
	}
}

/* What domain_xml wrote down there. */
static void metadata_begin(struct domain_info *info, const char **names, const char **values)
{
	const char *guest = attribute(names, values, "guest");

	g_free(info->image);
	info->image = g_strdup(attribute(names, values, "image"));
	info->guest = guest && strcmp(guest, "no") != 0;
	info->qemu_ga = g_strcmp0(guest, "qemu-ga") == 0;
}

static gboolean is_memory(const char *name)
{
	return !strcmp(name, "memory") || !strcmp(name, "currentMemory");
}

static void element_begin(GMarkupParseContext *context, const char *name, const char **names,
	const char **values, gpointer user, GError **error)
{
	struct parse *parse = user;

	g_string_truncate(parse->text, 0);
	if (g_markup_parse_context_get_element_stack(context)->next == NULL) {
		if (strcmp(name, "domain") != 0)
			g_set_error(error, G_MARKUP_ERROR, G_MARKUP_ERROR_UNKNOWN_ELEMENT,
				"it is not a domain");
		parse->info->emulated = g_strcmp0(attribute(names, values, "type"), "qemu") == 0;
		return;
	}
	if (is_memory(name) && at(context, "domain", 2)) {
		g_free(parse->memory_unit);
		parse->memory_unit = g_strdup(attribute(names, values, "unit"));
	} else if (!strcmp(name, "carrel:desktop") && at(context, "metadata", 3)) {
		metadata_begin(parse->info, names, values);
	} else if (!strcmp(name, "graphics") && at(context, "devices", 3)) {
		graphics_begin(parse, names, values);
	} else if (parse->in_vnc && !strcmp(name, "listen") && at(context, "graphics", 4)) {
		const char *address = attribute(names, values, "address");

		if (address && !parse->info->vnc_host)
			parse->info->vnc_host = g_strdup(address);
	} else if (!strcmp(name, "memballoon") && at(context, "devices", 3)) {
		const char *model = attribute(names, values, "model");

		parse->info->balloon = model && strcmp(model, "none") != 0;
	} else if (!strcmp(name, "disk") && at(context, "devices", 3)) {
		parse->in_disk = parse->info->disk_count < DOMAIN_DISKS_MAX;
	} else if (parse->in_disk && at(context, "disk", 4)) {
		disk_part(parse, name, names, values);
	}
}

/* MiB, rounded up, of a number in one of libvirt's units; its own output is always KiB. */
static uint32_t to_mib(const char *text, const char *unit)
{
	guint64 number;

	if (!g_ascii_string_to_unsigned(text, 10, 0, G_MAXUINT32 * (guint64)1024, &number, NULL))
		return 0;
	if (!unit || !strcmp(unit, "KiB"))
		number = (number + 1023) / 1024;
	else if (strcmp(unit, "MiB") != 0)
		return 0;
	return (uint32_t)MIN(number, G_MAXUINT32);
}

static void element_end(
	GMarkupParseContext *context, const char *name, gpointer user, GError **error)
{
	struct parse *parse = user;

	(void)error;
	if (!strcmp(name, "name") && at(context, "domain", 2)) {
		g_free(parse->info->name);
		parse->info->name = g_strdup(parse->text->str);
		parse->info->desktop = domain_id(parse->info->name);
	} else if (is_memory(name) && at(context, "domain", 2)) {
		uint32_t mib = to_mib(parse->text->str, parse->memory_unit);

		if (name[0] == 'm')
			parse->info->largest_mib = mib;
		/* currentMemory counts, wherever it stands. */
		if (name[0] == 'c' || !parse->info->memory_mib)
			parse->info->memory_mib = mib;
	} else if (!strcmp(name, "graphics")) {
		parse->in_vnc = FALSE;
	} else if (parse->in_disk && !strcmp(name, "disk") && at(context, "devices", 3)) {
		parse->in_disk = FALSE;
		parse->info->disk_count++;
	}
}

static void text_found(
	GMarkupParseContext *context, const char *text, gsize length, gpointer user, GError **error)
{
	struct parse *parse = user;

	(void)context;
	(void)error;
	if (parse->text->len + length < 4096)
		g_string_append_len(parse->text, text, (gssize)length);
}

struct domain_info *domain_info_parse(const char *xml, size_t length, GError **error)
{
	static const GMarkupParser parser = {
		.start_element = element_begin, .end_element = element_end, .text = text_found};
	struct parse parse = {.info = g_new0(struct domain_info, 1), .text = g_string_new(NULL)};
	GMarkupParseContext *context =
		g_markup_parse_context_new(&parser, G_MARKUP_PREFIX_ERROR_POSITION, &parse, NULL);
	g_autoptr(GError) cause = NULL;
	gboolean good = g_markup_parse_context_parse(context, xml, (gssize)length, &cause) &&
			g_markup_parse_context_end_parse(context, &cause);

	g_markup_parse_context_free(context);
	g_string_free(parse.text, TRUE);
	g_free(parse.memory_unit);
	if (good && parse.info->name)
		return parse.info;
	g_set_error(error, VIRT_ERROR, VIRT_ERROR_LIBVIRT,
		"the hypervisor's description of a domain cannot be read: %s",
		cause ? cause->message : "it has no name");
	/* A disk that the end of the text cut in two is freed too. */
	if (parse.in_disk && parse.info->disk_count < DOMAIN_DISKS_MAX)
		parse.info->disk_count++;
	domain_info_free(parse.info);
	return NULL;
}

void domain_info_free(struct domain_info *info)
{
	if (!info)
		return;
	for (unsigned i = 0; i < info->disk_count; i++) {
		g_free(info->disks[i].path);
		g_free(info->disks[i].alias);
		g_free(info->disks[i].target);
	}
	g_free(info->name);
	g_free(info->vnc_host);
	g_free(info->image);
	g_free(info);
}

gboolean domain_info_has_alias(const struct domain_info *info, const char *alias)
{
	for (unsigned i = 0; i < info->disk_count; i++)
		if (g_strcmp0(info->disks[i].alias, alias) == 0)
			return TRUE;
	return FALSE;
}

gboolean domain_info_has_path(const struct domain_info *info, const char *path)
{
	for (unsigned i = 0; i < info->disk_count; i++)
		if (g_strcmp0(info->disks[i].path, path) == 0)
			return TRUE;
	return FALSE;
}

int domain_info_free_slot(const struct domain_info *info)
{
	for (int slot = 0; slot <= 24; slot++) {
		char target[4] = {'v', 'd', (char)('b' + slot), 0};
		gboolean taken = FALSE;

		for (unsigned i = 0; i < info->disk_count; i++)
			taken = taken || g_strcmp0(info->disks[i].target, target) == 0;
		if (!taken)
			return slot;
	}
	return -1;
}
