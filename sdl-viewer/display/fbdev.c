/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The presenter for a frame buffer that the firmware left (no driver for the card): /dev/fb0. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sdl-viewer/display/pixels.h"
#include "sdl-viewer/display/presenter.h"

struct fbdev {
	struct presenter base;
	int device;
	uint8_t *map;
	size_t size, pitch;
	struct pixel_format format;
};

static void fbdev_present(
	struct presenter *presenter, const SDL_Surface *frame, const struct area *areas, int count)
{
	struct fbdev *fbdev = (struct fbdev *)presenter;
	size_t bytes = fbdev->format.bits / 8;

	for (int i = 0; i < count; i++) {
		struct area a = area_clip(areas[i], presenter->width, presenter->height);

		for (int y = a.y; y < a.y + a.h; y++)
			pixels_write(&fbdev->format,
				fbdev->map + (size_t)y * fbdev->pitch + (size_t)a.x * bytes,
				(const uint32_t *)frame->pixels +
					(size_t)y * (size_t)(frame->pitch / 4) + a.x,
				(size_t)a.w);
	}
}

static bool fbdev_refresh(struct presenter *presenter)
{
	(void)presenter;
	return false;
}

static void fbdev_close(struct presenter *presenter)
{
	struct fbdev *fbdev = (struct fbdev *)presenter;

	if (fbdev->map)
		munmap(fbdev->map, fbdev->size);
	close(fbdev->device);
	free(fbdev);
}

static bool field(struct pixel_field *out, const struct fb_bitfield *in)
{
	*out = (struct pixel_field){in->offset, in->length};
	return in->length >= 1 && in->length <= 8 && in->offset + in->length <= 32;
}

static bool fit(struct fbdev *fbdev, const struct fb_var_screeninfo *var,
	const struct fb_fix_screeninfo *fix)
{
	fbdev->base.width = (int)var->xres;
	fbdev->base.height = (int)var->yres;
	fbdev->base.mode = (struct screen_mode){.width = var->xres, .height = var->yres};
	fbdev->format.bits = var->bits_per_pixel;
	fbdev->pitch = fix->line_length;
	fbdev->size = fix->smem_len;
	return (var->bits_per_pixel == 16 || var->bits_per_pixel == 32) && var->xres > 0 &&
	       var->yres > 0 && field(&fbdev->format.red, &var->red) &&
	       field(&fbdev->format.green, &var->green) && field(&fbdev->format.blue, &var->blue) &&
	       fbdev->pitch >= (size_t)var->xres * var->bits_per_pixel / 8 &&
	       fbdev->size / fbdev->pitch >= var->yres;
}

struct presenter *presenter_fbdev_open(const char *path, char *why, size_t size)
{
	static const struct presenter_ops ops = {
		"fbdev", fbdev_present, fbdev_refresh, NULL, fbdev_close};
	struct fb_var_screeninfo var;
	struct fb_fix_screeninfo fix;
	int device = open(path, O_RDWR | O_CLOEXEC);
	struct fbdev *fbdev;
	void *map;

	if (device < 0 || ioctl(device, FBIOGET_VSCREENINFO, &var) < 0 ||
		ioctl(device, FBIOGET_FSCREENINFO, &fix) < 0) {
		snprintf(why, size, "%s: %s", path, strerror(errno));
		if (device >= 0)
			close(device);
		return NULL;
	}
	fbdev = calloc(1, sizeof(*fbdev));
	if (!fbdev)
		abort();
	fbdev->base.ops = &ops;
	fbdev->base.fd = -1;
	fbdev->device = device;
	if (!fit(fbdev, &var, &fix)) {
		snprintf(why, size,
			"%s: %u bits a pixel; 16 or 32 of red, green and blue are needed", path,
			var.bits_per_pixel);
		fbdev_close(&fbdev->base);
		return NULL;
	}
	map = mmap(NULL, fbdev->size, PROT_READ | PROT_WRITE, MAP_SHARED, device, 0);
	if (map == MAP_FAILED) {
		snprintf(why, size, "%s: %s", path, strerror(errno));
		fbdev_close(&fbdev->base);
		return NULL;
	}
	fbdev->map = map;
	return &fbdev->base;
}
