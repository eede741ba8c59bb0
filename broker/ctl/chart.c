/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The picture: users to the right, MiB per user upwards, one step down for each halving. The band
 * lies between the smallest and the largest desktop, the line in it is the mean; a dashed line
 * stands at each threshold, after the last user who finds a desktop of that size free. Lengths are
 * points; a PNG has PNG_SCALE pixels for each.
 */
#include "broker/ctl/chart.h"

#include <cairo-svg.h>
#include <fontconfig/fontconfig.h>
#include <math.h>
#include <string.h>

#define WIDTH 960.0
#define HEIGHT 560.0
#define LEFT 96.0
#define RIGHT 28.0
#define TOP 132.0
#define BOTTOM 64.0
#define PNG_SCALE 2.0
#define BUCKETS 1600 /* steps drawn at most: more than can be told apart */

/* Sums over the users [first, last] that one step of the picture stands for. */
struct step {
	uint64_t first, last;
	uint32_t smallest, largest;
	double mean, fail_mean;
	gboolean fails; /* somebody is served after the loss */
};

struct chart {
	const struct plan_request *request;
	const struct tier_table *tiers;
	struct placement placement; /* thresholds; nobody is in it */
	GArray *steps;              /* of struct step; owned */
	uint64_t refused_from;      /* after the loss; 0: never */
	double x_last;              /* users at the right edge */
	cairo_t *cr;                /* borrowed */
};

struct colour {
	double r, g, b;
};
static const struct colour INK = {0.12, 0.16, 0.20}, SOFT = {0.42, 0.47, 0.53},
			   GRID = {0.89, 0.91, 0.93}, BLUE = {0.11, 0.38, 0.75},
			   VIOLET = {0.45, 0.27, 0.68}, ORANGE = {0.82, 0.40, 0.04};

gboolean chart_format_known(const char *path)
{
	return g_str_has_suffix(path, ".svg") || g_str_has_suffix(path, ".png");
}

static double mean_of(const struct tier_table *tiers, const struct plan_outcome *outcome)
{
	double sum = 0;

	for (unsigned m = 0; m <= tiers->last; m++)
		sum += (double)outcome->counts[m] * tier_size_mib(tiers, m);
	return outcome->users ? sum / (double)outcome->users : 0;
}

static void widen(struct step *step, const struct tier_table *tiers,
	const struct plan_outcome *outcome, uint64_t users)
{
	for (unsigned m = 0; m <= tiers->last; m++) {
		if (!outcome->counts[m])
			continue;
		step->smallest = MIN(step->smallest, tier_size_mib(tiers, m));
		step->largest = MAX(step->largest, tier_size_mib(tiers, m));
	}
	step->last = users;
	step->mean += mean_of(tiers, outcome);
}

/* Goes through the rows; several users share a step where there are more than can be drawn. */
static void collect(struct chart *chart)
{
	const struct plan_request *request = chart->request;
	struct plan_run *run = plan_run_new(request->site, request->rows);
	struct plan_outcome outcome;
	uint64_t each = (request->rows + BUCKETS - 1) / BUCKETS, users = 0;
	struct step step = {0};

	chart->placement = plan_run_planner(run)->placement;
	while (plan_run_next(run, &outcome)) {
		if (users++ % each == 0)
			step = (struct step){.first = users, .smallest = UINT32_MAX};
		widen(&step, chart->tiers, &outcome, users);
		gboolean full = users % each == 0 || users == request->rows;
		/* The loss once a step: it is what costs. */
		if (request->fails && full) {
			plan_run_fail(run, request->fail, &outcome);
			step.fails = outcome.users > 0;
			step.fail_mean = mean_of(chart->tiers, &outcome);
		}
		if (full) {
			step.mean /= (double)(step.last - step.first + 1);
			g_array_append_val(chart->steps, step);
		}
	}
	if (request->fails) {
		uint64_t left = chart->placement.slots[chart->tiers->last] -
				plan_run_planner(run)->servers[request->fail].place.capacity;
		chart->refused_from = left < request->rows ? left + 1 : 0;
	}
	plan_run_free(run);
}

static void colour(const struct chart *chart, struct colour c, double alpha)
{
	cairo_set_source_rgba(chart->cr, c.r, c.g, c.b, alpha);
}

static double x_of(const struct chart *chart, double users)
{
	return LEFT + (users - 0.5) / (chart->x_last - 0.5) * (WIDTH - LEFT - RIGHT);
}

/* Sizes at equal distances for each halving, half a one above and below. */
static double y_of(const struct chart *chart, double mib)
{
	double octaves = chart->tiers->last + 1.0, down = log2(chart->tiers->max_mib / mib) + 0.5;

	return TOP + down / octaves * (HEIGHT - TOP - BOTTOM);
}

/* align: 0 begins at x, 0.5 is centred, 1 ends there. */
static void text(const struct chart *chart, double x, double y, double align, double size,
	gboolean bold, const char *words)
{
	cairo_text_extents_t extents;

	cairo_select_font_face(chart->cr, "sans-serif", CAIRO_FONT_SLANT_NORMAL,
		bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
	cairo_set_font_size(chart->cr, size);
	cairo_text_extents(chart->cr, words, &extents);
	cairo_move_to(chart->cr, x - align * extents.x_advance, y);
	cairo_show_text(chart->cr, words);
}

static void line(const struct chart *chart, double x1, double y1, double x2, double y2)
{
	cairo_move_to(chart->cr, x1, y1);
	cairo_line_to(chart->cr, x2, y2);
	cairo_stroke(chart->cr);
}

static char *size_text(uint32_t mib)
{
	if (mib % 1024)
		return g_strdup_printf("%u MiB", mib);
	if (mib % (1024 * 1024))
		return g_strdup_printf("%u GiB", mib / 1024);
	return g_strdup_printf("%u TiB", mib / 1024 / 1024);
}

static void draw_sizes(const struct chart *chart)
{
	double gap = y_of(chart, 1) - y_of(chart, 2);
	unsigned every = (unsigned)ceil(15 / gap);

	cairo_set_line_width(chart->cr, 1);
	for (unsigned m = 0; m <= chart->tiers->last; m += every) {
		uint32_t mib = tier_size_mib(chart->tiers, m);
		g_autofree char *label = size_text(mib);
		double y = round(y_of(chart, mib)) + 0.5;

		colour(chart, GRID, 1);
		line(chart, LEFT, y, WIDTH - RIGHT, y);
		colour(chart, INK, 1);
		text(chart, LEFT - 10, y + 4, 1, 12, FALSE, label);
	}
}

/* 1, 2 or 5 times a power of ten, so that at most twelve marks are made. */
static uint64_t tick_step(double last)
{
	uint64_t step = 1;

	while (last / (double)step > 12) {
		uint64_t lead = step;

		while (lead >= 10)
			lead /= 10;
		step = lead == 2 ? step / 2 * 5 : step * 2;
	}
	return step;
}

static void draw_users(const struct chart *chart)
{
	uint64_t step = tick_step(chart->x_last);
	double y = HEIGHT - BOTTOM;

	for (uint64_t n = step; (double)n < chart->x_last; n += step) {
		g_autofree char *label = g_strdup_printf("%" G_GUINT64_FORMAT, n);
		double x = round(x_of(chart, (double)n)) + 0.5;

		colour(chart, SOFT, 1);
		cairo_set_line_width(chart->cr, 1);
		line(chart, x, y, x, y + 5);
		colour(chart, INK, 1);
		text(chart, x, y + 20, 0.5, 12, FALSE, label);
	}
	colour(chart, INK, 1);
	text(chart, (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 18, 0.5, 13, FALSE, "users");
}

/* From the last to the first: on a long axis the first ones stand too close for words. */
static void draw_thresholds(const struct chart *chart)
{
	static const double dashes[] = {5, 4};
	double free_from = WIDTH;

	for (unsigned m = chart->tiers->last + 1; m-- > 0;) {
		int64_t users = placement_threshold(&chart->placement, m) -
				(m < chart->tiers->last ? chart->placement.standby : 0);
		g_autofree char *label = NULL;

		if (users < 1 || (double)users + 0.5 > chart->x_last)
			continue;
		double x = round(x_of(chart, (double)users + 0.5)) + 0.5;
		label = g_strdup_printf("%" G_GINT64_FORMAT, users);
		colour(chart, VIOLET, 0.85);
		cairo_set_line_width(chart->cr, 1.2);
		cairo_set_dash(chart->cr, dashes, 2, 0);
		line(chart, x, TOP - 4, x, HEIGHT - BOTTOM);
		cairo_set_dash(chart->cr, NULL, 0, 0);
		double half = 4.5 * (double)strlen(label);
		if (x + half > free_from)
			continue;
		text(chart, x, TOP - 10, 0.5, 12, TRUE, label);
		free_from = x - half;
	}
}

/* Nobody comes in any more to the right of here. */
static void draw_full(const struct chart *chart)
{
	double x = x_of(chart, (double)chart->request->rows + 0.5), right = WIDTH - RIGHT;
	double bottom = HEIGHT - BOTTOM;

	if (chart->request->rows != chart->request->capacity)
		return;
	colour(chart, SOFT, 0.16);
	cairo_rectangle(chart->cr, x, TOP, right - x, bottom - TOP);
	cairo_fill(chart->cr);
	cairo_save(chart->cr);
	cairo_translate(chart->cr, (x + right) / 2 + 4, (TOP + bottom) / 2);
	cairo_rotate(chart->cr, -G_PI / 2);
	colour(chart, SOFT, 1);
	text(chart, 0, 0, 0.5, 12, FALSE, "full: the next one is refused");
	cairo_restore(chart->cr);
}

/* The upper or lower edge of the band as a path of steps, there or back. */
static void edge(const struct chart *chart, gboolean upper)
{
	guint count = chart->steps->len;
	/* So much higher and lower that one size alone is a bar too. */
	double more = MIN(4.0, (y_of(chart, 1) - y_of(chart, 2)) / 8);

	for (guint i = 0; i < count; i++) {
		const struct step *s =
			&g_array_index(chart->steps, struct step, upper ? i : count - 1 - i);
		double left = x_of(chart, (double)s->first - 0.5);
		double right = x_of(chart, (double)s->last + 0.5);
		double y = y_of(chart, upper ? s->largest : s->smallest) + (upper ? -more : more);

		cairo_line_to(chart->cr, upper ? left : right, y);
		cairo_line_to(chart->cr, upper ? right : left, y);
	}
}

static void draw_band(const struct chart *chart)
{
	cairo_new_path(chart->cr);
	edge(chart, TRUE);
	edge(chart, FALSE);
	cairo_close_path(chart->cr);
	colour(chart, BLUE, 0.20);
	cairo_fill(chart->cr);
}

static void draw_mean(const struct chart *chart, gboolean fail)
{
	gboolean down = FALSE;

	cairo_new_path(chart->cr);
	for (guint i = 0; i < chart->steps->len; i++) {
		const struct step *s = &g_array_index(chart->steps, struct step, i);
		double y = y_of(chart, fail ? s->fail_mean : s->mean);

		if (fail && !s->fails) {
			down = FALSE;
			continue;
		}
		double left = x_of(chart, (double)s->first - 0.5);
		if (down)
			cairo_line_to(chart->cr, left, y);
		else
			cairo_move_to(chart->cr, left, y);
		cairo_line_to(chart->cr, x_of(chart, (double)s->last + 0.5), y);
		down = TRUE;
	}
	colour(chart, fail ? ORANGE : BLUE, 1);
	cairo_set_line_width(chart->cr, 2.2);
	cairo_stroke(chart->cr);
}

/* Above the picture, so that it meets no curve. */
static void draw_refused(const struct chart *chart)
{
	if (!chart->refused_from)
		return;
	double x = round(x_of(chart, (double)chart->refused_from - 0.5)) + 0.5;
	colour(chart, ORANGE, 0.10);
	cairo_rectangle(chart->cr, x, TOP, x_of(chart, (double)chart->request->rows + 0.5) - x,
		HEIGHT - BOTTOM - TOP);
	cairo_fill(chart->cr);
	colour(chart, ORANGE, 1);
	cairo_set_line_width(chart->cr, 1.2);
	line(chart, x, TOP, x, HEIGHT - BOTTOM);
}

enum swatch { SWATCH_BAND, SWATCH_LINE, SWATCH_DASH, SWATCH_AREA };

static double legend(const struct chart *chart, double x, double y, enum swatch swatch,
	struct colour c, const char *words)
{
	static const double dashes[] = {5, 4};
	cairo_text_extents_t extents;

	if (swatch == SWATCH_BAND || swatch == SWATCH_AREA) {
		colour(chart, c, swatch == SWATCH_BAND ? 0.20 : 0.12);
		cairo_rectangle(chart->cr, x, y - 10, 22, 12);
		cairo_fill(chart->cr);
	} else {
		colour(chart, c, 1);
		cairo_set_line_width(chart->cr, swatch == SWATCH_LINE ? 2.2 : 1.2);
		if (swatch == SWATCH_DASH)
			cairo_set_dash(chart->cr, dashes, 2, 0);
		line(chart, x, y - 4, x + 22, y - 4);
		cairo_set_dash(chart->cr, NULL, 0, 0);
	}
	colour(chart, INK, 1);
	text(chart, x + 28, y, 0, 12, FALSE, words);
	cairo_text_extents(chart->cr, words, &extents);
	return x + 28 + extents.x_advance + 22;
}

static void draw_words(const struct chart *chart)
{
	const struct plan_request *request = chart->request;
	const struct plan_site *site = request->site;
	g_autofree char *max = size_text(site->tiers.max_mib);
	g_autofree char *min = size_text(site->tiers.min_mib);
	g_autofree char *below = g_strdup_printf(
		"%u server%s, desktops from %s down to %s, %s%" G_GUINT64_FORMAT " user%s at most",
		site->servers->len, site->servers->len == 1 ? "" : "s", max, min,
		site->standby ? "standby desktops kept, " : "", request->capacity,
		request->capacity == 1 ? "" : "s");
	double x = LEFT;

	colour(chart, INK, 1);
	text(chart, LEFT, 36, 0, 20, TRUE, "Memory per user");
	colour(chart, SOFT, 1);
	text(chart, LEFT, 57, 0, 13, FALSE, below);
	x = legend(chart, x, 80, SWATCH_BAND, BLUE, "smallest to largest desktop");
	x = legend(chart, x, 80, SWATCH_LINE, BLUE, "mean");
	x = legend(chart, x, 80, SWATCH_DASH, VIOLET,
		"threshold: the last user with one size and its reserve");
	if (request->fails) {
		g_autofree char *server = plan_server_text(site, request->fail);
		g_autofree char *mean = g_strdup_printf("mean with %s lost", server);
		g_autofree char *refused =
			g_strdup_printf("users are refused then, from %" G_GUINT64_FORMAT " on",
				chart->refused_from);

		x = legend(chart, LEFT, 100, SWATCH_LINE, ORANGE, mean);
		if (chart->refused_from)
			legend(chart, x, 100, SWATCH_AREA, ORANGE, refused);
	}
}

static void draw(struct chart *chart)
{
	colour(chart, (struct colour){1, 1, 1}, 1);
	cairo_paint(chart->cr);
	draw_sizes(chart);
	draw_full(chart);
	draw_refused(chart);
	draw_band(chart);
	draw_mean(chart, FALSE);
	if (chart->request->fails)
		draw_mean(chart, TRUE);
	draw_thresholds(chart);
	colour(chart, SOFT, 1);
	cairo_set_line_width(chart->cr, 1);
	line(chart, LEFT, HEIGHT - BOTTOM + 0.5, WIDTH - RIGHT, HEIGHT - BOTTOM + 0.5);
	draw_users(chart);
	draw_words(chart);
}

static cairo_status_t on_bytes(void *closure, const unsigned char *data, unsigned int length)
{
	g_byte_array_append(closure, data, length);
	return CAIRO_STATUS_SUCCESS;
}

/* The picture as the bytes of a file. */
static cairo_status_t render(struct chart *chart, gboolean svg, GByteArray *bytes)
{
	cairo_surface_t *surface =
		svg ? cairo_svg_surface_create_for_stream(on_bytes, bytes, WIDTH, HEIGHT)
		    : cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)(WIDTH * PNG_SCALE),
			      (int)(HEIGHT * PNG_SCALE));
	cairo_status_t status;

	chart->cr = cairo_create(surface);
	if (!svg)
		cairo_scale(chart->cr, PNG_SCALE, PNG_SCALE);
	draw(chart);
	status = cairo_status(chart->cr);
	cairo_destroy(chart->cr);
	if (status == CAIRO_STATUS_SUCCESS && !svg)
		status = cairo_surface_write_to_png_stream(surface, on_bytes, bytes);
	cairo_surface_finish(surface);
	if (status == CAIRO_STATUS_SUCCESS)
		status = cairo_surface_status(surface);
	cairo_surface_destroy(surface);
	/* The fonts that both have kept: nothing more is drawn. */
	cairo_debug_reset_static_data();
	FcFini();
	return status;
}

gboolean chart_write(const struct plan_request *request, GError **error)
{
	g_autoptr(GByteArray) bytes = g_byte_array_new();
	struct chart chart = {.request = request, .tiers = &request->site->tiers};
	cairo_status_t status;

	if (!request->rows) {
		g_set_error(error, PLAN_ERROR, PLAN_ERROR_FAILED,
			"there is nothing to draw: no server holds even one desktop of %u MiB",
			chart.tiers->min_mib);
		return FALSE;
	}
	chart.steps = g_array_new(FALSE, FALSE, sizeof(struct step));
	collect(&chart);
	chart.x_last = (double)request->rows + 0.5;
	if (request->rows == request->capacity)
		chart.x_last += MAX(1.0, (double)request->rows * 0.04);
	status = render(&chart, g_str_has_suffix(request->chart, ".svg"), bytes);
	g_array_unref(chart.steps);
	if (status != CAIRO_STATUS_SUCCESS) {
		g_set_error(error, PLAN_ERROR, PLAN_ERROR_FAILED, "cannot draw the chart: %s",
			cairo_status_to_string(status));
		return FALSE;
	}
	if (g_file_set_contents(
		    request->chart, (const char *)bytes->data, (gssize)bytes->len, error))
		return TRUE;
	g_prefix_error(error, "cannot write the chart: ");
	return FALSE;
}
