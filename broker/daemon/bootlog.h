/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the boot server's own programs write down of a PC's boot: lines of dnsmasq (DHCP, TFTP) and
 * of nginx's access log. The lines hold what PCs sent (names, paths): foreign bytes.
 *
 * Formats: dnsmasq 2.90 with log-dhcp, rfc2131.c dhcp_reply() and log_packet(), tftp.c; nginx by
 * our own log_format `carrel`.
 */
#ifndef CARREL_BOOTLOG_H
#define CARREL_BOOTLOG_H

#include <glib.h>

enum bootlog_event {
	BOOTLOG_VENDOR,     /* who asks in this transaction: xid, file (the vendor class) */
	BOOTLOG_DISCOVER,   /* it asks for an address: mac */
	BOOTLOG_NO_ADDRESS, /* it asks and has none: mac, `file` says why in dnsmasq's words */
	BOOTLOG_ADDRESS,    /* it has an address: mac, address */
	BOOTLOG_PROXY,     /* the site's DHCP server has given one, we name the boot program: mac */
	BOOTLOG_TFTP,      /* it has a whole file: address, file */
	BOOTLOG_TFTP_STOP, /* it stopped in the middle of a file: address, file */
	BOOTLOG_HTTP       /* it asked for a file: address, file, status, bytes, ms */
};

struct bootlog_line {
	enum bootlog_event event;
	guint32 xid;      /* of DHCP's transaction */
	char mac[18];     /* lower case; "" where the line has none */
	char address[46]; /* "" where the line has none */
	char file[160];   /* a path as the line has it, cut to fit */
	guint status;     /* of HTTP */
	guint64 bytes;    /* sent, of HTTP */
	gint64 wall_ms;   /* the end of an HTTP answer; 0: the line has no such time */
	guint ms;         /* how long an HTTP answer took */
};

/* One line, without its end. FALSE: not one that tells of a boot; nothing of `line` counts then. */
gboolean bootlog_dnsmasq(const char *text, struct bootlog_line *line);
gboolean bootlog_http(const char *text, struct bootlog_line *line);

#endif
