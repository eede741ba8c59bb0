/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/daemon/boots.h"

#include <string.h>

#define DRIVER_MAX 48 /* bytes of a driver's name */

/* In the order in which a PC comes to them. */
enum stage {
	STAGE_DHCP,
	STAGE_PROGRAM,
	STAGE_MENU,
	STAGE_KERNEL,
	STAGE_INITRD,
	STAGE_NETWORK,
	STAGE_FETCH,
	STAGE_VERIFY,
	STAGE_ROOT,
	STAGE_DRIVERS,
	STAGE_VIEWER,
	STAGE_FORM,
	STAGE_COUNT
};

static const char *const stage_names[STAGE_COUNT] = {"dhcp", "program", "menu", "kernel", "initrd",
	"network", "fetch", "verify", "root", "drivers", "viewer", "form"};

static const struct {
	const char *vendor, *name; /* what DHCP option 60 begins with, RFC 4578; what we call it */
} firmwares[] = {
	{"PXEClient:Arch:00000", "bios"},
	{"PXEClient:Arch:", "uefi"},
	{"HTTPClient:Arch:", "uefi-http"},
};

struct reached {
	gboolean there;
	gint64 at; /* wall ms of its end; of the PC's reports: ms since its kernel's start */
	guint64 bytes;
};

struct boot {
	char mac[18], address[46];
	gint64 began, last; /* wall ms: its first word, its last */
	gint64 kernel;      /* wall ms of the kernel's start by the PC's clock; 0: no report yet */
	const char *firmware;
	gboolean unified; /* its boot program is kernel and initramfs too */
	struct reached stages[STAGE_COUNT];
	char error[16];           /* the code of its own failure */
	char version[24];         /* of the image; "": not known */
	gboolean told;            /* that it has failed or stopped */
	char note[100];           /* what it has to say of a driver that it goes on without */
	char driver[DRIVER_MAX];  /* that it has begun to start; "": its form has come since */
	char suspect[DRIVER_MAX]; /* with which the boot before has ended, or its plug was pulled
				     then */
	char left[256]; /* drivers with which two boots in a row have ended: " radeon i915 " */
	char left_version[24]; /* of the image that they are of */
	char no_address[96];   /* why it has no address, in dnsmasq's words */
	GList link;            /* in `order`, the longest silent first */
};

struct boots {
	GHashTable *by_mac;     /* mac -> struct boot, owned */
	GHashTable *by_address; /* address -> struct boot, borrowed; the address is the boot's */
	GHashTable *changed;    /* MAC addresses, owned: since boots_kept */
	GQueue order;
	guint32 xid;          /* of the transaction whose vendor class was last written */
	const char *firmware; /* who began it; NULL: no firmware */
	boots_end_func end;   /* NULL: nobody wants to know */
	gpointer end_data;
};

static const struct {
	const char *code, *cause;
} codes[] = {
	{"CARREL-B01",
		"its network card has no driver in the client image, or Linux cannot start it"},
	{"CARREL-B02", "no link: look at the cable and the switch's port"},
	{"CARREL-B03",
		"Linux had no DHCP answer though the firmware had one: a switch port that needs "
		"long for spanning tree (set it to edge), or a second DHCP server"},
	{"CARREL-B04",
		"the root image could be fetched neither by NFS nor by HTTP: are carrel-nfs and "
		"carrel-http running, and is there a firewall between?"},
	{"CARREL-B05",
		"the root image is not the published one: damaged on the boot server's disk or "
		"on the way; run: carrel-bootconf --check"},
	{"CARREL-B10",
		"it has no screen without a driver that could not be fetched, lacks its firmware, "
		"or was left alone as two boots had ended with it: is carrel-http running, "
		"and was the image built with the firmware (docs/boot.md)?"},
};

struct boots *boots_new(void)
{
	struct boots *boots = g_new0(struct boots, 1);
	boots->by_mac = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, g_free);
	boots->by_address = g_hash_table_new(g_str_hash, g_str_equal);
	boots->changed = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	return boots;
}

void boots_free(struct boots *boots)
{
	if (!boots)
		return;
	g_hash_table_destroy(boots->changed);
	g_hash_table_destroy(boots->by_address);
	g_hash_table_destroy(boots->by_mac);
	g_free(boots);
}

static void note_changed(struct boots *boots, const char *mac)
{
	if (!g_hash_table_contains(boots->changed, mac))
		g_hash_table_add(boots->changed, g_strdup(mac));
}

static void drop_address(struct boots *boots, struct boot *boot)
{
	note_changed(boots, boot->mac);
	if (boot->address[0] && g_hash_table_lookup(boots->by_address, boot->address) == boot)
		g_hash_table_remove(boots->by_address, boot->address);
	boot->address[0] = '\0';
}

static void set_address(struct boots *boots, struct boot *boot, const char *address)
{
	if (!address[0] || !strcmp(address, boot->address))
		return;
	drop_address(boots, boot);
	struct boot *before = g_hash_table_lookup(boots->by_address, address);
	if (before)
		drop_address(boots, before);
	g_strlcpy(boot->address, address, sizeof boot->address);
	g_hash_table_insert(boots->by_address, boot->address, boot);
}

static void forget_oldest(struct boots *boots)
{
	struct boot *boot = g_queue_peek_head(&boots->order);
	g_queue_unlink(&boots->order, &boot->link);
	drop_address(boots, boot);
	g_hash_table_remove(boots->by_mac, boot->mac);
}

/* The boot of a PC, a new one where it had none. */
static struct boot *boot_of(struct boots *boots, const char *mac, gint64 now)
{
	struct boot *boot = g_hash_table_lookup(boots->by_mac, mac);
	if (boot) {
		g_queue_unlink(&boots->order, &boot->link);
	} else {
		if (g_hash_table_size(boots->by_mac) >= BOOTS_KEPT)
			forget_oldest(boots);
		boot = g_new0(struct boot, 1);
		boot->link.data = boot;
		boot->began = now;
		g_strlcpy(boot->mac, mac, sizeof boot->mac);
		g_hash_table_insert(boots->by_mac, boot->mac, boot);
	}
	g_queue_push_tail_link(&boots->order, &boot->link);
	note_changed(boots, mac);
	boot->last = now;
	return boot;
}

/* The stage behind the last one reached: there it stopped. */
static enum stage next_stage(const struct boot *boot)
{
	for (enum stage stage = STAGE_COUNT; stage-- > 0;) {
		if (boot->stages[stage].there)
			return stage == STAGE_PROGRAM && boot->unified ? STAGE_NETWORK
								       : MIN(stage + 1, STAGE_FORM);
	}
	return STAGE_DHCP;
}

static void tell(const struct boots *boots, struct boot *boot, enum boots_end end)
{
	gboolean known = boot->version[0] && (end == BOOTS_UP || !boot->told);
	boot->told = boot->told || end != BOOTS_UP;
	if (boots->end && known)
		boots->end(boot->mac, boot->version, end, boot->error,
			stage_names[next_stage(boot)], boots->end_data);
}

/* Another boot begins. The last one was about to start a driver, perhaps: it has crashed, or
 * somebody has pulled the plug just then. Twice in a row is the driver's fault. */
static void leave_driver(struct boot *boot)
{
	g_autofree char *word = g_strdup_printf(" %s ", boot->driver);
	if (!boot->driver[0])
		return;
	if (strcmp(boot->suspect, boot->driver) != 0) {
		g_strlcpy(boot->suspect, boot->driver, sizeof boot->suspect);
		boot->driver[0] = '\0';
		return;
	}
	boot->suspect[0] = '\0';
	if (strcmp(boot->left_version, boot->version) != 0)
		boot->left[0] = '\0';
	g_strlcpy(boot->left_version, boot->version, sizeof boot->left_version);
	if (!strstr(boot->left, word) && strlen(boot->left) + strlen(word) < sizeof boot->left)
		g_strlcat(boot->left, boot->left[0] ? word + 1 : word, sizeof boot->left);
	boot->driver[0] = '\0';
}

/* Another boot of the same PC: of the last one only its end counts. */
static void begin(const struct boots *boots, struct boot *boot, gint64 now)
{
	if (!boot->stages[STAGE_FORM].there)
		tell(boots, boot, BOOTS_STOPPED);
	leave_driver(boot);
	boot->told = FALSE;
	boot->version[0] = '\0';
	memset(boot->stages, 0, sizeof boot->stages);
	boot->began = now;
	boot->kernel = 0;
	boot->unified = FALSE;
	boot->firmware = NULL;
	boot->error[0] = boot->note[0] = boot->no_address[0] = '\0';
}

static void reach(struct boot *boot, enum stage stage, gint64 at, guint64 bytes)
{
	boot->stages[stage] = (struct reached){.there = TRUE, .at = at, .bytes = bytes};
}

static const char *firmware_of(const char *vendor)
{
	for (gsize i = 0; i < G_N_ELEMENTS(firmwares); i++) {
		if (g_str_has_prefix(vendor, firmwares[i].vendor))
			return firmwares[i].name;
	}
	return NULL;
}

/* Firmware asks: for the boot that it has begun, or for a new one? It may ask again and again. */
static gboolean is_new_boot(const struct boot *boot, gint64 now)
{
	return boot->error[0] || !boot->firmware || next_stage(boot) > STAGE_PROGRAM ||
	       now - boot->last > BOOTS_STUCK_MS;
}

static void dhcp_line(struct boots *boots, const struct bootlog_line *line, gint64 now)
{
	const char *firmware = line->xid == boots->xid ? boots->firmware : NULL;
	gboolean asks = line->event == BOOTLOG_DISCOVER || line->event == BOOTLOG_NO_ADDRESS;
	struct boot *boot = g_hash_table_lookup(boots->by_mac, line->mac);
	if (!firmware) {
		/* Linux, with its own boot's lease; or no PC of ours */
		if (boot)
			set_address(boots, boot, line->address);
		return;
	}
	gboolean begins = asks || line->event == BOOTLOG_PROXY;
	gboolean anew = !boot || (begins && is_new_boot(boot, now));
	boot = boot_of(boots, line->mac, now);
	if (anew)
		begin(boots, boot, now);
	boot->firmware = firmware;
	if (line->event == BOOTLOG_NO_ADDRESS)
		g_strlcpy(boot->no_address, line->file, sizeof boot->no_address);
	if (asks)
		return;
	set_address(boots, boot, line->address);
	boot->no_address[0] = '\0';
	reach(boot, STAGE_DHCP, now, 0);
}

/* "boot/VERSION/NAME" at the end of a path: by HTTP, TFTP, and of carrel.efi's own place. */
static void take_version(struct boot *boot, const char *path)
{
	g_auto(GStrv) parts = g_strsplit(path, "/", -1);
	guint count = g_strv_length(parts);
	if (count < 3 || strcmp(parts[count - 3], "boot") != 0)
		return;
	const char *version = parts[count - 2];
	if (*version && strspn(version, "0123456789.") == strlen(version) &&
		strlen(version) < sizeof boot->version)
		g_strlcpy(boot->version, version, sizeof boot->version);
}

static void file_line(
	struct boots *boots, const struct bootlog_line *line, guint64 bytes, gint64 at, gint64 now)
{
	struct boot *boot = g_hash_table_lookup(boots->by_address, line->address);
	const char *name = strrchr(line->file, '/');
	name = name ? name + 1 : line->file;
	if (!boot)
		return;
	boot = boot_of(boots, boot->mac, now);
	/* carrel.efi, or carrel-HASH.efi; Debian's shim is no kernel. */
	gboolean unified = g_str_has_prefix(name, "carrel") && g_str_has_suffix(name, ".efi");
	take_version(boot, line->file);
	if (unified || !strcmp(name, "lpxelinux.0") || !strcmp(name, "shimx64.efi")) {
		reach(boot, STAGE_PROGRAM, at, bytes);
		boot->unified = unified;
	}
	if (!strcmp(name, "default") || g_str_has_prefix(name, "01-") || !strcmp(name, "grub.cfg"))
		reach(boot, STAGE_MENU, at, bytes);
	else if (!strcmp(name, "vmlinuz"))
		reach(boot, STAGE_KERNEL, at, bytes);
	else if (!strcmp(name, "initrd"))
		reach(boot, STAGE_INITRD, at, bytes);
}

void boots_line(struct boots *boots, const struct bootlog_line *line, guint64 size, gint64 now_ms)
{
	switch (line->event) {
	case BOOTLOG_VENDOR:
		boots->xid = line->xid;
		boots->firmware = firmware_of(line->file);
		break;
	case BOOTLOG_DISCOVER:
	case BOOTLOG_NO_ADDRESS:
	case BOOTLOG_ADDRESS:
	case BOOTLOG_PROXY:
		dhcp_line(boots, line, now_ms);
		break;
	case BOOTLOG_TFTP:
		file_line(boots, line, size, now_ms, now_ms);
		break;
	case BOOTLOG_TFTP_STOP:
		break; /* UEFI firmware asks for a file's size so, PXELINUX too: not an error */
	case BOOTLOG_HTTP:
		if (line->status == 200 || line->status == 206)
			file_line(boots, line, line->bytes, line->wall_ms, now_ms);
		break;
	}
}

void boots_report(struct boots *boots, const char *mac, const char *address, const char *stage,
	guint ms, guint64 bytes, const char *error, gint64 now_ms)
{
	struct boot *known = g_hash_table_lookup(boots->by_mac, mac);
	/* Linux's clock starts anew: a boot whose beginning the logs did not have */
	gboolean anew = known && known->kernel && now_ms - ms > known->kernel + BOOTS_STUCK_MS / 2;
	struct boot *boot = boot_of(boots, mac, now_ms);
	if (anew || !known)
		begin(boots, boot, now_ms - ms);
	set_address(boots, boot, address);
	/* the way to us takes time, never less than none: the earliest is the best */
	if (!boot->kernel || now_ms - ms < boot->kernel)
		boot->kernel = now_ms - ms;
	if (!strcmp(stage, "failed")) {
		g_strlcpy(boot->error, error[0] && g_str_is_ascii(error) ? error : "unknown",
			sizeof boot->error);
		boot->driver[0] = boot->suspect[0] = '\0'; /* who can say so has not crashed */
		tell(boots, boot, BOOTS_FAILED);
		return;
	}
	boot->error[0] = '\0'; /* it has tried again */
	if (!strcmp(stage, stage_names[STAGE_DRIVERS]))
		g_strlcpy(boot->note, g_str_is_ascii(error) ? error : "", sizeof boot->note);
	for (enum stage at = STAGE_NETWORK; at <= STAGE_VIEWER; at++) {
		if (!strcmp(stage, stage_names[at]))
			reach(boot, at, ms, bytes);
	}
}

void boots_form(struct boots *boots, const char *mac, gint64 now_ms)
{
	struct boot *boot = g_hash_table_lookup(boots->by_mac, mac);
	/* A viewer that asks again after a logout does not boot. */
	if (boot && !boot->stages[STAGE_FORM].there) {
		reach(boot_of(boots, boot->mac, now_ms), STAGE_FORM, now_ms, 0);
		boot->driver[0] = boot->suspect[0] = '\0';
		tell(boots, boot, BOOTS_UP);
	}
}

gboolean boots_driver(struct boots *boots, const char *mac, const char *driver, gint64 now_ms)
{
	g_autofree char *word = g_strdup_printf(" %s ", driver);
	struct boot *boot = g_hash_table_lookup(boots->by_mac, mac);
	/* A card that comes later has no part in how the boot ends. */
	if (!boot || boot->stages[STAGE_FORM].there || strlen(driver) >= sizeof boot->driver)
		return TRUE;
	boot = boot_of(boots, mac, now_ms);
	if (!strcmp(boot->left_version, boot->version) && strstr(boot->left, word))
		return FALSE;
	g_strlcpy(boot->driver, driver, sizeof boot->driver);
	return TRUE;
}

void boots_driver_again(struct boots *boots, const char *mac)
{
	struct boot *boot = g_hash_table_lookup(boots->by_mac, mac);
	if (!boot)
		return;
	boot->left[0] = boot->driver[0] = boot->suspect[0] = '\0';
	note_changed(boots, mac);
}

void boots_on_end(struct boots *boots, boots_end_func end, gpointer data)
{
	boots->end = end;
	boots->end_data = data;
}

static const char *no_program_cause(const struct boot *boot)
{
	if (!g_strcmp0(boot->firmware, "uefi-http"))
		return "it has an address and never fetched the boot program by HTTP: is "
		       "carrel-http "
		       "running, and does a firewall keep HTTP from it?";
	if (!g_strcmp0(boot->firmware, "uefi"))
		return "it has an address and never fetched the boot program: its firmware may "
		       "want "
		       "another architecture's, start by HTTP only, or a firewall keeps TFTP (UDP "
		       "69) "
		       "from it";
	return "it has an address and never fetched the boot program: a firewall keeps TFTP (UDP "
	       "69) "
	       "from it, or another server on its network names another program";
}

static const char *cause_of(const struct boot *boot, enum stage stage)
{
	for (gsize i = 0; i < G_N_ELEMENTS(codes); i++) {
		if (!strcmp(boot->error, codes[i].code))
			return codes[i].cause;
	}
	if (boot->error[0])
		return "its own screen says why";
	switch (stage) {
	case STAGE_DHCP:
		return boot->no_address[0] ? "dnsmasq has no address for it: is the range of the "
					     "[network] section "
					     "used up?"
					   : "it asked for an address and did not take ours: "
					     "another DHCP server "
					     "answers, or a switch keeps the answer from it";
	case STAGE_PROGRAM:
		return no_program_cause(boot);
	case STAGE_MENU:
		return "it has the boot program, which did not run: Secure Boot refuses it (see "
		       "its "
		       "screen), or its firmware's network support is broken";
	case STAGE_KERNEL:
		return "it has its menu and no kernel: is carrel-http running, does a firewall "
		       "keep "
		       "HTTP from it, or does it stand still in PXELINUX (switch it off and on)?";
	case STAGE_INITRD:
		return "it has the kernel, or a part of it, and not the initramfs: it was switched "
		       "off, the connection broke, or PXELINUX stands still (switch it off and on)";
	case STAGE_NETWORK:
		return boot->unified
			       ? "it has the boot program and Linux never reported: Secure Boot "
				 "refuses "
				 "it (its screen says so: is the site's key enrolled in it?), its "
				 "graphics driver hangs (try kernel=nomodeset of carrel seat "
				 "set), or its network card has no driver"
			       : "it has kernel and initramfs and Linux never reported: its "
				 "graphics "
				 "driver may hang (try kernel=nomodeset of carrel seat set), or "
				 "its network card has no driver";
	case STAGE_FETCH:
	case STAGE_VERIFY:
		return "it has the network and not the root image: it was switched off, or the "
		       "server or "
		       "the way to it hangs";
	case STAGE_DRIVERS:
		return "its root image is good and the drivers of its cards do not come to an end: "
		       "the graphics driver may hang; its next boot leaves alone the one that it "
		       "had begun to start";
	case STAGE_ROOT:
	case STAGE_VIEWER:
		return "its root image is good and the viewer did not start: see the PC's own "
		       "screen";
	default:
		return "the viewer started and never asked the broker: is the broker's port open "
		       "to the "
		       "PCs, and the PC's clock right (its certificate may not be valid yet)?";
	}
}

static gint64 stage_at(const struct boot *boot, enum stage stage)
{
	gint64 at = boot->stages[stage].at;
	if (stage >= STAGE_NETWORK && stage <= STAGE_VIEWER)
		at += boot->kernel;
	return MAX(at - boot->began, 0);
}

static json_t *stages_json(const struct boot *boot)
{
	json_t *list = json_array();
	for (enum stage stage = 0; stage < STAGE_COUNT; stage++) {
		if (boot->stages[stage].there)
			json_array_append_new(
				list, json_pack("{s:s, s:I, s:I}", "stage", stage_names[stage],
					      "ms", (json_int_t)stage_at(boot, stage), "bytes",
					      (json_int_t)boot->stages[stage].bytes));
	}
	return list;
}

static gboolean has_failed(const struct boot *boot)
{
	return boot->error[0] != '\0';
}

static gboolean has_stopped(const struct boot *boot, gint64 now)
{
	return !boot->stages[STAGE_FORM].there && !has_failed(boot) &&
	       now - boot->last > BOOTS_STUCK_MS;
}

static json_t *to_json(const struct boot *boot, gint64 now)
{
	gboolean up = boot->stages[STAGE_FORM].there;
	gboolean failed = has_failed(boot), stopped = has_stopped(boot, now);
	enum stage stage = next_stage(boot);
	const char *state = failed ? "failed" : up ? "up" : stopped ? "stopped" : "booting";
	return json_pack("{s:s, s:s, s:s, s:s, s:I, s:s, s:o, s:s, s:s, s:s, s:s}", "mac",
		boot->mac, "version", boot->version, "address", boot->address, "firmware",
		boot->firmware ? boot->firmware : "", "wall_ms", (json_int_t)boot->began, "state",
		state, "stages", stages_json(boot), "error", boot->error, "note", boot->note,
		"stopped_at", failed || stopped ? stage_names[stage] : "", "cause",
		failed || stopped ? cause_of(boot, stage) : "");
}

char **boots_changed(const struct boots *boots)
{
	GPtrArray *list = g_ptr_array_new();
	GHashTableIter iter;
	gpointer mac;
	g_hash_table_iter_init(&iter, boots->changed);
	while (g_hash_table_iter_next(&iter, &mac, NULL))
		g_ptr_array_add(list, g_strdup(mac));
	g_ptr_array_add(list, NULL);
	return (char **)g_ptr_array_free(list, FALSE);
}

void boots_kept(struct boots *boots)
{
	g_hash_table_remove_all(boots->changed);
}

json_t *boots_save(const struct boots *boots, const char *mac)
{
	const struct boot *boot = g_hash_table_lookup(boots->by_mac, mac);
	if (!boot)
		return NULL;
	json_t *stages = json_object();
	for (enum stage stage = 0; stage < STAGE_COUNT; stage++) {
		const struct reached *reached = &boot->stages[stage];
		if (reached->there)
			json_object_set_new(stages, stage_names[stage],
				json_pack("[I, I]", (json_int_t)reached->at,
					(json_int_t)reached->bytes));
	}
	return json_pack(
		"{s:s, s:I, s:I, s:I, s:s, s:b, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o}",
		"address", boot->address, "began", (json_int_t)boot->began, "last",
		(json_int_t)boot->last, "kernel", (json_int_t)boot->kernel, "firmware",
		boot->firmware ? boot->firmware : "", "unified", boot->unified, "error",
		boot->error, "note", boot->note, "driver", boot->driver, "suspect", boot->suspect,
		"left", boot->left, "left_version", boot->left_version, "no_address",
		boot->no_address, "version", boot->version, "stages", stages);
}

static const char *firmware_named(const char *name)
{
	for (gsize i = 0; i < G_N_ELEMENTS(firmwares); i++) {
		if (!strcmp(name, firmwares[i].name))
			return firmwares[i].name;
	}
	return NULL;
}

void boots_restore(struct boots *boots, const char *mac, const json_t *saved)
{
	const char *address, *firmware, *error, *no_address, *version;
	const char *note = "", *driver = "", *suspect = "", *left = "",
		   *left_version = ""; /* were not always kept */
	json_int_t began, last, kernel, at, bytes;
	json_t *stages;
	int unified;
	if (strlen(mac) >= sizeof(((struct boot *)0)->mac) ||
		json_unpack((json_t *)saved,
			"{s:s, s:I, s:I, s:I, s:s, s:b, s:s, s?s, s?s, s?s, s?s, s?s, s:s, s:s, "
			"s:o}",
			"address", &address, "began", &began, "last", &last, "kernel", &kernel,
			"firmware", &firmware, "unified", &unified, "error", &error, "note", &note,
			"driver", &driver, "suspect", &suspect, "left", &left, "left_version",
			&left_version, "no_address", &no_address, "version", &version, "stages",
			&stages) < 0)
		return;
	struct boot *boot = boot_of(boots, mac, last);
	boot->began = began;
	boot->kernel = kernel;
	boot->firmware = firmware_named(firmware);
	boot->unified = unified != 0;
	/* The logs of the time between are not read: what may have ended then is told as no end. */
	boot->told = TRUE;
	g_strlcpy(boot->version, version, sizeof boot->version);
	g_strlcpy(boot->error, error, sizeof boot->error);
	g_strlcpy(boot->note, note, sizeof boot->note);
	g_strlcpy(boot->driver, driver, sizeof boot->driver);
	g_strlcpy(boot->suspect, suspect, sizeof boot->suspect);
	g_strlcpy(boot->left, left, sizeof boot->left);
	g_strlcpy(boot->left_version, left_version, sizeof boot->left_version);
	g_strlcpy(boot->no_address, no_address, sizeof boot->no_address);
	for (enum stage stage = 0; stage < STAGE_COUNT; stage++) {
		json_t *reached = json_object_get(stages, stage_names[stage]);
		if (reached && !json_unpack(reached, "[I, I]", &at, &bytes))
			reach(boot, stage, at, (guint64)bytes);
	}
	set_address(boots, boot, address);
}

gboolean boots_has(const struct boots *boots, const char *mac)
{
	return g_hash_table_contains(boots->by_mac, mac);
}

gboolean boots_has_address(const struct boots *boots, const char *address)
{
	return g_hash_table_contains(boots->by_address, address);
}

void boots_address(struct boots *boots, const char *mac, const char *address)
{
	struct boot *boot = g_hash_table_lookup(boots->by_mac, mac);
	if (boot)
		set_address(boots, boot, address);
}

json_t *boots_json(const struct boots *boots, const char *mac, gint64 now_ms)
{
	const struct boot *boot = g_hash_table_lookup(boots->by_mac, mac);
	return boot ? to_json(boot, now_ms) : NULL;
}

void boots_check(struct boots *boots, gint64 now_ms)
{
	for (const GList *link = boots->order.head; link; link = link->next) {
		if (has_stopped(link->data, now_ms))
			tell(boots, link->data, BOOTS_STOPPED);
	}
}

json_t *boots_troubles(const struct boots *boots, gint64 now_ms)
{
	json_t *list = json_array();
	for (const GList *link = boots->order.tail; link; link = link->prev) {
		const struct boot *boot = link->data;
		if (has_failed(boot) || has_stopped(boot, now_ms))
			json_array_append_new(list, to_json(boot, now_ms));
	}
	return list;
}
