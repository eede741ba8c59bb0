/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/daemon/bootwatch.h"

#include <glib/gstdio.h>

#include "broker/daemon/seats.h"
#include "broker/daemon/tail.h"
#include "broker/shared/log.h"

struct bootwatch {
	struct boots *boots;
	struct seats *seats; /* borrowed */
	char *served;        /* what dnsmasq's paths begin with */
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

static void on_dnsmasq(const char *text, gpointer data)
{
	struct bootwatch *watch = data;
	struct bootlog_line line;
	if (!bootlog_dnsmasq(text, &line))
		return;
	boots_line(watch->boots, &line, size_sent(watch, &line), now_ms());
	if (line.event == BOOTLOG_ADDRESS && boots_has(watch->boots, line.mac))
		seats_seen(watch->seats, line.mac, line.address, FALSE);
}

static void on_http(const char *text, gpointer data)
{
	struct bootwatch *watch = data;
	struct bootlog_line line;
	if (bootlog_http(text, &line))
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

struct bootwatch *bootwatch_new(const struct conf *conf, struct seats *seats)
{
	struct bootwatch *watch = g_new0(struct bootwatch, 1);
	g_autofree char *logs = conf_path(conf, CONF_PATH_STATE, "boot/log");
	watch->boots = boots_new();
	watch->seats = seats;
	watch->served = conf_path(conf, CONF_PATH_STATE, "boot/");
	watch->dnsmasq = follow(watch, logs, "dnsmasq.log", on_dnsmasq);
	watch->http = follow(watch, logs, "http.log", on_http);
	return watch;
}

void bootwatch_free(struct bootwatch *watch)
{
	if (!watch)
		return;
	tail_free(watch->dnsmasq);
	tail_free(watch->http);
	boots_free(watch->boots);
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

json_t *bootwatch_json(const struct bootwatch *watch, const char *mac)
{
	return boots_json(watch->boots, mac, now_ms());
}

json_t *bootwatch_troubles(const struct bootwatch *watch)
{
	return boots_troubles(watch->boots, now_ms());
}
