/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CSV files as spreadsheet programs write them (RFC 4180): a header line, then one record a line;
 * ',' or ';' between fields, whichever comes first in the header; fields may be in double quotes,
 * with two for one, and then hold separators; lines end with LF or CR LF; a byte
 * order mark, blank lines and blanks around fields count for nothing. UTF-8 without control
 * characters.
 */
#ifndef CARREL_CTL_CSV_H
#define CARREL_CTL_CSV_H

#include <glib.h>
#include <jansson.h>

#define CSV_ERROR (csv_error_quark())
GQuark csv_error_quark(void);
enum csv_error { CSV_ERROR_INVALID };

/*
 * The records as an array of objects: the fields as texts by their columns' names, and "line", the
 * number of the line that the record begins in. The header must name each of `columns`, may name
 * each of `optional` (both ended by NULL; in any case of letters), in any order, and no others.
 * NULL with an `error` that begins with "line N: ".
 */
json_t *csv_parse(const char *text, gsize length, const char *const *columns,
	const char *const *optional, GError **error);

#endif
