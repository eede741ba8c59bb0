/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Picture, damage, scaling, pixel formats, hot-plug messages, options. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "sdl-viewer/app/options.h"
#include "sdl-viewer/app/screen.h"
#include "sdl-viewer/display/pixels.h"
#include "sdl-viewer/display/scale.h"
#include "sdl-viewer/display/uevent.h"
#include "sdl-viewer/ui/draw.h"

static void picture_becomes_whole(void **unused)
{
	struct picture *picture = picture_new();
	uint32_t from[12];

	(void)unused;
	for (int i = 0; i < 12; i++)
		from[i] = (uint32_t)i;
	assert_false(picture_resize(picture, 0, 3));
	assert_false(picture_resize(picture, PICTURE_SIDE_MAX + 1, 3));
	assert_false(picture_whole(picture));
	assert_true(picture_resize(picture, 4, 3));
	picture_draw(picture, from, (struct area){0, 0, 4, 2});
	assert_false(picture_whole(picture));
	picture_draw(picture, from, (struct area){1, 2, 100, 100});
	assert_false(picture_whole(picture));
	picture_draw(picture, from, (struct area){-5, 2, 6, 1});
	assert_true(picture_whole(picture));
	assert_memory_equal(picture->pixels, from, sizeof(from));
	/* A later change of size does not make it unfinished again. */
	assert_true(picture_resize(picture, 2, 2));
	assert_true(picture_whole(picture));
	picture_free(picture);
}

static void a_still_stands(void **unused)
{
	struct picture *picture = picture_new(), *still = picture_still(picture);
	uint32_t before[6] = {1, 2, 3, 4, 5, 6}, after[6] = {7, 7, 7, 7, 7, 7};

	(void)unused;
	assert_int_equal(still->width, 0); /* of a desktop that has said no size yet */
	picture_free(still);
	assert_true(picture_resize(picture, 3, 2));
	picture_draw(picture, before, (struct area){0, 0, 3, 2});
	still = picture_still(picture);
	picture_draw(picture, after, (struct area){0, 0, 3, 2});
	assert_int_equal(still->width, 3);
	assert_int_equal(still->height, 2);
	assert_memory_equal(still->pixels, before, sizeof(before));
	assert_memory_equal(picture->pixels, after, sizeof(after));
	picture_free(picture);
	assert_memory_equal(still->pixels, before, sizeof(before));
	picture_free(still);
}

static void cursor_is_bounded(void **unused)
{
	struct picture *picture = picture_new();
	uint32_t pixels[4] = {1, 2, 3, 0xff000004};
	uint8_t mask[4] = {1, 0, 1, 1};

	(void)unused;
	picture_set_cursor(picture, 9, -1, 2, 2, pixels, mask);
	assert_int_equal(picture->cursor.hot_x, 1);
	assert_int_equal(picture->cursor.hot_y, 0);
	assert_int_equal(picture->cursor.argb[0], 0xff000001);
	assert_int_equal(picture->cursor.argb[1], 0);
	assert_int_equal(picture->cursor.argb[3], 0xff000004);
	picture_set_cursor(picture, 0, 0, PICTURE_CURSOR_MAX + 1, 1, pixels, mask);
	assert_int_equal(picture->cursor.width, 0);
	picture_free(picture);
}

static void damage_never_forgets(void **unused)
{
	struct damage damage = {.count = 0};

	(void)unused;
	for (int i = 0; i < 200; i++) {
		damage_add(&damage, (struct area){3 * i, 2 * i, 2, 2});
		for (int j = 0; j <= i; j++) {
			bool covered = false;

			for (int k = 0; k < damage.count; k++) {
				struct area a = damage.areas[k];

				covered = covered ||
					  (a.x <= 3 * j && a.y <= 2 * j && a.x + a.w >= 3 * j + 2 &&
						  a.y + a.h >= 2 * j + 2);
			}
			assert_true(covered);
		}
		assert_in_range(damage.count, 1, DAMAGE_MAX);
	}
	damage_add(&damage, (struct area){0, 0, 10000, 10000});
	assert_in_range(damage.count, 1, DAMAGE_MAX);
}

static void scale_plans(void **unused)
{
	struct scale s;

	(void)unused;
	scale_plan(&s, 1280, 800, 1280, 800);
	assert_int_equal(s.how, SCALE_COPY);
	scale_plan(&s, 1280, 800, 1366, 768);
	assert_int_equal(s.how, SCALE_BILINEAR);
	assert_int_equal(s.target.h, 768);
	assert_int_equal(s.target.w, 1228);
	scale_plan(&s, 1280, 720, 1366, 768);
	assert_int_equal(s.how, SCALE_COPY);
	assert_int_equal(s.target.x, 43);
	scale_plan(&s, 960, 540, 1920, 1080);
	assert_int_equal(s.how, SCALE_NEAREST);
	assert_int_equal(s.target.w, 1920);
	scale_plan(&s, 640, 400, 1920, 1080);
	assert_int_equal(s.how, SCALE_BILINEAR);
	scale_plan(&s, 8000, 1, 100, 100);
	assert_int_equal(s.target.h, 1);
}

/* Whatever part of the desktop changes: redrawing its part of the screen gives the same as
 * redrawing all. */
static void parts_draw_like_the_whole(void **unused)
{
	static const int sizes[][4] = {{40, 30, 40, 30}, {20, 15, 41, 31}, {40, 30, 57, 33},
		{60, 50, 31, 29}, {7, 5, 64, 64}};

	(void)unused;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		int w = sizes[i][0], h = sizes[i][1], sw = sizes[i][2], sh = sizes[i][3];
		size_t screen_bytes = (size_t)sw * (size_t)sh * 4;
		uint32_t *desktop = malloc((size_t)w * (size_t)h * 4);
		uint32_t *whole = calloc(1, screen_bytes), *parts = calloc(1, screen_bytes);
		unsigned seed = 1;
		struct scale s;

		scale_plan(&s, w, h, sw, sh);
		for (int p = 0; p < w * h; p++)
			desktop[p] = 0;
		scale_draw(&s, desktop, parts, sw, (struct area){0, 0, sw, sh});
		for (int round = 0; round < 50; round++) {
			struct area a;

			seed = seed * 1103515245U + 12345U;
			a.x = (int)(seed >> 8) % w;
			a.y = (int)(seed >> 16) % h;
			a.w = 1 + (int)(seed >> 4) % 5;
			a.h = 1 + (int)(seed >> 12) % 5;
			a = area_clip(a, w, h);
			for (int y = a.y; y < a.y + a.h; y++)
				for (int x = a.x; x < a.x + a.w; x++)
					desktop[y * w + x] = seed & 0xffffff;
			scale_draw(&s, desktop, parts, sw, scale_to_screen(&s, a));
		}
		scale_draw(&s, desktop, whole, sw, (struct area){0, 0, sw, sh});
		assert_memory_equal(whole, parts, screen_bytes);
		free(desktop);
		free(whole);
		free(parts);
	}
}

static void points_go_back(void **unused)
{
	struct scale s;
	int x, y;

	(void)unused;
	scale_plan(&s, 1280, 720, 1366, 768);
	scale_to_desktop(&s, 43, 24, &x, &y);
	assert_int_equal(x, 0);
	assert_int_equal(y, 0);
	scale_to_desktop(&s, 0, 5000, &x, &y);
	assert_int_equal(x, 0);
	assert_int_equal(y, 719);
}

static void pixels_in_the_buffers_format(void **unused)
{
	const struct pixel_format rgb565 = {16, {11, 5}, {5, 6}, {0, 5}};
	const struct pixel_format bgr = {32, {0, 8}, {8, 8}, {16, 8}};
	const uint32_t from[2] = {0xff0000, 0x12ff34};
	uint16_t small[2];
	uint32_t big[2];

	(void)unused;
	pixels_write(&rgb565, small, from, 2);
	assert_int_equal(small[0], 0xf800);
	assert_int_equal(small[1], (0x12 >> 3) << 11 | 0x3f << 5 | 0x34 >> 3);
	pixels_write(&bgr, big, from, 2);
	assert_int_equal(big[0], 0x0000ff);
	assert_int_equal(big[1], 0x34ff12);
}

static void hotplug_is_known(void **unused)
{
	static const char yes[] = "change@/devices/x\0ACTION=change\0SUBSYSTEM=drm\0HOTPLUG=1";
	static const char no[] = "change@/devices/x\0SUBSYSTEM=drm_dp\0HOTPLUG=1";
	static const char other[] = "add@/x\0SUBSYSTEM=drm\0HOTPLUG=10";

	(void)unused;
	assert_true(uevent_is_hotplug(yes, sizeof(yes)));
	assert_true(uevent_is_hotplug(yes, sizeof(yes) - 1)); /* the last NUL may be missing */
	assert_false(uevent_is_hotplug(no, sizeof(no)));
	assert_false(uevent_is_hotplug(other, sizeof(other)));
	assert_false(uevent_is_hotplug("", 0));
}

static enum options_result parse(struct options *options, char **argv, char *why)
{
	int argc = 0;

	while (argv[argc])
		argc++;
	return options_parse(options, argc, argv, why, 256);
}

static void options_are_checked(void **unused)
{
	char *good[] = {"v", "--broker", "https://10.77.0.1:7443", "--ca", "ca.pem", "--seat",
		"52:54:00:77:00:01", "--console", NULL};
	char *no_tls[] = {"v", "--broker", "http://10.77.0.1", "--ca", "x", "--seat",
		"52:54:00:77:00:01", NULL};
	char *path[] = {
		"v", "--broker", "https://a/b", "--ca", "x", "--seat", "52:54:00:77:00:01", NULL};
	char *seat[] = {
		"v", "--broker", "https://a", "--ca", "x", "--seat", "52:54:00:77:00:0g", NULL};
	char *unknown[] = {"v", "--frobnicate", NULL};
	char *missing[] = {"v", "--broker", NULL};
	char *help[] = {"v", "--help", NULL};
	struct options options;
	char why[256] = "";

	(void)unused;
	assert_int_equal(parse(&options, good, why), OPTIONS_RUN);
	assert_int_equal(options.place, PLACE_CONSOLE);
	assert_string_equal(options.font, OPTIONS_DEFAULT_FONT);
	assert_int_equal(parse(&options, no_tls, why), OPTIONS_WRONG);
	assert_non_null(strstr(why, "https://"));
	assert_int_equal(parse(&options, path, why), OPTIONS_WRONG);
	assert_int_equal(parse(&options, seat, why), OPTIONS_WRONG);
	assert_int_equal(parse(&options, unknown, why), OPTIONS_WRONG);
	assert_non_null(strstr(why, "--frobnicate"));
	assert_int_equal(parse(&options, missing, why), OPTIONS_WRONG);
	assert_int_equal(parse(&options, help, why), OPTIONS_HELP);
}

static void forget_presenter(struct presenter *presenter)
{
	(void)presenter;
}

static void a_banner_steps_aside(void **unused)
{
	static const struct presenter_ops ops = {.name = "none", .close = forget_presenter};
	struct presenter presenter = {.ops = &ops, .width = 640, .height = 400};
	struct screen screen;
	SDL_Rect head;

	(void)unused;
	screen_init(&screen, &presenter); /* the pointer is in the middle */
	screen_set_banner(&screen, draw_surface(200, 40));
	head = screen.banner.at;
	assert_in_range(head.y, 0, 20);
	screen_move_pointer(&screen, 320, 100);
	assert_int_equal(screen.banner.at.y, head.y);
	screen_move_pointer(&screen, 320, head.y + 5);
	assert_in_range(screen.banner.at.y, 340, 360);
	/* It stays there, with new words too, until the pointer comes again. */
	screen_move_pointer(&screen, 320, 200);
	screen_set_banner(&screen, draw_surface(220, 40));
	assert_in_range(screen.banner.at.y, 340, 360);
	screen_move_pointer(&screen, 320, screen.banner.at.y + 5);
	assert_int_equal(screen.banner.at.y, head.y);
	/* A new one begins at the head, unless the pointer is there. */
	screen_set_banner(&screen, NULL);
	screen_move_pointer(&screen, 320, head.y + 5);
	screen_set_banner(&screen, draw_surface(200, 40));
	assert_in_range(screen.banner.at.y, 340, 360);
	screen_clear(&screen);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(picture_becomes_whole),
		cmocka_unit_test(a_still_stands),
		cmocka_unit_test(a_banner_steps_aside),
		cmocka_unit_test(cursor_is_bounded),
		cmocka_unit_test(damage_never_forgets),
		cmocka_unit_test(scale_plans),
		cmocka_unit_test(parts_draw_like_the_whole),
		cmocka_unit_test(points_go_back),
		cmocka_unit_test(pixels_in_the_buffers_format),
		cmocka_unit_test(hotplug_is_known),
		cmocka_unit_test(options_are_checked),
	};

	return cmocka_run_group_tests_name("viewer display", tests, NULL, NULL);
}
