/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The presenter for the bare console: one dumb buffer on the screen, to which damage is copied.
 * DIRTYFB is sent always: drivers that send pictures elsewhere (virtio-gpu, USB) need it, those
 * that do not know it (bochs) answer ENOSYS, which is no error. A page flip would copy whole
 * pictures for no gain. The first program to open a card without a master is its master, so no
 * privilege is needed beside access to the device file.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xf86drm.h>
#include <xf86drmMode.h>

#include "broker/shared/log.h"
#include "sdl-viewer/display/presenter.h"
#include "sdl-viewer/display/uevent.h"

#define CARDS 8
/* A size to compose for while no monitor is plugged in. */
#define BLIND_WIDTH 1280
#define BLIND_HEIGHT 800

struct buffer {
	uint32_t handle, fb, pitch;
	uint64_t size;
	uint8_t *map;
};

struct kms {
	struct presenter base;
	int card;
	uint32_t connector, crtc; /* 0 = no monitor */
	drmModeModeInfo mode;
	struct screen_mode wanted; /* without a width: the preferred one */
	struct buffer buffer;
	drmModeCrtc *saved; /* owned: what the console showed; NULL = none */
	uint32_t saved_connector;
};

static void buffer_clear(struct kms *kms, struct buffer *buffer)
{
	struct drm_mode_destroy_dumb destroy = {.handle = buffer->handle};

	if (buffer->map)
		munmap(buffer->map, buffer->size);
	if (buffer->fb)
		drmModeRmFB(kms->card, buffer->fb);
	if (buffer->handle)
		drmIoctl(kms->card, DRM_IOCTL_MODE_DESTROY_DUMB, &destroy);
	*buffer = (struct buffer){0};
}

static bool buffer_make(struct kms *kms, struct buffer *buffer, uint32_t width, uint32_t height)
{
	struct drm_mode_create_dumb create = {.width = width, .height = height, .bpp = 32};
	struct drm_mode_map_dumb map = {0};
	void *memory;

	if (drmIoctl(kms->card, DRM_IOCTL_MODE_CREATE_DUMB, &create) < 0)
		return false;
	*buffer = (struct buffer){
		.handle = create.handle, .pitch = create.pitch, .size = create.size};
	map.handle = create.handle;
	if (drmModeAddFB(kms->card, width, height, 24, 32, create.pitch, create.handle,
		    &buffer->fb) != 0 ||
		drmIoctl(kms->card, DRM_IOCTL_MODE_MAP_DUMB, &map) < 0)
		return false;
	memory = mmap(NULL, create.size, PROT_READ | PROT_WRITE, MAP_SHARED, kms->card,
		(off_t)map.offset);
	if (memory == MAP_FAILED)
		return false;
	buffer->map = memory;
	memset(memory, 0, create.size);
	return true;
}

static const drmModeModeInfo *preferred(const drmModeConnector *connector)
{
	for (int i = 0; i < connector->count_modes; i++)
		if (connector->modes[i].type & DRM_MODE_TYPE_PREFERRED)
			return &connector->modes[i];
	return &connector->modes[0];
}

static struct screen_mode mode_of(const drmModeModeInfo *mode)
{
	return (struct screen_mode){mode->hdisplay, mode->vdisplay, mode->vrefresh};
}

/* Of those that are what is wanted the preferred one, else the quickest; NULL: there is none. */
static const drmModeModeInfo *wanted_mode(
	const drmModeConnector *connector, const struct screen_mode *wanted)
{
	const drmModeModeInfo *best = NULL;

	for (int i = 0; i < connector->count_modes; i++) {
		const drmModeModeInfo *mode = &connector->modes[i];
		const struct screen_mode own = mode_of(mode);

		if (!screen_mode_fits(&own, wanted) || (mode->flags & DRM_MODE_FLAG_INTERLACE))
			continue;
		if (mode->type & DRM_MODE_TYPE_PREFERRED)
			return mode;
		if (!best || mode->vrefresh > best->vrefresh)
			best = mode;
	}
	return best;
}

static uint32_t find_crtc(
	struct kms *kms, const drmModeRes *resources, const drmModeConnector *connector)
{
	for (int e = 0; e < connector->count_encoders; e++) {
		drmModeEncoder *encoder = drmModeGetEncoder(kms->card, connector->encoders[e]);
		uint32_t possible = encoder ? encoder->possible_crtcs : 0;

		drmModeFreeEncoder(encoder);
		for (int c = 0; c < resources->count_crtcs && c < 32; c++)
			if (possible & (1U << c))
				return resources->crtcs[c];
	}
	return 0;
}

/* Looks for a connected monitor; fills connector, crtc and mode, `wanted` or the preferred one.
 * False when there is none. */
static bool find_screen(struct kms *kms, const struct screen_mode *wanted, uint32_t *connector_id,
	uint32_t *crtc, drmModeModeInfo *mode)
{
	drmModeRes *resources = drmModeGetResources(kms->card);
	bool found = false;

	for (int i = 0; resources && i < resources->count_connectors && !found; i++) {
		drmModeConnector *connector =
			drmModeGetConnector(kms->card, resources->connectors[i]);

		if (connector && connector->connection == DRM_MODE_CONNECTED &&
			connector->count_modes > 0) {
			*crtc = find_crtc(kms, resources, connector);
			*connector_id = connector->connector_id;
			const drmModeModeInfo *own = wanted_mode(connector, wanted);

			*mode = own ? *own : *preferred(connector);
			found = *crtc != 0;
		}
		drmModeFreeConnector(connector);
	}
	drmModeFreeResources(resources);
	return found;
}

/* Makes a buffer and shows it in that mode. */
static bool show_mode(
	struct kms *kms, uint32_t connector, uint32_t crtc, const drmModeModeInfo *mode)
{
	drmModeModeInfo own = *mode;
	struct buffer buffer = {0};

	if (!buffer_make(kms, &buffer, mode->hdisplay, mode->vdisplay) ||
		drmModeSetCrtc(kms->card, crtc, buffer.fb, 0, 0, &connector, 1, &own) != 0) {
		log_event(LOG_ERROR, "screen-mode-refused", "mode", mode->name, "error",
			strerror(errno), NULL);
		buffer_clear(kms, &buffer);
		return false;
	}
	buffer_clear(kms, &kms->buffer);
	kms->buffer = buffer;
	kms->connector = connector;
	kms->crtc = crtc;
	kms->mode = *mode;
	kms->base.width = mode->hdisplay;
	kms->base.height = mode->vdisplay;
	kms->base.mode = mode_of(mode);
	log_event(LOG_INFO, "screen-mode", "mode", mode->name, NULL);
	return true;
}

/* Sets the mode of the monitor that is there now: the wanted one, or, where the monitor has none
 * such or the card refuses it, the preferred one. False when what is shown stays as it was. */
static bool light(struct kms *kms)
{
	const struct screen_mode tries[] = {kms->wanted, {0}};
	uint32_t connector, crtc;
	drmModeModeInfo mode;

	for (int i = 0; i < 2; i++) {
		if (!find_screen(kms, &tries[i], &connector, &crtc, &mode)) {
			kms->connector = 0;
			kms->base.mode = (struct screen_mode){0};
			return false;
		}
		if (connector == kms->connector && crtc == kms->crtc &&
			memcmp(&mode, &kms->mode, sizeof(mode)) == 0)
			return false;
		if (!kms->saved) {
			kms->saved = drmModeGetCrtc(kms->card, crtc);
			kms->saved_connector = connector;
		}
		if (show_mode(kms, connector, crtc, &mode))
			return true;
	}
	return false;
}

static bool kms_set_mode(struct presenter *presenter, const struct screen_mode *wanted)
{
	struct kms *kms = (struct kms *)presenter;

	kms->wanted = *wanted;
	return light(kms);
}

static void kms_present(
	struct presenter *presenter, const SDL_Surface *frame, const struct area *areas, int count)
{
	struct kms *kms = (struct kms *)presenter;
	drmModeClip clips[DAMAGE_MAX];

	if (!kms->buffer.map || !kms->connector)
		return;
	for (int i = 0; i < count; i++) {
		struct area a = area_clip(areas[i], kms->mode.hdisplay, kms->mode.vdisplay);

		for (int y = a.y; y < a.y + a.h; y++)
			memcpy(kms->buffer.map + (size_t)y * kms->buffer.pitch + (size_t)a.x * 4,
				(const uint8_t *)frame->pixels + (size_t)y * (size_t)frame->pitch +
					(size_t)a.x * 4,
				(size_t)a.w * 4);
		clips[i] = (drmModeClip){
			(uint16_t)a.x, (uint16_t)a.y, (uint16_t)(a.x + a.w), (uint16_t)(a.y + a.h)};
	}
	drmModeDirtyFB(kms->card, kms->buffer.fb, clips, (uint32_t)count);
}

static bool kms_refresh(struct presenter *presenter)
{
	struct kms *kms = (struct kms *)presenter;

	return uevent_screen_changed(presenter->fd) && light(kms);
}

static void kms_close(struct presenter *presenter)
{
	struct kms *kms = (struct kms *)presenter;

	if (kms->saved && kms->saved->mode_valid)
		drmModeSetCrtc(kms->card, kms->saved->crtc_id, kms->saved->buffer_id, kms->saved->x,
			kms->saved->y, &kms->saved_connector, 1, &kms->saved->mode);
	drmModeFreeCrtc(kms->saved);
	buffer_clear(kms, &kms->buffer);
	if (kms->card >= 0)
		close(kms->card);
	if (presenter->fd >= 0)
		close(presenter->fd);
	free(kms);
}

static int open_card(char *why, size_t size)
{
	int blind = -1;

	snprintf(why, size, "/dev/dri: no graphics card with a screen");
	for (int i = 0; i < CARDS; i++) {
		char path[32];
		uint64_t dumb = 0;
		drmModeRes *resources;
		bool lit = false;
		int fd;

		snprintf(path, sizeof(path), "/dev/dri/card%d", i);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0) {
			if (errno != ENOENT)
				snprintf(why, size, "%s: %s", path, strerror(errno));
			continue;
		}
		resources = drmModeGetResources(fd);
		if (!resources || resources->count_connectors == 0 ||
			drmGetCap(fd, DRM_CAP_DUMB_BUFFER, &dumb) != 0 || !dumb) {
			drmModeFreeResources(resources);
			close(fd);
			continue;
		}
		for (int c = 0; c < resources->count_connectors; c++) {
			drmModeConnector *k = drmModeGetConnector(fd, resources->connectors[c]);

			lit = lit || (k && k->connection == DRM_MODE_CONNECTED);
			drmModeFreeConnector(k);
		}
		drmModeFreeResources(resources);
		if (lit) {
			if (blind >= 0)
				close(blind);
			return fd;
		}
		if (blind < 0)
			blind = fd;
		else
			close(fd);
	}
	return blind;
}

struct presenter *presenter_kms_open(char *why, size_t size)
{
	static const struct presenter_ops ops = {
		"kms", kms_present, kms_refresh, kms_set_mode, kms_close};
	int card = open_card(why, size);
	struct kms *kms;

	if (card < 0)
		return NULL;
	kms = calloc(1, sizeof(*kms));
	if (!kms)
		abort();
	kms->card = card;
	kms->base = (struct presenter){
		.ops = &ops, .width = BLIND_WIDTH, .height = BLIND_HEIGHT, .fd = uevent_open()};
	if (!light(kms)) {
		uint32_t connector, crtc;
		drmModeModeInfo mode;

		if (find_screen(kms, &kms->wanted, &connector, &crtc, &mode)) {
			snprintf(why, size,
				"/dev/dri: the screen's mode was refused: is another "
				"program using it?");
			kms_close(&kms->base);
			return NULL;
		}
	}
	return &kms->base;
}
