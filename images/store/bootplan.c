/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "images/store/bootplan.h"

#include <jansson.h>
#include <string.h>

#include "images/store/image.h"

#define WORDS_MAX 8
#define MAC_PATTERN "^([0-9a-f]{2}:){5}[0-9a-f]{2}$"
/* What stands behind '='; no quotes and no blanks, so that a word is a word to everybody. */
#define VALUE_PATTERN "^[A-Za-z0-9_.,:;=+/@!-]{1,100}$"
#define NAME_PATTERN "^[A-Za-z0-9_]{1,40}$"

G_DEFINE_QUARK(carrel - bootplan - error, bootplan_error)

static gboolean fail(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);
static gboolean fail(GError **error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (error)
		*error = g_error_new_valist(BOOTPLAN_ERROR, BOOTPLAN_ERROR_INVALID, format, args);
	va_end(args);
	return FALSE;
}

static gboolean matches(const char *text, const char *pattern)
{
	return g_regex_match_simple(pattern, text, G_REGEX_DOLLAR_ENDONLY, 0);
}

/* --- kernel options --- */

/* Alone. */
static const char *const plain_words[] = {"nomodeset", "noapic", "nolapic", "nosmp", "nohpet",
	"noacpi", "nox2apic", "no_timer_check", "quiet", NULL};

/* With a value: Linux, Documentation/admin-guide/kernel-parameters.txt. */
static const char *const value_words[] = {"acpi", "acpi_backlight", "acpi_enforce_resources",
	"acpi_osi", "acpi_rev_override", "acpi_sleep", "apic", "clocksource", "consoleblank",
	"fbcon", "hpet", "idle", "lapic", "libata.force", "loglevel", "maxcpus", "module_blacklist",
	"pci", "pcie_aspm", "pcie_port_pm", "pcie_ports", "pnpacpi", "reboot", "tsc", "vga",
	"video", NULL};

/* Drivers, whose parameters are theirs alone: MODULE.PARAMETER=VALUE. */
static const char *const drivers[] = {"amdgpu", "ast", "atkbd", "bochs", "drm", "drm_kms_helper",
	"e1000", "e1000e", "gma500_gfx", "hid", "hid_apple", "hid_generic", "hid_multitouch",
	"i8042", "i915", "igb", "igc", "intel_idle", "mgag200", "nouveau", "processor", "psmouse",
	"r8169", "radeon", "snd_hda_intel", "thermal", "tg3", "usbcore", "usbhid", "virtio_gpu",
	"xhci_hcd", NULL};

static gboolean driver_word_is_good(const char *name)
{
	const char *dot = strchr(name, '.');
	g_autofree char *driver = dot ? g_strndup(name, (gsize)(dot - name)) : NULL;

	return driver && g_strv_contains(drivers, driver) && matches(dot + 1, NAME_PATTERN);
}

static gboolean word_is_good(const char *word)
{
	const char *sign = strchr(word, '=');
	g_autofree char *name = sign ? g_strndup(word, (gsize)(sign - word)) : NULL;

	if (!sign)
		return g_strv_contains(plain_words, word);
	return matches(sign + 1, VALUE_PATTERN) &&
	       (g_strv_contains(value_words, name) || driver_word_is_good(name));
}

gboolean bootplan_kernel_check(const char *options, GError **error)
{
	g_auto(GStrv) words = g_strsplit(options, " ", -1);

	if (strlen(options) >= BOOTPLAN_KERNEL_MAX || g_strv_length(words) > WORDS_MAX)
		return fail(error, "kernel = \"%.60s...\": allowed are up to %d words and %d bytes",
			options, WORDS_MAX, BOOTPLAN_KERNEL_MAX - 1);
	for (char **word = words; *options && *word; word++) {
		if (word_is_good(*word))
			continue;
		g_autofree char *drivers_text = g_strjoinv(".*, ", (char **)drivers);
		g_autofree char *plain_text = g_strjoinv(", ", (char **)plain_words);
		g_autofree char *value_text = g_strjoinv("=, ", (char **)value_words);

		return fail(error,
			"kernel = \"%s\": \"%s\" is no option that a seat may have; allowed are, "
			"with one blank between them, %s; %s=; and of drivers %s.* with a value. "
			"[boot] kernel_options takes any, for all PCs",
			options, *word, plain_text, value_text, drivers_text);
	}
	return TRUE;
}

/* --- the plan --- */

struct bootplan *bootplan_new(const char *image, const char *version)
{
	struct bootplan *plan = g_new0(struct bootplan, 1);

	plan->image = g_strdup(image);
	plan->versions = g_ptr_array_new_with_free_func(g_free);
	plan->seats = g_array_new(FALSE, TRUE, sizeof(struct bootplan_seat));
	g_ptr_array_add(plan->versions, g_strdup(version));
	return plan;
}

void bootplan_free(struct bootplan *plan)
{
	if (!plan)
		return;
	g_free(plan->image);
	g_ptr_array_unref(plan->versions);
	g_array_unref(plan->seats);
	g_free(plan);
}

static gint by_mac(gconstpointer a, gconstpointer b)
{
	const struct bootplan_seat *one = a, *other = b;

	return strcmp(one->mac, other->mac);
}

char *bootplan_text(struct bootplan *plan)
{
	json_t *versions = json_array(), *seats = json_array();

	g_array_sort(plan->seats, by_mac);
	for (guint i = 0; i < plan->versions->len; i++)
		json_array_append_new(versions, json_string(plan->versions->pdata[i]));
	for (guint i = 0; i < plan->seats->len; i++) {
		const struct bootplan_seat *seat =
			&g_array_index(plan->seats, struct bootplan_seat, i);

		json_array_append_new(
			seats, json_pack("{s:s, s:s, s:s}", "mac", seat->mac, "version",
				       (const char *)plan->versions->pdata[seat->version], "kernel",
				       seat->kernel));
	}
	json_t *root = json_pack(
		"{s:s, s:o, s:o}", "image", plan->image, "versions", versions, "seats", seats);
	char *dumped = json_dumps(root, JSON_COMPACT);
	char *text = g_strconcat(dumped, "\n", NULL);

	free(dumped);
	json_decref(root);
	return text;
}

static gboolean add_seat(struct bootplan *plan, json_t *item, GError **error)
{
	const char *mac, *version, *kernel;
	struct bootplan_seat seat = {0};

	if (json_unpack(item, "{s:s, s:s, s:s!}", "mac", &mac, "version", &version, "kernel",
		    &kernel) < 0 ||
		!matches(mac, MAC_PATTERN))
		return fail(error, "a seat in it has no MAC address, version and options");
	if (!g_ptr_array_find_with_equal_func(plan->versions, version, g_str_equal, &seat.version))
		return fail(error, "the seat %s has a version that is not named before", mac);
	if (!bootplan_kernel_check(kernel, error))
		return FALSE;
	g_strlcpy(seat.mac, mac, sizeof(seat.mac));
	g_strlcpy(seat.kernel, kernel, sizeof(seat.kernel));
	if (plan->seats->len &&
		by_mac(&g_array_index(plan->seats, struct bootplan_seat, plan->seats->len - 1),
			&seat) >= 0)
		return fail(error, "the seat %s is not in order", mac);
	g_array_append_val(plan->seats, seat);
	return TRUE;
}

static gboolean add_version(struct bootplan *plan, const json_t *item, GError **error)
{
	const char *version = json_string_value(item);

	if (!version || !image_version_is_good(version) ||
		g_ptr_array_find_with_equal_func(plan->versions, version, g_str_equal, NULL))
		return fail(error, "a version in it is none, or there twice");
	g_ptr_array_add(plan->versions, g_strdup(version));
	return TRUE;
}

static gboolean fill(struct bootplan *plan, json_t *versions, json_t *seats, GError **error)
{
	size_t i, count = json_array_size(versions);
	json_t *item;

	if (!image_name_is_good(plan->image) || count == 0 || count > BOOTPLAN_VERSIONS_MAX ||
		json_array_size(seats) > BOOTPLAN_SEATS_MAX)
		return fail(error, "it names no image, or too many versions or seats");
	json_array_foreach (versions, i, item)
		if (!add_version(plan, item, error))
			return FALSE;
	json_array_foreach (seats, i, item)
		if (!add_seat(plan, item, error))
			return FALSE;
	g_autoptr(GArray) variants = bootplan_variants(plan);
	if (variants->len >= BOOTPLAN_VERSIONS_MAX * (BOOTPLAN_KERNELS_MAX + 1))
		return fail(error, "it has more than %d different kernel options",
			BOOTPLAN_KERNELS_MAX);
	return TRUE;
}

struct bootplan *bootplan_parse(const char *text, gsize length, GError **error)
{
	json_t *root = length <= BOOTPLAN_BYTES_MAX
			       ? json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL)
			       : NULL;
	json_t *versions = NULL, *seats = NULL;
	const char *image = NULL;
	struct bootplan *plan = NULL;

	if (json_unpack(root, "{s:s, s:o, s:o!}", "image", &image, "versions", &versions, "seats",
		    &seats) == 0 &&
		json_is_array(versions) && json_is_array(seats)) {
		plan = bootplan_new(image, "");
		g_ptr_array_set_size(plan->versions, 0);
		if (!fill(plan, versions, seats, error))
			g_clear_pointer(&plan, bootplan_free);
	} else {
		fail(error, "it is no boot plan");
	}
	json_decref(root);
	return plan;
}

/* --- variants --- */

static gint by_variant(gconstpointer a, gconstpointer b)
{
	const struct bootplan_variant *one = a, *other = b;

	return one->version != other->version ? (one->version < other->version ? -1 : 1)
					      : strcmp(one->kernel, other->kernel);
}

int bootplan_variant_of(const GArray *variants, const struct bootplan_seat *seat)
{
	for (guint i = 0; i < variants->len; i++) {
		const struct bootplan_variant *variant =
			&g_array_index(variants, struct bootplan_variant, i);

		if (variant->version == seat->version && !strcmp(variant->kernel, seat->kernel))
			return (int)i;
	}
	return -1;
}

GArray *bootplan_variants(const struct bootplan *plan)
{
	GArray *variants = g_array_new(FALSE, TRUE, sizeof(struct bootplan_variant));

	for (guint i = 0; i < plan->seats->len; i++) {
		const struct bootplan_seat *seat =
			&g_array_index(plan->seats, struct bootplan_seat, i);
		struct bootplan_variant variant = {.version = seat->version};

		if ((!seat->version && !seat->kernel[0]) ||
			bootplan_variant_of(variants, seat) >= 0)
			continue;
		g_strlcpy(variant.kernel, seat->kernel, sizeof(variant.kernel));
		g_array_append_val(variants, variant);
	}
	g_array_sort(variants, by_variant);
	return variants;
}

char *bootplan_answer(const char *sum, const char *problem)
{
	g_autofree char *line = g_strdelimit(g_strdup(problem), "\r\n", ' ');

	return g_strdup_printf("%s %s\n", sum, line);
}
