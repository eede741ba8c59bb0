/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libvncclient is used for the handshake and for decoding; what of it is not fit for use is done
 * here:
 *
 * - The socket is ours (its own connect would take the address for the certificate's name too), so
 *   `serverHost` holds the name that the certificate must bear.
 * - It takes any kind of security that the server proposes, anonymous TLS too. Here it is confined
 *   to VeNCrypt; the password is given only when the X.509 credential was asked for before, and
 *   the outcome is looked at again before anything else is said.
 * - Its SetEncodings announces ExtendedDesktopSize, whose answers from QEMU end the connection, so
 *   ours is sent in its place (and the desktop is not asked to take the screen's size: QEMU's
 *   answer to that is such a rectangle too). The LED state is an extension of ours; with it QEMU
 *   leaves caps lock to the guest.
 * - Its wait looks at the socket only, while bytes may lie in its buffer or in GnuTLS.
 */
#include "sdl-viewer/rfb/vnc.h"

#include <arpa/inet.h>
#include <gnutls/gnutls.h>
#include <pthread.h>
#include <rfb/rfbclient.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/shared/log.h"

#define ENCODING_LED (-261)

struct vnc {
	rfbClient *client; /* owned */
	char ticket[64];
	char *ca_file;           /* owned */
	struct picture *picture; /* borrowed */
	void (*on_change)(void *context, bool whole);
	void (*on_leds)(void *context, unsigned leds);
	void *context; /* borrowed */
	bool asked_x509, refused_password, distrust;
	char reason[256];
};

static _Thread_local struct vnc *current;
static char client_tag;

static bool is_distrust(const char *line)
{
	static const char *const words[] = {"The certificate", "certificate verification",
		"Certificate validation", "No certificate", "authentication scheme"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strstr(line, words[i]))
			return true;
	return false;
}

/* The library says why it gives up only in its log; its words about trust are kept. */
static void on_log(const char *format, ...)
{
	char line[256];
	size_t n;
	va_list ap;

	va_start(ap, format);
	vsnprintf(line, sizeof(line), format, ap);
	va_end(ap);
	n = strlen(line);
	while (n > 0 && line[n - 1] == '\n')
		line[--n] = 0;
	log_event(LOG_DEBUG, "rfb", "message", line, NULL);
	/* The first of the words about trust is the nearest to the cause. */
	if (!current || current->distrust)
		return;
	memcpy(current->reason, line, sizeof(line));
	current->distrust = is_distrust(line);
}

static struct vnc *vnc_of(rfbClient *client)
{
	return rfbClientGetClientData(client, &client_tag);
}

static rfbBool on_resize(rfbClient *client)
{
	struct vnc *vnc = vnc_of(client);
	bool good;

	pthread_mutex_lock(&vnc->picture->lock);
	good = picture_resize(vnc->picture, client->width, client->height);
	pthread_mutex_unlock(&vnc->picture->lock);
	free(client->frameBuffer);
	client->frameBuffer = NULL;
	if (!good)
		return FALSE;
	client->updateRect.x = client->updateRect.y = 0;
	client->updateRect.w = client->width;
	client->updateRect.h = client->height;
	client->frameBuffer = calloc((size_t)client->width * (size_t)client->height, 4);
	return client->frameBuffer != NULL;
}

static void on_update(rfbClient *client, int x, int y, int w, int h)
{
	struct vnc *vnc = vnc_of(client);

	if (!client->frameBuffer)
		return;
	pthread_mutex_lock(&vnc->picture->lock);
	if (vnc->picture->width == client->width && vnc->picture->height == client->height)
		picture_draw(vnc->picture, (const uint32_t *)(const void *)client->frameBuffer,
			(struct area){x, y, w, h});
	pthread_mutex_unlock(&vnc->picture->lock);
}

static void on_finished(rfbClient *client)
{
	struct vnc *vnc = vnc_of(client);
	bool whole;

	pthread_mutex_lock(&vnc->picture->lock);
	whole = picture_whole(vnc->picture);
	pthread_mutex_unlock(&vnc->picture->lock);
	vnc->on_change(vnc->context, whole);
}

static void on_cursor(rfbClient *client, int hot_x, int hot_y, int width, int height, int bytes)
{
	struct vnc *vnc = vnc_of(client);

	if (bytes != 4 || !client->rcSource || !client->rcMask)
		return;
	pthread_mutex_lock(&vnc->picture->lock);
	picture_set_cursor(vnc->picture, hot_x, hot_y, width, height,
		(const uint32_t *)(const void *)client->rcSource, client->rcMask);
	pthread_mutex_unlock(&vnc->picture->lock);
	vnc->on_change(vnc->context, false);
}

static rfbBool on_encoding(rfbClient *client, rfbFramebufferUpdateRectHeader *rect)
{
	struct vnc *vnc = vnc_of(client);
	uint8_t leds;

	if (!vnc || (int32_t)rect->encoding != ENCODING_LED)
		return FALSE;
	if (!ReadFromRFBServer(client, (char *)&leds, 1))
		return FALSE;
	rect->r.w = rect->r.h = 0;
	vnc->on_leds(vnc->context, leds & 7U);
	return TRUE;
}

static rfbCredential *on_credential(rfbClient *client, int type)
{
	struct vnc *vnc = vnc_of(client);
	rfbCredential *credential;

	if (type != rfbCredentialTypeX509) {
		vnc->refused_password = true;
		return NULL;
	}
	vnc->asked_x509 = true;
	credential = calloc(1, sizeof(*credential));
	if (!credential)
		return NULL;
	credential->x509Credential.x509CACertFile = strdup(vnc->ca_file);
	credential->x509Credential.x509CrlVerifyMode = rfbX509CrlVerifyNone;
	return credential;
}

/* After a verified handshake only: the kind that was agreed upon must be X509Vnc. */
static bool is_safe(const struct vnc *vnc)
{
	const rfbClient *client = vnc->client;

	return vnc->asked_x509 && client->tlsSession && client->authScheme == rfbVeNCrypt &&
	       client->subAuthScheme == rfbVeNCryptX509VNC;
}

static char *on_password(rfbClient *client)
{
	struct vnc *vnc = vnc_of(client);
	char *ticket;

	if (!is_safe(vnc)) {
		vnc->refused_password = true;
		return NULL;
	}
	ticket = strdup(vnc->ticket);
	explicit_bzero(vnc->ticket, sizeof(vnc->ticket));
	return ticket;
}

static void register_extension(void)
{
	static int none[] = {0};
	static rfbClientProtocolExtension extension = {
		.encodings = none, .handleEncoding = on_encoding};

	rfbClientLog = on_log;
	rfbClientErr = on_log;
	rfbClientRegisterExtension(&extension);
}

static rfbClient *make_client(struct vnc *vnc, const struct vnc_config *config)
{
	static const uint32_t schemes[] = {rfbVeNCrypt, 0};
	rfbClient *client = rfbGetClient(8, 3, 4);

	if (!client)
		return NULL;
	rfbClientSetClientData(client, &client_tag, vnc);
	free(client->serverHost);
	client->serverHost = strdup(config->tls_name);
	client->serverPort = config->port;
	client->sock = config->fd;
	SetClientAuthSchemes(client, schemes, -1);
	client->format.redShift = 16;
	client->format.greenShift = 8;
	client->format.blueShift = 0;
	client->canHandleNewFBSize = TRUE;
	client->appData.shareDesktop = FALSE;
	client->MallocFrameBuffer = on_resize;
	client->GotFrameBufferUpdate = on_update;
	client->FinishedFrameBufferUpdate = on_finished;
	client->GotCursorShape = on_cursor;
	client->GetCredential = on_credential;
	client->GetPassword = on_password;
	return client;
}

static bool send_format(rfbClient *client)
{
	/* Tight first: on a LAN it costs little time to decode and a third of hextile's bytes. */
	static const int32_t encodings[] = {rfbEncodingTight, rfbEncodingZRLE, rfbEncodingHextile,
		rfbEncodingZlib, rfbEncodingCopyRect, rfbEncodingRaw, (int32_t)rfbEncodingNewFBSize,
		(int32_t)rfbEncodingRichCursor, (int32_t)rfbEncodingQemuExtendedKeyEvent,
		ENCODING_LED, (int32_t)rfbEncodingLastRect, (int32_t)rfbEncodingCompressLevel1};
	enum { COUNT = sizeof(encodings) / sizeof(encodings[0]) };
	struct {
		uint8_t type, pad;
		uint16_t count;
		uint32_t encodings[COUNT];
	} message = {.type = rfbSetEncodings, .count = htons(COUNT)};
	rfbSetPixelFormatMsg format = {.type = rfbSetPixelFormat, .format = client->format};

	format.format.redMax = htons(format.format.redMax);
	format.format.greenMax = htons(format.format.greenMax);
	format.format.blueMax = htons(format.format.blueMax);
	for (int i = 0; i < COUNT; i++)
		message.encodings[i] = htonl((uint32_t)encodings[i]);
	return WriteToRFBServer(client, (const char *)&format, sz_rfbSetPixelFormatMsg) &&
	       WriteToRFBServer(client, (const char *)&message, sizeof(message));
}

struct vnc *vnc_new(const struct vnc_config *config)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct vnc *vnc = calloc(1, sizeof(*vnc));

	pthread_once(&once, register_extension);
	if (vnc) {
		snprintf(vnc->ticket, sizeof(vnc->ticket), "%s", config->ticket);
		vnc->ca_file = strdup(config->ca_file);
		vnc->picture = config->picture;
		vnc->on_change = config->on_change;
		vnc->on_leds = config->on_leds;
		vnc->context = config->context;
		vnc->client = make_client(vnc, config);
	}
	if (!vnc || !vnc->ca_file || !vnc->client) {
		vnc_free(vnc);
		if (!vnc || !vnc->client)
			close(config->fd);
		return NULL;
	}
	return vnc;
}

void vnc_free(struct vnc *vnc)
{
	if (!vnc)
		return;
	if (vnc->client) {
		free(vnc->client->frameBuffer);
		vnc->client->frameBuffer = NULL;
		/* Not every version's clean-up frees the cursor; none minds it gone. */
		free(vnc->client->rcSource);
		free(vnc->client->rcMask);
		vnc->client->rcSource = vnc->client->rcMask = NULL;
		rfbClientCleanup(vnc->client);
	}
	free(vnc->ca_file);
	explicit_bzero(vnc, sizeof(*vnc));
	free(vnc);
}

static bool ask_for_picture(rfbClient *client)
{
	client->width = client->si.framebufferWidth;
	client->height = client->si.framebufferHeight;
	return on_resize(client) && send_format(client) &&
	       SendFramebufferUpdateRequest(client, 0, 0, client->width, client->height, FALSE);
}

enum vnc_result vnc_begin(struct vnc *vnc)
{
	bool begun;

	current = vnc;
	begun = InitialiseRFBConnection(vnc->client);
	current = NULL;
	/* An X.509 session without a password ends here too, whether or not it got so far. */
	if (vnc->refused_password || ((begun || vnc->client->tlsSession) && !is_safe(vnc))) {
		snprintf(vnc->reason, sizeof(vnc->reason),
			"the server offers no verified encryption");
		return VNC_UNSAFE;
	}
	if (!begun)
		return vnc->distrust ? VNC_UNSAFE : VNC_LOST;
	return ask_for_picture(vnc->client) ? VNC_OK : VNC_LOST;
}

bool vnc_has_pending(const struct vnc *vnc)
{
	return vnc->client->buffered > 0 ||
	       (vnc->client->tlsSession &&
		       gnutls_record_check_pending(vnc->client->tlsSession) > 0);
}

bool vnc_handle(struct vnc *vnc)
{
	bool good;

	current = vnc;
	good = HandleRFBServerMessage(vnc->client);
	current = NULL;
	return good;
}

bool vnc_send_key(struct vnc *vnc, unsigned number, uint32_t keysym, bool down)
{
	if (number && SendExtendedKeyEvent(vnc->client, keysym, number, down))
		return true;
	return keysym == 0 || SendKeyEvent(vnc->client, keysym, down);
}

bool vnc_send_pointer(struct vnc *vnc, int x, int y, unsigned buttons)
{
	return SendPointerEvent(vnc->client, x, y, (int)buttons);
}

int vnc_fd(const struct vnc *vnc)
{
	return vnc->client->sock;
}

const char *vnc_reason(const struct vnc *vnc)
{
	return vnc->reason;
}
