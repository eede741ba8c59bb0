/* SPDX-License-Identifier: GPL-2.0-or-later */
/* carrel image export and import, of versions and of the disks of guests. */
#include "broker/ctl/image_store.h"
#include "broker/ctl/show.h"
#include "broker/ctl/image_args.h"
#include "images/store/guest.h"
#include "images/store/guest_file.h"
#include "images/store/transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* A file, or a pipe to or from zstd that has the file. */
struct stream {
	int fd;
	GPid zstd; /* 0: there is none */
};

/* zstd between the file `fd`, which is closed, and a pipe. FALSE with `error`. */
static gboolean stream_zstd(struct stream *stream, int fd, gboolean compress, GError **error)
{
	g_autofree char *program = disk_program("zstd", "zstd", error);
	char *argv[] = {
		program, (char *)"-q", (char *)"-c", (char *)(compress ? "-T0" : "-d"), NULL};
	int ends[2];

	if (!program || !g_unix_open_pipe(ends, FD_CLOEXEC, error)) {
		close(fd);
		return FALSE;
	}
	int own = compress ? ends[1] : ends[0], its = compress ? ends[0] : ends[1];
	gboolean good = g_spawn_async_with_fds(NULL, argv, NULL, G_SPAWN_DO_NOT_REAP_CHILD, NULL,
		NULL, &stream->zstd, compress ? its : fd, compress ? fd : its, STDERR_FILENO,
		error);
	close(its);
	close(fd);
	if (good)
		stream->fd = own;
	else
		close(own);
	return good;
}

/* Closes it and waits for zstd. FALSE with `error` when zstd failed. */
static gboolean stream_close(struct stream *stream, GError **error)
{
	int status = 0;

	close(stream->fd);
	if (!stream->zstd)
		return TRUE;
	while (waitpid(stream->zstd, &status, 0) < 0 && errno == EINTR)
		continue;
	return g_spawn_check_wait_status(status, error);
}

static gboolean is_zstd(const char *file)
{
	return g_str_has_suffix(file, ".zst") || g_str_has_suffix(file, ".zstd");
}

static gboolean fail(GError **error, const char *file, const char *what)
{
	g_set_error(error, DISK_ERROR, DISK_ERROR_FILE, "%s: %s", file, what);
	return FALSE;
}

static gboolean open_out(struct stream *stream, const char *file, const char *part, GError **error)
{
	if (!strcmp(file, "-")) {
		stream->fd = dup(STDOUT_FILENO);
		return !isatty(STDOUT_FILENO) ||
		       fail(error, "standard output",
			       "is a terminal, which an image would only upset: write into a file "
			       "or a pipe");
	}
	stream->fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (stream->fd < 0)
		return fail(error, part, g_strerror(errno));
	return !is_zstd(file) || stream_zstd(stream, stream->fd, TRUE, error);
}

static gboolean export_to(
	const struct version *version, const char *file, const char *part, GError **error)
{
	g_autofree char *id = version_id(version);
	g_autofree char *what = g_strconcat("writing ", id, NULL);
	struct disk_progress progress = image_store_progress(what);
	struct stream stream = {-1, 0};

	if (!open_out(&stream, file, part, error))
		return FALSE;
	gboolean good = transfer_export(version, stream.fd, &progress, error);
	image_store_progress_end();
	return stream_close(&stream, good ? error : NULL) && good;
}

/* The file appears when all of it is there. */
static gboolean export_file(const struct version *version, const char *file, GError **error)
{
	g_autofree char *part = g_strconcat(file, ".part", NULL);
	gboolean named = strcmp(file, "-") != 0;
	gboolean good = export_to(version, file, part, error);

	if (good && named && g_rename(part, file) < 0)
		good = fail(error, file, g_strerror(errno));
	if (!good && named)
		g_unlink(part);
	return good;
}

int command_image_export(const struct context *context)
{
	const char *file = context->args[1];
	struct version *version = NULL;
	struct image_store store;
	g_autoptr(GError) error = NULL;
	gboolean good = FALSE;

	signal(SIGPIPE, SIG_IGN);
	if (image_store_open(&store, context))
		version = image_store_find_good(&store, context->args[0]);
	if (version) {
		g_autofree char *id = version_id(version);

		good = export_file(version, file, &error);
		if (good && context->json && strcmp(file, "-") != 0) {
			json_t *answer = json_pack("{s:s, s:s}", "image", id, "file", file);

			show_json(answer);
			json_decref(answer);
		} else if (good && strcmp(file, "-") != 0) {
			printf("%s is in %s\n", id, file);
		}
	}
	if (error)
		show_failed(error);
	version_free(version);
	image_store_clear(&store);
	return good ? EXIT_DONE : EXIT_FAILED;
}

static gboolean open_in(struct stream *stream, const char *file, GError **error)
{
	if (!strcmp(file, "-")) {
		stream->fd = dup(STDIN_FILENO);
		return TRUE;
	}
	stream->fd = open(file, O_RDONLY | O_CLOEXEC);
	if (stream->fd < 0)
		return fail(error, file, g_strerror(errno));
	return !is_zstd(file) || stream_zstd(stream, stream->fd, FALSE, error);
}

/* What is imported, which the caller frees; NULL with `error`, which names the file. */
static char *import_file(const struct context *context, const struct image_store *store,
	gboolean *known, GError **error)
{
	const char *file = context->args[0], *trust = context->image->trust;
	struct transfer_import options = {store->images, trust ? trust : store->public_key,
		trust ? store->private_key : NULL, image_store_progress("reading")};
	struct stream stream = {-1, 0};
	g_autofree char *id = NULL;

	if (!open_in(&stream, file, error))
		return NULL;
	id = transfer_import(&options, stream.fd, known, error);
	image_store_progress_end();
	/* All of it has been checked by then: what zstd says of an archive that is not read to its
	 * end is of no account. */
	stream_close(&stream, NULL);
	if (!id)
		g_prefix_error(
			error, "%s is not imported: ", strcmp(file, "-") ? file : "standard input");
	return g_steal_pointer(&id);
}

/* One of two words, the first of which is meant by none at all; -1: said what is allowed. */
static int choose(const char *option, const char *given, const char *first, const char *second)
{
	if (!given || !strcmp(given, first))
		return 0;
	if (!strcmp(given, second))
		return 1;
	fprintf(stderr, "carrel: %s is %s or %s, not \"%s\"\n", option, first, second, given);
	return -1;
}

/* The version that is made of the disk of a guest, which the caller frees. NULL: said why, or
 * `error`. */
static char *import_disk(
	const struct context *context, const struct image_store *store, GError **error)
{
	const struct image_args *args = context->image;
	const char *file = context->args[0];
	int uefi = choose("--firmware", args->firmware, "bios", "uefi");
	int agent = choose("--agent", args->agent, image_agent_word(IMAGE_AGENT_CARREL),
		image_agent_word(IMAGE_AGENT_QEMU));

	if (uefi < 0 || agent < 0)
		return NULL;
	if (!args->name || args->trust) {
		fprintf(stderr, "carrel: %s is the disk of a guest: %s\n", file,
			args->trust ? "nobody has signed it, so there is nothing to --trust"
				    : "--name says what its image is to be called");
		return NULL;
	}
	char *id = guest_import(&(struct guest_import){.images = store->images,
					.private_key = store->private_key,
					.file = file,
					.name = args->name,
					.uefi = uefi > 0,
					.agent = (enum image_agent)agent,
					.progress = image_store_progress("converting")},
		error);
	image_store_progress_end();
	if (!id)
		g_prefix_error(error, "%s is not imported: ", file);
	return id;
}

/* The same of any file. */
static char *import_any(const struct context *context, const struct image_store *store,
	gboolean *known, GError **error)
{
	const struct image_args *args = context->image;

	if (guest_format_of(context->args[0]) != GUEST_FORMAT_COUNT)
		return import_disk(context, store, error);
	if (!args->name && !args->firmware && !args->agent)
		return import_file(context, store, known, error);
	fprintf(stderr,
		"carrel: --name, --firmware and --agent are of the disk of a guest, whose file "
		"ends in .qcow2, .raw, .vmdk or .vhdx; %s is taken for the file of an export\n",
		context->args[0]);
	return NULL;
}

int command_image_import(const struct context *context)
{
	struct image_store store;
	g_autofree char *id = NULL;
	g_autoptr(GError) error = NULL;
	gboolean known = FALSE;

	signal(SIGPIPE, SIG_IGN);
	if (image_store_open(&store, context))
		id = import_any(context, &store, &known, &error);
	if (id && context->json) {
		json_t *answer = json_pack("{s:s, s:b}", "image", id, "known", known);

		show_json(answer);
		json_decref(answer);
	} else if (id) {
		printf("%s %s.\n", id,
			known ? "is there already" : "is imported; \"carrel image list\" shows it");
	}
	if (error)
		show_failed(error);
	image_store_clear(&store);
	return id ? EXIT_DONE : EXIT_FAILED;
}
