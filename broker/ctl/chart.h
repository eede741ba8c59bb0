/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Memory per user against users, with the thresholds, drawn by Cairo as SVG or PNG. */
#ifndef CARREL_CHART_H
#define CARREL_CHART_H

#include "broker/ctl/plan.h"

/* Does the name end in .svg or .png? */
gboolean chart_format_known(const char *path);
/* Draws and writes the file, whole or not at all. */
gboolean chart_write(const struct plan_request *request, GError **error);

#endif
