/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The one configuration file, carrel.conf (GKeyFile syntax). conf_keys.h is the table of its keys.
 * A struct conf is immutable once loaded: a reload makes a new one, and a file with a mistake
 * changes nothing.
 */
#ifndef CARREL_CONF_H
#define CARREL_CONF_H

#include <glib.h>
#include <netinet/in.h>

#define CONF_DEFAULT_FILE CARREL_SYSCONFDIR "/carrel/carrel.conf"

/* Ports from [network] forward_port on that lead to desktops. */
#define CONF_FORWARD_PORTS 8

enum conf_type {
	CONF_STRING,
	CONF_NAME,      /* one word that may become part of a path */
	CONF_INTERFACE, /* name of a network interface */
	CONF_INT,
	CONF_TIME, /* "HH:MM"; conf_int gives minutes of the day */
	CONF_ENUM,
	CONF_ENUM_TIME, /* one of choices, or "HH:MM"; conf_int gives minutes of the day, or -1 */
	CONF_CIDR,
	CONF_RANGE,
	CONF_PATH,
	CONF_COMMAND /* program and words with a shell's quotes; empty = none */
};

enum conf_id {
#define CONF_KEY(id, ...) CONF_##id,
#include "broker/shared/conf_keys.h"
#undef CONF_KEY
	CONF_COUNT
};

struct conf_key {
	const char *group;
	const char *key;
	enum conf_type type;
	const char *default_value;
	gint64 min, max;
	const char *choices; /* "a|b|c" or NULL */
	const char *help;
};

/* The table, in the order of enum conf_id. */
extern const struct conf_key conf_table[CONF_COUNT];

/* One mistake; `line` is 0 when the mistake is in no one line. */
struct conf_problem {
	unsigned line;
	char *text; /* owned; names group and key, what is wrong, what is allowed */
};

struct conf;

/* An interface of this machine, once for each of its IPv4 addresses; 0, 0: it has none. */
struct conf_link {
	char name[16];
	guint32 address, mask; /* host byte order */
	gboolean gateway;      /* the default route goes out here */
};

/* The struct conf_link of this machine without its loopback (g_array_unref); NULL when they cannot
 * be read, in a sandbox without netlink. */
GArray *conf_links_read(void);

#define CONF_AUTO "auto" /* a value that is found out */

#define CONF_ERROR (conf_error_quark())
GQuark conf_error_quark(void);
enum conf_error { CONF_ERROR_FILE, CONF_ERROR_INVALID, CONF_ERROR_NOT_FOUND };

/*
 * Loads and checks `path`, and finds out on this machine what is "auto". A file that does not exist
 * is an error; an empty one means all defaults. On any mistake NULL is returned, `error` has them
 * all, one a line, as "FILE:LINE: text". That a value could not be found out is none: many programs
 * have no use for it; see conf_found.
 */
struct conf *conf_load(const char *path, GError **error);

/*
 * The same from memory: NULL and at least one struct conf_problem added to `problems`, or a struct
 * conf, which keeps `name` for conf_file. `links`: the machine's struct conf_link; NULL: they are
 * not known.
 */
struct conf *conf_parse(
	const char *name, const char *text, gsize length, const GArray *links, GPtrArray *problems);

/* A GPtrArray for conf_parse that frees its struct conf_problem. */
GPtrArray *conf_problems_new(void);
void conf_problem_add(GPtrArray *problems, unsigned line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

void conf_free(struct conf *conf);

/* The name of the file it was read from. */
const char *conf_file(const struct conf *conf);

/* Values; the strings are borrowed and live as long as `conf`. */
const char *conf_string(const struct conf *conf, enum conf_id id);
gint64 conf_int(const struct conf *conf, enum conf_id id);
gboolean conf_is_set(const struct conf *conf, enum conf_id id); /* is it in the file? */

/*
 * FALSE when the value is to be found out and was not: it is CONF_AUTO then, and `error` says what
 * is lacking and the remedy. Whoever needs such a value asks before it is read.
 */
gboolean conf_found(const struct conf *conf, enum conf_id id, GError **error);
gboolean conf_is_auto(const struct conf *conf, enum conf_id id); /* found out, or to be? */

/* "10.77.0.1/24": address and mask in host byte order; 0, 0 where it was not found. The value has
 * been checked at load. */
void conf_cidr(const struct conf *conf, enum conf_id id, guint32 *address, guint32 *mask);
/* "a-b": both ends in host byte order; 0, 0 where it was not found. */
void conf_range(const struct conf *conf, enum conf_id id, guint32 *first, guint32 *last);

/* The words of a command (g_strfreev), the first an absolute path; NULL when there is none. */
char **conf_command(const struct conf *conf, enum conf_id id);

/* A path below one of the folders of [paths]; the caller frees it. */
char *conf_path(const struct conf *conf, enum conf_id folder, const char *name);

/* "10.77.0.0/24"; the caller frees it. */
char *conf_cidr_text(guint32 address, guint32 mask);

/* Dotted text of an address in host byte order; valid until the 8th next call in the thread. */
const char *conf_ipv4(guint32 address);

#endif
