/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/daemon/bootlog.h"

#include <string.h>

#include "broker/daemon/seat_name.h"

#define MAX_MS G_MAXINT32

/* Copies the next word to `to` and gives what follows it; NULL: there is none, or it is too long.
 */
static const char *word(const char *text, char *to, gsize size)
{
	text += strspn(text, " ");
	gsize length = strcspn(text, " ");
	if (!length || length >= size)
		return NULL;
	memcpy(to, text, length);
	to[length] = '\0';
	return text + length;
}

/* dnsmasq writes ':' between the bytes; seats may also be written with '-'. */
static gboolean read_mac(const char *text, char mac[SEAT_MAC_MAX])
{
	return seat_mac_read(text, mac) && text[2] == ':';
}

static gboolean is_address(const char *text)
{
	return strlen(text) < sizeof(((struct bootlog_line *)0)->address) &&
	       g_hostname_is_ip_address(text);
}

/* "(eth1) 10.77.0.101 52:54:00:77:00:01 what else", the address only where there is one. */
static gboolean read_packet(const char *text, struct bootlog_line *line)
{
	char first[64];
	text = strchr(text, ' ');
	if (!text || !(text = word(text, first, sizeof first)))
		return FALSE;
	if (is_address(first)) {
		g_strlcpy(line->address, first, sizeof line->address);
		if (!(text = word(text, first, sizeof first)))
			return FALSE;
	}
	if (!read_mac(first, line->mac))
		return FALSE;
	g_strlcpy(line->file, text + strspn(text, " "), sizeof line->file);
	return TRUE;
}

static gboolean read_dhcp(const char *text, struct bootlog_line *line)
{
	static const char vendor[] = "vendor class: ";
	char *end;
	guint64 xid = g_ascii_strtoull(text, &end, 10);
	if (end != text && *end == ' ' && xid <= G_MAXUINT32) {
		line->xid = (guint32)xid;
		text = end + 1;
	}
	if (g_str_has_prefix(text, vendor)) {
		line->event = BOOTLOG_VENDOR;
		g_strlcpy(line->file, text + strlen(vendor), sizeof line->file);
		return TRUE;
	}
	if (g_str_has_prefix(text, "DHCPDISCOVER(")) {
		if (!read_packet(text, line))
			return FALSE;
		line->event = line->file[0] ? BOOTLOG_NO_ADDRESS : BOOTLOG_DISCOVER;
		return TRUE;
	}
	if (g_str_has_prefix(text, "DHCPACK(")) {
		line->event = BOOTLOG_ADDRESS;
		return read_packet(text, line) && line->address[0];
	}
	if (g_str_has_prefix(text, "DHCPNAK(")) {
		line->event = BOOTLOG_NO_ADDRESS;
		return read_packet(text, line);
	}
	line->event = BOOTLOG_PROXY;
	return g_str_has_prefix(text, "PXE(") && read_packet(text, line);
}

/* "PATH to ADDRESS": a path may hold blanks, and " to " too. */
static gboolean read_sent(const char *text, struct bootlog_line *line)
{
	const char *to = g_strrstr(text, " to ");
	if (!to || to == text || !is_address(to + 4))
		return FALSE;
	g_strlcpy(line->address, to + 4, sizeof line->address);
	g_strlcpy(line->file, text, MIN(sizeof line->file, (gsize)(to - text) + 1));
	return TRUE;
}

static gboolean read_tftp(const char *text, struct bootlog_line *line)
{
	static const char sent[] = "sent ", stopped[] = "failed sending ";
	if (g_str_has_prefix(text, sent)) {
		line->event = BOOTLOG_TFTP;
		return read_sent(text + strlen(sent), line);
	}
	line->event = BOOTLOG_TFTP_STOP;
	return g_str_has_prefix(text, stopped) && read_sent(text + strlen(stopped), line);
}

/* What follows "name[123]: ", which a date may stand before; NULL: it is not there. */
static const char *said_by(const char *text, const char *name)
{
	const char *found = strstr(text, name);
	const char *said = found ? strstr(found, "]: ") : NULL;
	/* a file's date is "Nov 27 05:51:03 "; farther on, a PC may have written the name itself */
	return said && found - text <= 16 ? said + 3 : NULL;
}

gboolean bootlog_dnsmasq(const char *text, struct bootlog_line *line)
{
	const char *said;
	memset(line, 0, sizeof *line);
	if ((said = said_by(text, "dnsmasq-dhcp[")))
		return read_dhcp(said, line);
	said = said_by(text, "dnsmasq-tftp[");
	return said && read_tftp(said, line);
}

/* "12.345", seconds, as milliseconds; nginx writes three digits behind the point. */
static gboolean read_ms(const char *text, gint64 *ms)
{
	char *end;
	guint64 seconds = g_ascii_strtoull(text, &end, 10);
	if (end == text || *end != '.' || seconds > G_MAXINT64 / 1000 - 1)
		return FALSE;
	const char *behind = end + 1;
	guint64 thousandths = g_ascii_strtoull(behind, &end, 10);
	if (end - behind != 3 || *end || !g_ascii_isdigit(*behind))
		return FALSE;
	*ms = (gint64)(seconds * 1000 + thousandths);
	return TRUE;
}

static gboolean read_count(const char *text, guint64 most, guint64 *count)
{
	return g_ascii_string_to_unsigned(text, 10, 0, most, count, NULL);
}

/* Ours: $msec $remote_addr $status $body_bytes_sent $request_time "$request" */
gboolean bootlog_http(const char *text, struct bootlog_line *line)
{
	char msec[24], status[8], bytes[24], took[24], method[16];
	guint64 number;
	gint64 ms;
	memset(line, 0, sizeof *line);
	line->event = BOOTLOG_HTTP;
	if (!(text = word(text, msec, sizeof msec)) || !read_ms(msec, &line->wall_ms) ||
		!(text = word(text, line->address, sizeof line->address)) ||
		!is_address(line->address) || !(text = word(text, status, sizeof status)) ||
		!read_count(status, 999, &number))
		return FALSE;
	line->status = (guint)number;
	if (!(text = word(text, bytes, sizeof bytes)) ||
		!read_count(bytes, G_MAXINT64, &line->bytes) ||
		!(text = word(text, took, sizeof took)) || !read_ms(took, &ms) || ms > MAX_MS)
		return FALSE;
	line->ms = (guint)ms;
	text = word(text, method, sizeof method);
	return text && !strcmp(method, "\"GET") && word(text, line->file, sizeof line->file) &&
	       line->file[0] == '/';
}
