/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/daemon/bootwatch.h"

#include <glib/gstdio.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "broker/daemon/neighbour.h"
#include "broker/daemon/seats.h"
#include "broker/daemon/tail.h"
#include "broker/shared/log.h"
#include "broker/store/store.h"

#define STORE_S 5

/* bootserver/tree.h: the boot program of UEFI PCs, and where HTTP's is. */
#define CARREL_EFI "carrel.efi"
#define TREE_EFI "current/tftp/" CARREL_EFI

struct bootwatch {
	struct boots *boots;
	struct seats *seats; /* borrowed */
	struct store *store; /* borrowed */
	guint timer;
	char *served;    /* what dnsmasq's paths begin with */
	char *interface; /* towards the PCs */
	struct tail *dnsmasq, *http;
};

static gint64 now_ms(void)
{
	return g_get_real_time() / 1000;
}

/* dnsmasq does not write how much it sent: a file that was sent whole has been sent whole. */
static guint64 size_sent(const struct bootwatch *watch, const struct bootlog_line *line)
{
	GStatBuf about;
	return line->event == BOOTLOG_TFTP && g_str_has_prefix(line->file, watch->served) &&
			       !strstr(line->file, "/../") && g_stat(line->file, &about) == 0
		       ? (guint64)about.st_size
		       : 0;
}

/* UEFI PCs ask for one name, whatever it leads to: which version, its own place says. */
static void find_efi(const struct bootwatch *watch, struct bootlog_line *line)
{
	char place[PATH_MAX];
	if (!g_str_has_suffix(line->file, "/" CARREL_EFI))
		return;
	g_autofree char *asked = line->event == BOOTLOG_HTTP
					 ? g_build_filename(watch->served, TREE_EFI, NULL)
					 : g_strdup(line->file);
	if (!g_str_has_prefix(asked, watch->served) || strstr(asked, "/../") ||
		!realpath(asked, place))
		return;
	const char *http = strstr(place, "/http/");
	if (http)
		g_strlcpy(line->file, http, sizeof line->file);
}

/*
 * Beside another DHCP server no line need have both a PC's MAC address and its IP address, before
 * Linux runs there. But the machine that was just sent a file is a neighbour of this one.
 */
static void find_owner(struct bootwatch *watch, const char *address)
{
	char mac[NEIGHBOUR_MAC];
	if (boots_has_address(watch->boots, address) ||
		!neighbour_mac(watch->interface, address, mac) || !boots_has(watch->boots, mac))
		return;
	boots_address(watch->boots, mac, address);
	seats_seen(watch->seats, mac, address, FALSE);
}

static void on_dnsmasq(const char *text, gpointer data)
{
	struct bootwatch *watch = data;
	struct bootlog_line line;
	if (!bootlog_dnsmasq(text, &line))
		return;
	guint64 size = size_sent(watch, &line);
	if (line.event == BOOTLOG_TFTP) {
		find_owner(watch, line.address);
		find_efi(watch, &line);
	}
	boots_line(watch->boots, &line, size, now_ms());
	if (line.event == BOOTLOG_ADDRESS && boots_has(watch->boots, line.mac))
		seats_seen(watch->seats, line.mac, line.address, FALSE);
}

static void on_http(const char *text, gpointer data)
{
	struct bootwatch *watch = data;
	struct bootlog_line line;
	if (!bootlog_http(text, &line))
		return;
	find_owner(watch, line.address);
	find_efi(watch, &line);
	boots_line(watch->boots, &line, 0, now_ms());
}

static struct tail *follow(
	struct bootwatch *watch, const char *folder, const char *name, tail_line_fn line)
{
	g_autofree char *path = g_build_filename(folder, name, NULL);
	g_autoptr(GError) error = NULL;
	struct tail *tail = tail_new(path, line, watch, &error);
	if (!tail)
		log_event(LOG_INFO, "boot-log-unread", "file", path, "error", error->message,
			"hint", "the boot ledger has the PCs' own reports alone", NULL);
	return tail;
}

struct changes {
	const struct boots *boots;
	char **macs;
};

static gboolean write_changed(struct store *store, gpointer data, GError **error)
{
	const struct changes *changes = data;
	gboolean good = TRUE;
	for (char **mac = changes->macs; good && *mac; mac++) {
		json_t *boot = boots_save(changes->boots, *mac);
		good = store_boot_put(store, *mac, boot, error);
		json_decref(boot);
	}
	return good;
}

/* All that has changed, in one transaction; what cannot be stored is tried again. */
static gboolean on_timer(gpointer data)
{
	struct bootwatch *watch = data;
	g_autoptr(GError) error = NULL;
	g_auto(GStrv) macs = boots_changed(watch->boots);
	struct changes changes = {watch->boots, macs};
	if (!*macs)
		return G_SOURCE_CONTINUE;
	if (store_transaction(watch->store, write_changed, &changes, &error))
		boots_kept(watch->boots);
	else
		log_event(LOG_ERROR, "boots-store", "reason", error->message, NULL);
	return G_SOURCE_CONTINUE;
}

static gboolean restore(struct bootwatch *watch, GError **error)
{
	json_t *list = store_boot_list(watch->store, error), *boot;
	const char *mac;
	json_object_foreach (list, mac, boot)
		boots_restore(watch->boots, mac, boot);
	boots_kept(watch->boots);
	json_decref(list);
	return list != NULL;
}

struct bootwatch *bootwatch_new(
	const struct conf *conf, struct seats *seats, struct store *store, GError **error)
{
	struct bootwatch *watch = g_new0(struct bootwatch, 1);
	g_autofree char *logs = conf_path(conf, CONF_PATH_STATE, "boot/log");
	watch->boots = boots_new();
	watch->seats = seats;
	watch->store = store;
	if (!restore(watch, error)) {
		bootwatch_free(watch);
		return NULL;
	}
	watch->timer = g_timeout_add_seconds(STORE_S, on_timer, watch);
	watch->interface = g_strdup(conf_string(conf, CONF_NETWORK_CLIENT_INTERFACE));
	watch->served = conf_path(conf, CONF_PATH_STATE, "boot/");
	watch->dnsmasq = follow(watch, logs, "dnsmasq.log", on_dnsmasq);
	watch->http = follow(watch, logs, "http.log", on_http);
	return watch;
}

void bootwatch_free(struct bootwatch *watch)
{
	if (!watch)
		return;
	if (watch->timer) {
		g_source_remove(watch->timer);
		on_timer(watch);
	}
	tail_free(watch->dnsmasq);
	tail_free(watch->http);
	boots_free(watch->boots);
	g_free(watch->interface);
	g_free(watch->served);
	g_free(watch);
}

void bootwatch_report(struct bootwatch *watch, const char *mac, const char *address,
	const char *stage, guint ms, guint64 bytes, const char *error)
{
	boots_report(watch->boots, mac, address, stage, ms, bytes, error, now_ms());
}

void bootwatch_form(struct bootwatch *watch, const char *mac)
{
	boots_form(watch->boots, mac, now_ms());
}

gboolean bootwatch_driver(struct bootwatch *watch, const char *mac, const char *driver)
{
	return boots_driver(watch->boots, mac, driver, now_ms());
}

void bootwatch_driver_again(struct bootwatch *watch, const char *mac)
{
	boots_driver_again(watch->boots, mac);
}

json_t *bootwatch_json(const struct bootwatch *watch, const char *mac)
{
	return boots_json(watch->boots, mac, now_ms());
}

void bootwatch_on_end(struct bootwatch *watch, boots_end_func end, gpointer data)
{
	boots_on_end(watch->boots, end, data);
}

void bootwatch_check(struct bootwatch *watch)
{
	boots_check(watch->boots, now_ms());
}

json_t *bootwatch_troubles(const struct bootwatch *watch)
{
	return boots_troubles(watch->boots, now_ms());
}
