/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Each kind of request is a row of `kinds` and has at most one transfer: a new order of a kind
 * replaces the one before. A request that may be tried again waits with back-off; the time of the
 * next try is in its slot. All slots belong to the thread; orders come through a small list.
 */
#include "sdl-viewer/control/control.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "broker/shared/log.h"
#include "sdl-viewer/app/utf8.h"
#include "sdl-viewer/control/backoff.h"
#include "sdl-viewer/control/decode.h"
#include "sdl-viewer/control/knock.h"
#include "sdl-viewer/control/sse.h"

#define ANSWER_MAX 65536
#define CONNECT_TIMEOUT_S 5L
#define REQUEST_TIMEOUT_S 20L
/* The broker sends a comment every 15 s. */
#define STREAM_SILENCE_S 40L

enum kind { HELLO, LOGIN, EVENTS, REPORT, RECONNECT, MOVE_NOW, LOGOUT, KIND_COUNT };

static const struct {
	const char *path;
	bool post, token;
	bool decides;   /* its refusal means that the login is over */
	unsigned tries; /* 0 = until it works */
} kinds[KIND_COUNT] = {
	[HELLO] = {"/v1/client/hello", true, false, false, 0},
	[LOGIN] = {"/v1/client/login", true, false, false, 1},
	[EVENTS] = {"/v1/client/events", false, true, true, 0},
	[REPORT] = {"/v1/client/report", true, true, false, 3},
	[RECONNECT] = {"/v1/client/reconnect", true, true, true, 0},
	[MOVE_NOW] = {"/v1/client/move-now", true, true, false, 3},
	[LOGOUT] = {"/v1/client/logout", true, true, false, 3},
};

struct slot {
	struct control *control; /* borrowed */
	enum kind kind;
	bool wanted;
	unsigned failures;
	int64_t due_ms;             /* of the next try, while no transfer runs */
	CURL *easy;                 /* owned; NULL = no transfer runs */
	struct curl_slist *headers; /* owned */
	char *body;                 /* owned; may hold a password: wiped when freed */
	size_t body_size;
	char *answer; /* owned */
	size_t answer_size;
	bool answered; /* EVENTS: the stream has been accepted */
};

struct order {
	struct order *next;
	enum kind kind;
	bool forget;
	char *body; /* owned */
	size_t body_size;
};

struct control {
	char *broker, *ca_file, *seat, *boot;
	struct event_queue *queue; /* borrowed */
	CURLM *multi;
	pthread_t thread;
	pthread_mutex_t lock;
	bool quit;            /* under lock */
	struct order *orders; /* under lock */
	struct order **orders_end;
	struct slot slots[KIND_COUNT];
	struct sse sse;
	struct knock knock;
	char token[DECODE_TOKEN_MAX];
};

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void post(struct control *control, enum event_type type, const char *code, const char *text)
{
	struct event *event = event_new(type);

	snprintf(event->code, sizeof(event->code), "%s", code ? code : "");
	utf8_clean(event->text, sizeof(event->text), text);
	event_queue_post(control->queue, event);
}

static void wipe_free(char *bytes, size_t size)
{
	if (bytes)
		explicit_bzero(bytes, size);
	free(bytes);
}

/* Ends the transfer, if one runs; the order itself stays. */
static void slot_stop(struct slot *slot)
{
	if (slot->easy) {
		curl_multi_remove_handle(slot->control->multi, slot->easy);
		curl_easy_cleanup(slot->easy);
		slot->easy = NULL;
	}
	for (struct curl_slist *h = slot->headers; h; h = h->next)
		explicit_bzero(h->data, strlen(h->data));
	curl_slist_free_all(slot->headers);
	slot->headers = NULL;
	wipe_free(slot->answer, slot->answer_size);
	slot->answer = NULL;
	slot->answer_size = 0;
	slot->answered = false;
}

static void slot_clear(struct slot *slot)
{
	slot_stop(slot);
	wipe_free(slot->body, slot->body_size);
	slot->body = NULL;
	slot->body_size = 0;
	slot->wanted = false;
	slot->failures = 0;
}

static void slot_order(struct slot *slot, char *body, size_t body_size)
{
	slot_clear(slot);
	slot->body = body;
	slot->body_size = body_size;
	slot->wanted = true;
	slot->due_ms = now_ms();
}

static void forget(struct control *control)
{
	for (int k = 0; k < KIND_COUNT; k++)
		if (kinds[k].token || k == LOGIN)
			slot_clear(&control->slots[k]);
	sse_reset(&control->sse);
	explicit_bzero(control->token, sizeof(control->token));
}

static void on_stream_event(void *context, const char *name, const char *data)
{
	struct control *control = context;
	struct event *event = decode_stream(name, data);

	if (event)
		event_queue_post(control->queue, event);
	else
		log_event(LOG_WARN, "stream-event-ignored", "name", name, NULL);
}

static size_t on_bytes(char *bytes, size_t one, size_t count, void *context)
{
	struct slot *slot = context;
	size_t size = one * count;
	long status = 0;
	char *grown;

	curl_easy_getinfo(slot->easy, CURLINFO_RESPONSE_CODE, &status);
	if (slot->kind == EVENTS && status == 200) {
		slot->answered = true;
		slot->failures = 0;
		return sse_feed(&slot->control->sse, bytes, size) ? size : 0;
	}
	if (slot->answer_size + size > ANSWER_MAX)
		return 0;
	grown = malloc(slot->answer_size + size);
	if (!grown)
		return 0;
	if (slot->answer)
		memcpy(grown, slot->answer, slot->answer_size);
	memcpy(grown + slot->answer_size, bytes, size);
	wipe_free(slot->answer, slot->answer_size);
	slot->answer = grown;
	slot->answer_size += size;
	return size;
}

static bool add_header(struct slot *slot, const char *name, const char *value)
{
	char line[DECODE_TOKEN_MAX + 64];
	struct curl_slist *list;

	snprintf(line, sizeof(line), "%s: %s", name, value);
	list = curl_slist_append(slot->headers, line);
	explicit_bzero(line, sizeof(line));
	if (list)
		slot->headers = list;
	return list != NULL;
}

static void slot_start(struct slot *slot)
{
	struct control *control = slot->control;
	char url[512], bearer[DECODE_TOKEN_MAX + 16];
	CURL *easy = curl_easy_init();

	if (!easy)
		abort();
	slot->easy = easy;
	snprintf(url, sizeof(url), "%s%s", control->broker, kinds[slot->kind].path);
	curl_easy_setopt(easy, CURLOPT_URL, url);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https");
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_CAINFO, control->ca_file);
	curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, CONNECT_TIMEOUT_S);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_bytes);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, slot);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, slot);
	if (slot->kind == EVENTS) {
		curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
		curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, STREAM_SILENCE_S);
		curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
		sse_reset(&control->sse);
		add_header(slot, "Accept", "text/event-stream");
	} else {
		curl_easy_setopt(easy, CURLOPT_TIMEOUT, REQUEST_TIMEOUT_S);
		/* Asked once a minute: a PC at its form keeps no connection from others. */
		if (slot->kind == HELLO)
			curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
	}
	if (kinds[slot->kind].token) {
		snprintf(bearer, sizeof(bearer), "Bearer %s", control->token);
		add_header(slot, "Authorization", bearer);
		explicit_bzero(bearer, sizeof(bearer));
	}
	if (kinds[slot->kind].post) {
		add_header(slot, "Content-Type", "application/json");
		curl_easy_setopt(easy, CURLOPT_POST, 1L);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)slot->body_size);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, slot->body ? slot->body : "");
	}
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, slot->headers);
	curl_multi_add_handle(control->multi, easy);
}

static void retry_or_give_up(struct slot *slot, const char *code, const char *text)
{
	struct control *control = slot->control;
	unsigned tries = kinds[slot->kind].tries;
	uint32_t random = 0;

	slot->failures++;
	log_event(LOG_WARN, "broker-request-failed", "path", kinds[slot->kind].path, "tries",
		log_fmt("%u", slot->failures), "message", text, NULL);
	if (slot->kind == LOGIN)
		post(control, EVENT_LOGIN_FAILED, code, text);
	else if (slot->kind == HELLO)
		post(control, EVENT_HELLO_FAILED, code, text);
	else if (slot->kind == EVENTS || slot->kind == RECONNECT)
		post(control, EVENT_TROUBLE, code, text);
	slot_stop(slot);
	if (tries > 0 && slot->failures >= tries) {
		if (slot->kind == LOGOUT)
			forget(control);
		slot_clear(slot);
		return;
	}
	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) < 0)
		random = (uint32_t)now_ms();
	slot->due_ms = now_ms() + backoff_ms(slot->failures, random);
}

static void slot_succeeded(struct slot *slot)
{
	struct control *control = slot->control;
	struct event *hello;

	switch (slot->kind) {
	case HELLO:
		hello = decode_hello(slot->answer ? slot->answer : "", slot->answer_size);
		if (!hello) {
			retry_or_give_up(slot, "protocol", "the answer is not a broker's");
			return;
		}
		event_queue_post(control->queue, hello);
		break;
	case LOGIN:
		if (!decode_token(
			    slot->answer ? slot->answer : "", slot->answer_size, control->token)) {
			retry_or_give_up(
				slot, "protocol", "the broker's answer has no login token");
			return;
		}
		slot_order(&control->slots[EVENTS], NULL, 0);
		break;
	case EVENTS: /* the stream has ended in good order; the broker may be restarting */
		retry_or_give_up(slot, "closed", "the broker closed the connection");
		return;
	case LOGOUT:
		forget(control);
		return;
	default:
		break;
	}
	slot_clear(slot);
}

/* An HTTP status that is not a success. */
static void slot_refused(struct slot *slot, long status)
{
	struct control *control = slot->control;
	char code[32], text[512];

	decode_error(slot->answer ? slot->answer : "", slot->answer_size, code, sizeof(code), text,
		sizeof(text));
	if (!text[0])
		snprintf(text, sizeof(text), "the broker answered with HTTP status %ld", status);
	if (kinds[slot->kind].token && status >= 400 && status < 500 && status != 408 &&
		status != 429) {
		enum kind kind = slot->kind;

		log_event(LOG_INFO, "token-refused", "path", kinds[kind].path, "status",
			log_fmt("%ld", status), NULL);
		if (!kinds[kind].decides) {
			if (kind == LOGOUT)
				forget(control);
			slot_clear(slot);
			return;
		}
		forget(control);
		post(control, EVENT_TOKEN_GONE, code, text);
		return;
	}
	retry_or_give_up(slot, code, text);
}

static void slot_done(struct slot *slot, CURLcode result)
{
	long status = 0;

	curl_easy_getinfo(slot->easy, CURLINFO_RESPONSE_CODE, &status);
	if (result == CURLE_PEER_FAILED_VERIFICATION)
		retry_or_give_up(slot, "tls", "the broker's certificate is not trusted");
	else if (result != CURLE_OK)
		retry_or_give_up(slot, "unreachable", curl_easy_strerror(result));
	else if (status >= 200 && status < 300)
		slot_succeeded(slot);
	else
		slot_refused(slot, status);
}

static void take_orders(struct control *control)
{
	struct order *orders, *next;

	pthread_mutex_lock(&control->lock);
	orders = control->orders;
	control->orders = NULL;
	control->orders_end = &control->orders;
	pthread_mutex_unlock(&control->lock);
	for (; orders; orders = next) {
		next = orders->next;
		/* What is left of a login before (a log-out that waits for its next try) must not
		 * be sent with the new one's token. */
		if (orders->forget || orders->kind == LOGIN)
			forget(control);
		if (orders->forget)
			wipe_free(orders->body, orders->body_size);
		else if (kinds[orders->kind].token && !control->token[0])
			wipe_free(orders->body, orders->body_size);
		else
			slot_order(&control->slots[orders->kind], orders->body, orders->body_size);
		/* A reconnect that the login is too old for is told as such. */
		if (!orders->forget && orders->kind == RECONNECT && !control->token[0])
			post(control, EVENT_TOKEN_GONE, "", "");
		free(orders);
	}
}

/* Starts what is due; returns how long nothing will be, ms. */
static int start_due(struct control *control)
{
	int64_t now = now_ms(), wait = 60000;

	for (int k = 0; k < KIND_COUNT; k++) {
		struct slot *slot = &control->slots[k];

		if (!slot->wanted || slot->easy)
			continue;
		if (slot->due_ms <= now)
			slot_start(slot);
		else if (slot->due_ms - now < wait)
			wait = slot->due_ms - now;
	}
	return (int)wait;
}

static void *control_thread(void *context)
{
	struct control *control = context;

	for (;;) {
		int running, left, wait;
		CURLMsg *message;

		pthread_mutex_lock(&control->lock);
		if (control->quit) {
			pthread_mutex_unlock(&control->lock);
			return NULL;
		}
		pthread_mutex_unlock(&control->lock);
		take_orders(control);
		start_due(control);
		curl_multi_perform(control->multi, &running);
		while ((message = curl_multi_info_read(control->multi, &left))) {
			struct slot *slot = NULL;
			CURLcode result = message->data.result;

			curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &slot);
			if (message->msg == CURLMSG_DONE && slot)
				slot_done(slot, result);
		}
		wait = knock_wait(&control->knock, now_ms(), start_due(control));
		struct curl_waitfd knocks = {.fd = control->knock.fd, .events = CURL_WAIT_POLLIN};
		curl_multi_poll(control->multi, &knocks, control->knock.fd >= 0, wait, NULL);
		if (knock_take(&control->knock, now_ms()))
			event_queue_post(control->queue, event_new(EVENT_KNOCK));
	}
}

struct control *control_new(const struct control_config *config, struct event_queue *queue)
{
	struct control *control = calloc(1, sizeof(*control));
	int error;

	if (!control)
		return NULL;
	curl_global_init(CURL_GLOBAL_DEFAULT);
	control->broker = strdup(config->broker);
	control->ca_file = strdup(config->ca_file);
	control->seat = strdup(config->seat);
	control->boot = strdup(config->boot ? config->boot : "[]");
	control->multi = curl_multi_init();
	if (!control->broker || !control->ca_file || !control->seat || !control->boot ||
		!control->multi)
		abort();
	control->queue = queue;
	control->orders_end = &control->orders;
	pthread_mutex_init(&control->lock, NULL);
	sse_init(&control->sse, on_stream_event, control);
	knock_open(&control->knock, control->broker);
	for (int k = 0; k < KIND_COUNT; k++) {
		control->slots[k].control = control;
		control->slots[k].kind = (enum kind)k;
	}
	error = pthread_create(&control->thread, NULL, control_thread, control);
	if (error) {
		control->quit = true;
		control->thread = 0;
		control_free(control);
		errno = error;
		return NULL;
	}
	return control;
}

void control_free(struct control *control)
{
	if (!control)
		return;
	if (control->thread) {
		pthread_mutex_lock(&control->lock);
		control->quit = true;
		pthread_mutex_unlock(&control->lock);
		curl_multi_wakeup(control->multi);
		pthread_join(control->thread, NULL);
	}
	while (control->orders) {
		struct order *next = control->orders->next;

		wipe_free(control->orders->body, control->orders->body_size);
		free(control->orders);
		control->orders = next;
	}
	forget(control);
	slot_clear(&control->slots[HELLO]);
	curl_multi_cleanup(control->multi);
	knock_close(&control->knock);
	pthread_mutex_destroy(&control->lock);
	free(control->broker);
	free(control->ca_file);
	free(control->seat);
	free(control->boot);
	free(control);
}

static void give_order(
	struct control *control, enum kind kind, bool forget_all, char *body, size_t body_size)
{
	struct order *order = calloc(1, sizeof(*order));

	if (!order)
		abort();
	order->kind = kind;
	order->forget = forget_all;
	order->body = body;
	order->body_size = body_size;
	pthread_mutex_lock(&control->lock);
	*control->orders_end = order;
	control->orders_end = &order->next;
	pthread_mutex_unlock(&control->lock);
	curl_multi_wakeup(control->multi);
}

void control_hello(struct control *control, const char *mode)
{
	char *body = NULL;
	int size = *mode ? asprintf(&body, "{\"seat\":\"%s\",\"mode\":\"%s\"}", control->seat, mode)
			 : asprintf(&body, "{\"seat\":\"%s\"}", control->seat);

	if (size < 0)
		abort();
	give_order(control, HELLO, false, body, (size_t)size);
}

void control_login(struct control *control, const char *user, const char *password)
{
	size_t size = 6 * (strlen(user) + strlen(password)) + strlen(control->boot) + 256;
	char *body = malloc(size), *p = body, *end = body + size;
	size_t n, m;

	if (!body)
		abort();
	p += snprintf(p, size, "{\"user\":");
	n = decode_quote(p, (size_t)(end - p), user);
	p += n;
	p += snprintf(p, (size_t)(end - p), ",\"password\":");
	m = decode_quote(p, (size_t)(end - p), password);
	p += m;
	p += snprintf(p, (size_t)(end - p), ",\"seat\":\"%s\",\"boot\":%s}", control->seat,
		control->boot);
	if (n == 0 || m == 0) {
		wipe_free(body, size);
		post(control, EVENT_LOGIN_FAILED, "bad-request",
			"The name or the password is not valid text.");
		return;
	}
	give_order(control, LOGIN, false, body, (size_t)(p - body));
}

static void report(struct control *control, const char *event, unsigned ms)
{
	char *body = NULL;
	int size = asprintf(&body, "{\"event\":\"%s\",\"ms\":%u}", event, ms);

	if (size < 0)
		abort();
	give_order(control, REPORT, false, body, (size_t)size);
}

void control_first_frame(struct control *control, unsigned ms)
{
	report(control, "first-frame", ms);
}

void control_lost(struct control *control, unsigned ms)
{
	report(control, "lost", ms);
}

void control_reconnect(struct control *control)
{
	give_order(control, RECONNECT, false, strdup("{}"), 2);
}

void control_move_now(struct control *control)
{
	give_order(control, MOVE_NOW, false, NULL, 0);
}

void control_logout(struct control *control)
{
	give_order(control, LOGOUT, false, strdup("{}"), 2);
}

void control_forget(struct control *control)
{
	give_order(control, LOGIN, true, NULL, 0);
}
