/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/ctl/request.h"
#include "broker/shared/conf.h"

#include <curl/curl.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define ANSWER_MAX (16 * 1024 * 1024)
#define TIMEOUT_S 40L /* longer than carreld waits for its helpers */

G_DEFINE_QUARK(carrel - request - error, request_error)

static size_t on_data(char *data, size_t size, size_t count, void *user)
{
	GByteArray *answer = user;

	if (answer->len + size * count > ANSWER_MAX)
		return 0;
	g_byte_array_append(answer, (const guint8 *)data, (guint)(size * count));
	return size * count;
}

/* Why the socket cannot be opened, in words with a remedy. */
static void explain(const char *socket_path, GError **error)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int why = 0;

	g_strlcpy(address.sun_path, socket_path, sizeof(address.sun_path));
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		why = errno;
	if (fd >= 0)
		close(fd);
	if (why == EACCES)
		g_set_error(error, REQUEST_ERROR, REQUEST_ERROR_CONNECT,
			"you may not talk to carreld (%s: %s); be root, or a member of the group "
			"carrel",
			socket_path, g_strerror(why));
	else
		g_set_error(error, REQUEST_ERROR, REQUEST_ERROR_CONNECT,
			"carreld is not running: cannot connect to %s: %s; start it with "
			"\"systemctl start carreld\"",
			socket_path, why ? g_strerror(why) : "no answer");
}

static json_t *read_answer(long status, const GByteArray *data, GError **error)
{
	json_t *answer = data->len ? json_loadb((const char *)data->data, data->len, 0, NULL)
				   : json_object();

	if (status >= 200 && status < 300 && json_is_object(answer))
		return answer;
	const char *message = json_string_value(json_object_get(answer, "message"));
	g_set_error(error, REQUEST_ERROR, REQUEST_ERROR_REFUSED, "%s",
		message ? message : "carreld gave an answer that is not understood");
	json_decref(answer);
	return NULL;
}

static char *socket_of(const struct context *context, GError **error)
{
	struct conf *conf = conf_load(context->conf_path, error);
	char *path = conf ? conf_path(conf, CONF_PATH_RUN, "api.sock") : NULL;

	conf_free(conf);
	return path;
}

static char *body_text(json_t *body)
{
	const json_t *password = json_object_get(body, "password");
	char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;

	if (json_is_string(password))
		explicit_bzero((char *)json_string_value(password), json_string_length(password));
	json_decref(body);
	return text;
}

json_t *request_send(const struct context *context, const char *method, const char *path,
	json_t *body, GError **error)
{
	char *text = body_text(body);
	g_autofree char *socket_path = socket_of(context, error);
	g_autofree char *url = g_strdup_printf("http://carrel%s", path);
	g_autoptr(GByteArray) data = g_byte_array_new();
	json_t *answer = NULL;
	long status = 0;

	if (socket_path) {
		CURL *curl = curl_easy_init();

		curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, socket_path);
		curl_easy_setopt(curl, CURLOPT_URL, url);
		curl_easy_setopt(curl, CURLOPT_PROXY, "");
		curl_easy_setopt(curl, CURLOPT_TIMEOUT, TIMEOUT_S);
		curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
		curl_easy_setopt(curl, CURLOPT_WRITEDATA, data);
		if (text || strcmp(method, "GET") != 0)
			curl_easy_setopt(curl, CURLOPT_POSTFIELDS, text ? text : "");
		curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
		if (curl_easy_perform(curl) == CURLE_OK &&
			curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK)
			answer = read_answer(status, data, error);
		else
			explain(socket_path, error);
		curl_easy_cleanup(curl);
	}
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
	return answer;
}
