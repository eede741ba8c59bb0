/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The boot ledger: what became of each PC's last boot, from its first word to the DHCP server to
 * the login form, put together from the boot server's logs (bootlog.h) and the PC's own reports. It
 * says where a boot stopped and what the likely cause is.
 *
 * Everything comes from the PCs; it is shown, and has a PC do without a driver, no more. The PCs
 * kept are limited: the one not heard of for the longest time is forgotten. Nothing here reads a
 * clock or a file.
 */
#ifndef CARREL_BOOTS_H
#define CARREL_BOOTS_H

#include <glib.h>
#include <jansson.h>

#include "broker/daemon/bootlog.h"

#define BOOTS_KEPT 4096      /* PCs */
#define BOOTS_STUCK_MS 90000 /* without a word, a boot that is not at its end has stopped */

struct boots;

struct boots *boots_new(void);
void boots_free(struct boots *boots);

/*
 * A line of a log was written. Only firmware that boots begins a PC's record, by its vendor class:
 * what else asks for an address on the PCs' network is none. It was written now (`now_ms`, wall
 * time) where it has no time of its own. `size` is the file's by TFTP, in bytes, 0: not known.
 */
void boots_line(struct boots *boots, const struct bootlog_line *line, guint64 size, gint64 now_ms);

/*
 * The PC reports a stage of the boot: `stage` is a name of protocols.md, `ms` since its kernel's
 * start, `bytes` 0: none; `error` is its code when the stage is "failed", words about a driver that
 * is missing when it is "drivers", else "".
 */
void boots_report(struct boots *boots, const char *mac, const char *address, const char *stage,
	guint ms, guint64 bytes, const char *error, gint64 now_ms);

/*
 * The PC is about to start a driver that it has fetched (a kernel module's name). FALSE: it is to
 * leave it alone, as two boots in a row of this version of the image have had no login form after
 * that word, nor said that they failed: it crashes or hangs. So no PC boots in a circle.
 */
gboolean boots_driver(struct boots *boots, const char *mac, const char *driver, gint64 now_ms);

/* The PC may try again what it was to leave alone: the admin has changed something. */
void boots_driver_again(struct boots *boots, const char *mac);

/* The viewer there asks for what its login form says: the form is shown. */
void boots_form(struct boots *boots, const char *mac, gint64 now_ms);

/*
 * What is kept over a restart. boots_changed: the PCs (MAC addresses, to be freed by g_strfreev)
 * whose boot is another than when boots_kept was called last; boots_save: one's boot as an object
 * for boots_restore, a new reference, NULL: it was forgotten. Of what is restored only what is
 * whole counts.
 */
char **boots_changed(const struct boots *boots);
json_t *boots_save(const struct boots *boots, const char *mac);
void boots_kept(struct boots *boots);
void boots_restore(struct boots *boots, const char *mac, const json_t *saved);

gboolean boots_has(const struct boots *boots, const char *mac);
/* Is there a PC of which it is known that it has this address? */
gboolean boots_has_address(const struct boots *boots, const char *address);
/* A PC whose boot is known has this address; another is ignored. */
void boots_address(struct boots *boots, const char *mac, const char *address);

/*
 * How the boot of a PC that has loaded a kernel ended; `version` is the image's that the kernel is
 * of, where a log says so. BOOTS_FAILED: `code` is its own; BOOTS_STOPPED: it said nothing for
 * BOOTS_STUCK_MS, or began anew before its form. A boot that has stopped can come up all the same.
 */
enum boots_end { BOOTS_UP, BOOTS_FAILED, BOOTS_STOPPED };
typedef void (*boots_end_func)(const char *mac, const char *version, enum boots_end end,
	const char *code, const char *stage, gpointer data);
/* `end` is called of each from now on, of those that go silent by boots_check. */
void boots_on_end(struct boots *boots, boots_end_func end, gpointer data);
void boots_check(struct boots *boots, gint64 now_ms);

/*
 * A PC's last boot; NULL: not known. A new reference:
 *   mac, address, wall_ms (its first word), state: "booting", "up", "failed", "stopped",
 *   version: of the PCs' image, or "" when no log has told it,
 *   firmware: "bios", "uefi", "uefi-http" (HTTP Boot), or "" when only Linux was heard,
 *   stages: [{stage, ms (since its first word, at its end), bytes}], error (a code or ""), note (of
 *   a driver that it goes on without, or ""),
 *   stopped_at (a stage's name or ""), cause (words for an admin, or "")
 */
json_t *boots_json(const struct boots *boots, const char *mac, gint64 now_ms);
/* Those that have failed or stopped, the newest first. */
json_t *boots_troubles(const struct boots *boots, gint64 now_ms);

#endif
