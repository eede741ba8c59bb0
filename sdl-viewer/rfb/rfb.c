/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The connection on libvncclient. The library is used for the handshake and for decoding; what of
 * it is not fit for use is done here:
 *
 * - The socket is ours (its own connect would take the address for the certificate's name too), so
 *   `serverHost` holds the name that the certificate must bear.
 * - It takes any kind of security that the server proposes, anonymous TLS too. Here it is confined
 *   to VeNCrypt; the password is given only when the X.509 credential was asked for before, and
 *   the outcome is looked at again before anything else is said.
 * - Its SetEncodings announces ExtendedDesktopSize, whose answers from QEMU end the connection, so
 *   ours is sent in its place. The LED state is an extension of ours; with it QEMU leaves caps lock
 *   to the guest.
 * - Its wait looks at the socket only, while bytes may lie in its buffer or in GnuTLS.
 *
 * The thread owns the client; keys and pointer come to it through a list and an eventfd.
 */
#include "sdl-viewer/rfb/rfb.h"

#include <arpa/inet.h>
#include <errno.h>
#include <gnutls/gnutls.h>
#include <poll.h>
#include <rfb/rfbclient.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "broker/shared/log.h"
#include "sdl-viewer/app/utf8.h"
#include "sdl-viewer/rfb/socket.h"

#define CONNECT_TIMEOUT_MS 5000
#define INPUT_MAX 1024
#define ENCODING_LED (-261)

struct input {
	bool key, down;
	unsigned number; /* key */
	uint32_t keysym; /* key */
	int x, y;        /* pointer */
	unsigned buttons;
};

struct rfb {
	unsigned connection;
	uint16_t port;
	char host[64], tls_name[128], ticket[64];
	char *ca_file;             /* owned */
	struct picture *picture;   /* borrowed */
	struct event_queue *queue; /* borrowed */
	pthread_t thread;
	int wake_fd;

	pthread_mutex_t lock;
	bool quit;       /* under lock */
	int shutdown_fd; /* under lock: a duplicate of the socket, to end a read; -1 = none */
	struct input inputs[INPUT_MAX]; /* under lock */
	int input_count;                /* under lock */

	/* the thread's own */
	rfbClient *client;
	bool asked_x509, refused_password, distrust, frame_posted;
	char reason[256]; /* the library's last words */
};

static _Thread_local struct rfb *current;
static char client_tag;

static void post(struct rfb *rfb, enum event_type type, unsigned value, const char *text)
{
	struct event *event = event_new(type);

	event->connection = rfb->connection;
	event->percent = value;
	utf8_clean(event->text, sizeof(event->text), text);
	event_queue_post(rfb->queue, event);
}

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
	if (!current)
		return;
	if (is_distrust(line)) {
		/* The first of such words is the nearest to the cause. */
		if (!current->distrust)
			memcpy(current->reason, line, sizeof(line));
		current->distrust = true;
	} else if (!current->distrust) {
		memcpy(current->reason, line, sizeof(line));
	}
}

static struct rfb *rfb_of(rfbClient *client)
{
	return rfbClientGetClientData(client, &client_tag);
}

static rfbBool on_resize(rfbClient *client)
{
	struct rfb *rfb = rfb_of(client);
	bool good;

	pthread_mutex_lock(&rfb->picture->lock);
	good = picture_resize(rfb->picture, client->width, client->height);
	pthread_mutex_unlock(&rfb->picture->lock);
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
	struct rfb *rfb = rfb_of(client);

	if (!client->frameBuffer)
		return;
	pthread_mutex_lock(&rfb->picture->lock);
	if (rfb->picture->width == client->width && rfb->picture->height == client->height)
		picture_draw(rfb->picture, (const uint32_t *)(const void *)client->frameBuffer,
			(struct area){x, y, w, h});
	pthread_mutex_unlock(&rfb->picture->lock);
}

/* One EVENT_DAMAGE at a time is on its way. */
static void tell_damage(struct rfb *rfb)
{
	bool tell;

	pthread_mutex_lock(&rfb->picture->lock);
	tell = !rfb->picture->told;
	rfb->picture->told = true;
	pthread_mutex_unlock(&rfb->picture->lock);
	if (tell)
		post(rfb, EVENT_DAMAGE, 0, "");
}

static void on_finished(rfbClient *client)
{
	struct rfb *rfb = rfb_of(client);
	bool whole;

	pthread_mutex_lock(&rfb->picture->lock);
	whole = picture_whole(rfb->picture);
	pthread_mutex_unlock(&rfb->picture->lock);
	if (whole && !rfb->frame_posted) {
		rfb->frame_posted = true;
		post(rfb, EVENT_FRAME, 0, "");
	}
	tell_damage(rfb);
}

static void on_cursor(rfbClient *client, int hot_x, int hot_y, int width, int height, int bytes)
{
	struct rfb *rfb = rfb_of(client);

	if (bytes != 4 || !client->rcSource || !client->rcMask)
		return;
	pthread_mutex_lock(&rfb->picture->lock);
	picture_set_cursor(rfb->picture, hot_x, hot_y, width, height,
		(const uint32_t *)(const void *)client->rcSource, client->rcMask);
	pthread_mutex_unlock(&rfb->picture->lock);
	tell_damage(rfb);
}

static rfbBool on_encoding(rfbClient *client, rfbFramebufferUpdateRectHeader *rect)
{
	struct rfb *rfb = rfb_of(client);
	uint8_t leds;

	if (!rfb || (int32_t)rect->encoding != ENCODING_LED)
		return FALSE;
	if (!ReadFromRFBServer(client, (char *)&leds, 1))
		return FALSE;
	rect->r.w = rect->r.h = 0;
	post(rfb, EVENT_LEDS, leds & 7U, "");
	return TRUE;
}

static rfbCredential *on_credential(rfbClient *client, int type)
{
	struct rfb *rfb = rfb_of(client);
	rfbCredential *credential;

	if (type != rfbCredentialTypeX509) {
		rfb->refused_password = true;
		return NULL;
	}
	rfb->asked_x509 = true;
	credential = calloc(1, sizeof(*credential));
	if (!credential)
		return NULL;
	credential->x509Credential.x509CACertFile = strdup(rfb->ca_file);
	credential->x509Credential.x509CrlVerifyMode = rfbX509CrlVerifyNone;
	return credential;
}

/* After a verified handshake only: the kind that was agreed upon must be X509Vnc. */
static bool is_safe(const struct rfb *rfb)
{
	const rfbClient *client = rfb->client;

	return rfb->asked_x509 && client->tlsSession && client->authScheme == rfbVeNCrypt &&
	       client->subAuthScheme == rfbVeNCryptX509VNC;
}

static char *on_password(rfbClient *client)
{
	struct rfb *rfb = rfb_of(client);
	char *ticket;

	if (!is_safe(rfb)) {
		rfb->refused_password = true;
		return NULL;
	}
	ticket = strdup(rfb->ticket);
	explicit_bzero(rfb->ticket, sizeof(rfb->ticket));
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

static rfbClient *make_client(struct rfb *rfb, int fd)
{
	static const uint32_t schemes[] = {rfbVeNCrypt, 0};
	rfbClient *client = rfbGetClient(8, 3, 4);

	if (!client)
		return NULL;
	rfbClientSetClientData(client, &client_tag, rfb);
	free(client->serverHost);
	client->serverHost = strdup(rfb->tls_name);
	client->serverPort = rfb->port;
	client->sock = fd;
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

static bool begin(struct rfb *rfb)
{
	rfbClient *client = rfb->client;

	if (!InitialiseRFBConnection(client) || !is_safe(rfb))
		return false;
	client->width = client->si.framebufferWidth;
	client->height = client->si.framebufferHeight;
	return on_resize(client) && send_format(client) &&
	       SendFramebufferUpdateRequest(client, 0, 0, client->width, client->height, FALSE);
}

static bool send_input(struct rfb *rfb, const struct input *input)
{
	if (!input->key)
		return SendPointerEvent(rfb->client, input->x, input->y, (int)input->buttons);
	if (input->number &&
		SendExtendedKeyEvent(rfb->client, input->keysym, input->number, input->down))
		return true;
	return input->keysym == 0 || SendKeyEvent(rfb->client, input->keysym, input->down);
}

/* Sends what has been typed and pointed. False when it is time to end. */
static bool send_inputs(struct rfb *rfb)
{
	struct input inputs[INPUT_MAX];
	bool quit;
	int count;

	pthread_mutex_lock(&rfb->lock);
	quit = rfb->quit;
	count = rfb->input_count;
	memcpy(inputs, rfb->inputs, (size_t)count * sizeof(inputs[0]));
	rfb->input_count = 0;
	pthread_mutex_unlock(&rfb->lock);
	for (int i = 0; i < count && !quit; i++)
		if (!send_input(rfb, &inputs[i]))
			return false;
	return !quit;
}

static bool has_pending(rfbClient *client)
{
	return client->buffered > 0 ||
	       (client->tlsSession && gnutls_record_check_pending(client->tlsSession) > 0);
}

static void serve(struct rfb *rfb)
{
	for (;;) {
		struct pollfd polls[] = {{.fd = rfb->client->sock, .events = POLLIN},
			{.fd = rfb->wake_fd, .events = POLLIN}};
		uint64_t count;

		if (!send_inputs(rfb))
			return;
		if (!has_pending(rfb->client)) {
			if (poll(polls, 2, -1) < 0 && errno != EINTR)
				return;
			if (polls[1].revents && read(rfb->wake_fd, &count, sizeof(count)) < 0 &&
				errno != EAGAIN)
				return;
			if (!polls[0].revents)
				continue;
		}
		if (!HandleRFBServerMessage(rfb->client))
			return;
	}
}

static bool publish_socket(struct rfb *rfb, int fd)
{
	bool go_on;

	pthread_mutex_lock(&rfb->lock);
	rfb->shutdown_fd = fd < 0 ? -1 : dup(fd);
	go_on = !rfb->quit && rfb->shutdown_fd >= 0;
	pthread_mutex_unlock(&rfb->lock);
	return go_on;
}

static void say_end(struct rfb *rfb, bool begun)
{
	bool quit;

	pthread_mutex_lock(&rfb->lock);
	quit = rfb->quit;
	pthread_mutex_unlock(&rfb->lock);
	if (quit)
		return;
	if (!begun && rfb->client && rfb->refused_password)
		post(rfb, EVENT_DESKTOP_UNSAFE, 0, "the server offers no verified encryption");
	else if (!begun && rfb->distrust)
		post(rfb, EVENT_DESKTOP_UNSAFE, 0, rfb->reason);
	else
		post(rfb, EVENT_DESKTOP_LOST, 0, rfb->reason);
}

static void *rfb_thread(void *context)
{
	struct rfb *rfb = context;
	int fd = socket_connect(rfb->host, rfb->port, CONNECT_TIMEOUT_MS, rfb->wake_fd);
	bool begun = false;

	current = rfb;
	if (fd < 0) {
		snprintf(rfb->reason, sizeof(rfb->reason), "%s", strerror(errno));
	} else {
		rfb->client = make_client(rfb, fd);
		if (!rfb->client)
			close(fd);
		else if (publish_socket(rfb, fd)) {
			begun = begin(rfb);
			if (begun)
				serve(rfb);
			else if (rfb->client->tlsSession && !is_safe(rfb))
				rfb->distrust = true;
		}
	}
	say_end(rfb, begun);
	if (rfb->client) {
		free(rfb->client->frameBuffer);
		rfb->client->frameBuffer = NULL;
		/* Not every version's clean-up frees the cursor; none minds it gone. */
		free(rfb->client->rcSource);
		free(rfb->client->rcMask);
		rfb->client->rcSource = rfb->client->rcMask = NULL;
		rfbClientCleanup(rfb->client);
		rfb->client = NULL;
	}
	current = NULL;
	return NULL;
}

struct rfb *rfb_start(
	const struct rfb_config *config, struct picture *picture, struct event_queue *queue)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct rfb *rfb = calloc(1, sizeof(*rfb));

	pthread_once(&once, register_extension);
	if (!rfb)
		abort();
	rfb->connection = config->connection;
	rfb->port = config->port;
	snprintf(rfb->host, sizeof(rfb->host), "%s", config->host);
	snprintf(rfb->tls_name, sizeof(rfb->tls_name), "%s", config->tls_name);
	snprintf(rfb->ticket, sizeof(rfb->ticket), "%s", config->ticket);
	rfb->ca_file = strdup(config->ca_file);
	rfb->picture = picture;
	rfb->queue = queue;
	rfb->shutdown_fd = -1;
	rfb->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_init(&rfb->lock, NULL);
	if (rfb->wake_fd < 0 || pthread_create(&rfb->thread, NULL, rfb_thread, rfb) != 0)
		abort();
	return rfb;
}

static void wake(struct rfb *rfb)
{
	uint64_t one = 1;

	if (write(rfb->wake_fd, &one, sizeof(one)) < 0)
		return; /* the counter is full: it is awake */
}

void rfb_stop(struct rfb *rfb)
{
	if (!rfb)
		return;
	pthread_mutex_lock(&rfb->lock);
	rfb->quit = true;
	if (rfb->shutdown_fd >= 0)
		shutdown(rfb->shutdown_fd, SHUT_RDWR);
	pthread_mutex_unlock(&rfb->lock);
	wake(rfb);
	pthread_join(rfb->thread, NULL);
	if (rfb->shutdown_fd >= 0)
		close(rfb->shutdown_fd);
	close(rfb->wake_fd);
	pthread_mutex_destroy(&rfb->lock);
	free(rfb->ca_file);
	explicit_bzero(rfb, sizeof(*rfb));
	free(rfb);
}

static void give_input(struct rfb *rfb, const struct input *input)
{
	struct input *last;

	pthread_mutex_lock(&rfb->lock);
	last = rfb->input_count > 0 ? &rfb->inputs[rfb->input_count - 1] : NULL;
	if (last && !last->key && !input->key && last->buttons == input->buttons)
		*last = *input;
	else if (rfb->input_count < INPUT_MAX)
		rfb->inputs[rfb->input_count++] = *input;
	pthread_mutex_unlock(&rfb->lock);
	wake(rfb);
}

void rfb_key(struct rfb *rfb, unsigned number, uint32_t keysym, bool down)
{
	struct input input = {.key = true, .down = down, .number = number, .keysym = keysym};

	give_input(rfb, &input);
}

void rfb_pointer(struct rfb *rfb, int x, int y, unsigned buttons)
{
	struct input input = {.x = x, .y = y, .buttons = buttons};

	give_input(rfb, &input);
}
