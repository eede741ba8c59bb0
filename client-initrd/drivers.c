/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "client-initrd/drivers.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zstd.h>

#include "client-initrd/ask.h"
#include "client-initrd/sha256.h"
#include "client-initrd/util.h"

#define INDEX_MAX (1 << 20)
#define PIECE_MAX (128 << 20) /* of a file, packed and unpacked */
#define TRIES 3
#define PAUSE_MS 10000       /* after a failure */
#define SLOWEST_BYTES 100000 /* a second: slower than that is given up */

/* Cuts the next word off; NULL at the line's end. */
static char *word(char **line)
{
	char *start = *line, *end = start + strcspn(start, " ");
	if (end == start)
		return NULL;
	*line = *end ? end + 1 : end;
	*end = '\0';
	return start;
}

/* "OFFSET PACKED SIZE SHA256 PATH" */
static bool parse_item(char *line, struct drivers_item *item)
{
	uint64_t numbers[3];
	for (int i = 0; i < 3; i++) {
		const char *number = word(&line);
		uint64_t max = i ? PIECE_MAX : UINT64_C(1) << 40;
		if (!number || !util_parse_u64(number, max, &numbers[i], NULL))
			return false;
	}
	item->offset = numbers[0];
	item->packed = (size_t)numbers[1];
	item->size = (size_t)numbers[2];
	item->sha256 = word(&line);
	item->path = word(&line);
	return item->packed && item->path && !*line && strlen(item->sha256) == 64 &&
	       strspn(item->sha256, "0123456789abcdef") == 64;
}

static int parse(struct drivers *drivers)
{
	size_t lines = 1;
	char *save = NULL;
	for (const char *c = drivers->text; *c; c++)
		lines += *c == '\n';
	drivers->items = calloc(lines, sizeof *drivers->items);
	if (!drivers->items)
		return -ENOMEM;
	for (char *line = strtok_r(drivers->text, "\n", &save); line;
		line = strtok_r(NULL, "\n", &save)) {
		if (!parse_item(line, &drivers->items[drivers->count]))
			return -EPROTO;
		drivers->count++;
	}
	return 0;
}

/* The pack lies beside the root: "client-20260301.1.root", "client-20260301.1.drivers". */
static int name_pack(struct drivers *drivers)
{
	const char *root = drivers->params->root, *dot = strrchr(root, '.');
	int stem = dot ? (int)(dot - root) : (int)strlen(root);
	int n = snprintf(drivers->file, sizeof drivers->file, "%.*s.drivers", stem, root);
	return n < (int)sizeof drivers->file ? 0 : -ENAMETOOLONG;
}

int drivers_open(struct drivers *drivers, const char *index, const struct params *params)
{
	memset(drivers, 0, sizeof *drivers);
	drivers->params = params;
	drivers->text = malloc(INDEX_MAX);
	drivers->state = mmap(NULL, sizeof *drivers->state, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (drivers->state == MAP_FAILED)
		drivers->state = NULL;
	int error = drivers->text && drivers->state ? name_pack(drivers) : -ENOMEM;
	if (!error) {
		ssize_t n = util_read_file(index, drivers->text, INDEX_MAX);
		error = n < 0 ? (int)n : n == INDEX_MAX - 1 ? -EFBIG : parse(drivers);
	}
	if (error)
		drivers->count = 0;
	return error;
}

void drivers_close(struct drivers *drivers)
{
	if (drivers->state)
		munmap(drivers->state, sizeof *drivers->state);
	free(drivers->items);
	free(drivers->text);
	memset(drivers, 0, sizeof *drivers);
}

static const struct drivers_item *find(const struct drivers *drivers, const char *path)
{
	for (size_t i = 0; i < drivers->count; i++) {
		if (!strcmp(drivers->items[i].path, path))
			return &drivers->items[i];
	}
	return NULL;
}

void drivers_lacks(struct drivers *drivers, const char *path, const char *why)
{
	const char *name = !strncmp(path, DRIVERS_FIRMWARE, strlen(DRIVERS_FIRMWARE))
				   ? path + strlen(DRIVERS_FIRMWARE)
				   : strrchr(path, '/') + 1;
	if (drivers->state && !drivers->state->problem[0])
		snprintf(drivers->state->problem, sizeof drivers->state->problem, "%s: %s", name,
			why);
}

void drivers_retry(struct drivers *drivers)
{
	drivers->state->failed_ms = 0;
	drivers->state->problem[0] = '\0';
}

/* In the process without privilege: copies the piece from the server to `out`; 0 or an errno. */
static int bring(const struct drivers *drivers, const struct drivers_item *item, int out)
{
	static char data[HTTP_HEAD_MAX * 8];
	struct http_head head = {0};
	size_t head_size = 0, done = 0;
	int fd = ask_file(
		drivers->params, drivers->file, item->offset, item->offset + item->packed - 1);
	ssize_t n = fd < 0 ? fd : ask_head(fd, data, &head_size, &head);
	if (n < 0)
		return (int)-n;
	if (head.status != 206 || !head.has_range || head.range_first != item->offset)
		return head.status == 404 ? ENOENT : EPROTO;
	n -= (ssize_t)head_size;
	memmove(data, data + head_size, (size_t)n);
	for (;;) {
		size_t take = (size_t)n < item->packed - done ? (size_t)n : item->packed - done;
		int error = util_write_all(out, data, take);
		done += take;
		if (error || done == item->packed)
			return -error;
		n = read(fd, data, sizeof data);
		if (n <= 0)
			return n < 0 ? errno : ECONNRESET;
	}
}

/* Reads to the end of what the other process brings, but no more than `size`; the length. */
static size_t collect(int in, char *packed, size_t size)
{
	size_t used = 0;
	for (ssize_t n = 1; n && used < size;) {
		n = read(in, packed + used, size - used);
		if (n < 0 && errno != EINTR)
			break;
		if (n > 0)
			used += (size_t)n;
	}
	return used;
}

static int fetch_packed(
	const struct drivers *drivers, const struct drivers_item *item, char *packed)
{
	int ends[2], status = -1;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	pid_t child = fork();
	if (child == 0) {
		close(ends[0]);
		alarm(10 + (unsigned)(item->packed / SLOWEST_BYTES));
		_exit(util_give_up_privilege() ? bring(drivers, item, ends[1]) : EPERM);
	}
	int error = child < 0 ? -errno : 0;
	close(ends[1]);
	size_t length = error ? 0 : collect(ends[0], packed, item->packed);
	close(ends[0]);
	while (!error && waitpid(child, &status, 0) < 0 && errno == EINTR) {
	}
	if (error || length == item->packed)
		return error;
	error = WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : ETIMEDOUT;
	return error == EAGAIN ? -ETIMEDOUT : -error;
}

static bool is_published(const struct drivers_item *item, const char *packed)
{
	struct sha256 sum;
	char text[65];
	sha256_init(&sum);
	sha256_update(&sum, packed, item->packed);
	sha256_hex(&sum, text);
	return !strcmp(text, item->sha256);
}

static int unpack(const struct drivers_item *item, const char *packed, char **content)
{
	*content = malloc(item->size + 1);
	if (!*content)
		return -ENOMEM;
	if (ZSTD_decompress(*content, item->size, packed, item->packed) == item->size)
		return 0;
	free(*content);
	*content = NULL;
	return -EPROTO;
}

/* A server that does not answer is asked again; one that has something else is not. */
static int fetch_tried(const struct drivers *drivers, const struct drivers_item *item, char *packed)
{
	int error = 0;
	for (int try = 0; try < TRIES; try++) {
		util_back_off((unsigned)try);
		error = fetch_packed(drivers, item, packed);
		if (!error || error == -ENOENT || error == -EPROTO)
			break;
	}
	return error;
}

int drivers_get(struct drivers *drivers, const char *path, char **content, size_t *size)
{
	const struct drivers_item *item = find(drivers, path);
	struct drivers_state *state = drivers->state;
	if (!item)
		return -ENOENT;
	if (state->failed_ms && util_now_ms() - state->failed_ms < PAUSE_MS)
		return -EAGAIN;
	char *packed = malloc(item->packed);
	int error = packed ? fetch_tried(drivers, item, packed) : -ENOMEM;
	if (!error && !is_published(item, packed))
		error = -EBADMSG;
	if (!error)
		error = unpack(item, packed, content);
	free(packed);
	if (!error) {
		*size = item->size;
		state->bytes += item->packed;
		return 0;
	}
	drivers_lacks(drivers, path,
		error == -EBADMSG  ? "what the server has is not the published one"
		: error == -ENOENT ? "the server does not have it"
		: error == -EPROTO ? "the server's answer is of no use"
				   : strerror(-error));
	state->failed_ms = util_now_ms();
	return error == -ENOENT ? -EPROTO : error;
}
