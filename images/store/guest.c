/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "images/store/guest.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <jansson.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "images/store/arrival.h"
#include "images/store/check.h"
#include "images/store/guest_file.h"
#include "images/store/signature.h"
#include "images/store/versions.h"

#define FILE_NAME "disk.qcow2"
/* What qemu-img may take: a look takes 60 MiB and milliseconds; a conversion 20 threads and more.
 */
#define INFO_MEMORY ((rlim_t)1 << 30)
#define INFO_CPU_S 30
#define CHECK_CPU_S 600
/* "qemu-img check" found space that is lost and nothing worse. */
#define CHECK_LEAKS 3
#define CONVERT_MEMORY ((rlim_t)4 << 30)
#define ANSWER_MAX (1024 * 1024)
#define POLL_MS 200
/* The numbers of its open files in qemu-img. */
#define IN_FD 3
#define OUT_FD 4
#define IN_PATH "/proc/self/fd/3"
#define OUT_PATH "/proc/self/fd/4"

struct guest {
	const struct guest_import *options; /* borrowed */
	enum guest_format format;
	int in, out;  /* owned; -1: not open */
	guint64 size; /* bytes, as the guest sees its disk */
	guint64 bytes;
	char *sum;  /* owned; of the new file */
	uid_t user; /* whom qemu-img is run as, and as which group */
	gid_t group;
};

/* What a run of qemu-img is given and what it says. */
struct run {
	rlim_t memory;
	rlim_t cpu_s;  /* 0: no bound */
	int also_good; /* another status than 0 that is as good */
	uid_t user;
	gid_t group;
	pid_t parent;
	GString *said, *problem; /* owned; its standard output and error, the last part of them */
};

static gboolean fail(GError **error, const char *what, const char *path)
{
	g_set_error(error, DISK_ERROR, DISK_ERROR_FILE, "cannot %s %s: %s", what, path,
		g_strerror(errno));
	return FALSE;
}

/* In the child, just before it becomes qemu-img: system calls alone. */
static void give_up_rights(gpointer data)
{
	const struct run *run = data;
	const struct rlimit memory = {run->memory, run->memory}, none = {0, 0};
	const struct rlimit cpu = {run->cpu_s, run->cpu_s};

	if (setrlimit(RLIMIT_AS, &memory) < 0 || setrlimit(RLIMIT_CORE, &none) < 0 ||
		(run->cpu_s && setrlimit(RLIMIT_CPU, &cpu) < 0) ||
		(geteuid() == 0 && (setgroups(0, NULL) < 0 ||
					   setresgid(run->group, run->group, run->group) < 0 ||
					   setresuid(run->user, run->user, run->user) < 0)) ||
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		/* It ends with its parent, also when that is killed. */
		prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != run->parent)
		_exit(126);
}

/* Takes what is there of a pipe. FALSE at its end. */
static gboolean take(int fd, GString *text)
{
	char buffer[4096];
	ssize_t n = read(fd, buffer, sizeof(buffer));

	if (n < 0)
		return errno == EINTR;
	g_string_append_len(text, buffer, n);
	if (text->len > ANSWER_MAX)
		g_string_erase(text, 0, (gssize)text->len / 2);
	return n > 0;
}

/* Reads both pipes to their end. FALSE with `error` when the progress wants an end before. */
static gboolean listen_to(
	const struct guest *self, int out, int problem, struct run *run, GError **error)
{
	struct pollfd pipes[] = {{.fd = out, .events = POLLIN}, {.fd = problem, .events = POLLIN}};
	double percent = -1;

	while (pipes[0].fd >= 0 || pipes[1].fd >= 0) {
		poll(pipes, 2, POLL_MS);
		if (pipes[0].revents && !take(out, run->said))
			pipes[0].fd = -1;
		if (pipes[1].revents && !take(problem, run->problem))
			pipes[1].fd = -1;
		percent = MAX(percent, guest_percent(run->said->str));
		if (!disk_step(&self->options->progress,
			    (guint64)(MAX(percent, 0) / 100 * (double)self->size), self->size,
			    error))
			return FALSE;
		for (int i = 0; i < 2; i++)
			pipes[i].revents = 0;
	}
	return TRUE;
}

/* The last line that it wrote, without its own name. */
static const char *last_line(GString *text)
{
	g_strchomp(text->str);
	const char *line = strrchr(text->str, '\n');

	line = line ? line + 1 : text->str;
	return g_str_has_prefix(line, "qemu-img: ") ? line + strlen("qemu-img: ") : line;
}

/* Runs qemu-img and waits for it. `run` has its limits, and then what it said. */
static gboolean qemu_img(
	const struct guest *self, const char *const *words, struct run *run, GError **error)
{
	g_autofree char *program = disk_program("qemu-img", "qemu-utils", error);
	g_autoptr(GPtrArray) argv = g_ptr_array_new();
	g_autoptr(GError) cause = NULL;
	const int from[] = {self->in, self->out}, to[] = {IN_FD, OUT_FD};
	int out = -1, problem = -1, status = 0;
	GPid pid = 0;

	if (!program)
		return FALSE;
	g_ptr_array_add(argv, program);
	for (; *words; words++)
		g_ptr_array_add(argv, (char *)*words);
	g_ptr_array_add(argv, NULL);
	run->user = self->user;
	run->group = self->group;
	run->parent = getpid();
	if (!g_spawn_async_with_pipes_and_fds("/", (const char *const *)argv->pdata, NULL,
		    G_SPAWN_DO_NOT_REAP_CHILD, give_up_rights, run, -1, -1, -1, from, to,
		    self->out < 0 ? 1 : 2, &pid, NULL, &out, &problem, error))
		return FALSE;
	gboolean good = listen_to(self, out, problem, run, error);
	if (!good)
		kill(pid, SIGKILL);
	close(out);
	close(problem);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	if (!good || g_spawn_check_wait_status(status, &cause))
		return good;
	if (run->also_good && WIFEXITED(status) && WEXITSTATUS(status) == run->also_good)
		return TRUE;
	const char *line = last_line(run->problem);
	g_set_error(
		error, DISK_ERROR, DISK_ERROR_TOOL, "qemu-img: %s", *line ? line : cause->message);
	return FALSE;
}

/* The same, and all that it said. */
static char *qemu_img_said(
	const struct guest *self, const char *const *words, struct run *run, GError **error)
{
	run->said = g_string_new(NULL);
	run->problem = g_string_new(NULL);
	gboolean good = qemu_img(self, words, run, error);
	g_string_free(run->problem, TRUE);
	return g_string_free(run->said, !good);
}

/* Whom qemu-img is run as: nobody, where we may choose. */
static gboolean choose_user(struct guest *self, const struct stat *file, GError **error)
{
	const struct passwd *nobody;

	self->user = geteuid();
	self->group = getegid();
	if (geteuid() != 0)
		return TRUE;
	nobody = getpwnam("nobody");
	if (!nobody) {
		g_set_error(error, DISK_ERROR, DISK_ERROR_FILE,
			"there is no user \"nobody\", as whom qemu-img is run");
		return FALSE;
	}
	self->user = nobody->pw_uid;
	self->group = nobody->pw_gid;
	if ((file->st_mode & S_IROTH) || file->st_uid == self->user)
		return TRUE;
	g_set_error(error, DISK_ERROR, DISK_ERROR_FILE,
		"qemu-img is run as the user \"nobody\", who may not read it: chmod o+r %s",
		self->options->file);
	return FALSE;
}

/* Is it whole? What lies behind the end of a file that was cut short would be read as zeros. */
static gboolean check(const struct guest *self, GError **error)
{
	const char *const words[] = {
		"check", "-q", "-f", guest_format_word(self->format), IN_PATH, NULL};
	struct run run = {.memory = CONVERT_MEMORY, .cpu_s = CHECK_CPU_S, .also_good = CHECK_LEAKS};

	if (self->format == GUEST_RAW)
		return TRUE;
	g_autofree char *said = qemu_img_said(self, words, &run, error);
	if (!said)
		g_prefix_error(error, "it is damaged or cut short: ");
	return said != NULL;
}

/* Opens the file and judges it, at last by the words of qemu-img. */
static gboolean look(struct guest *self, GError **error)
{
	const char *const words[] = {
		"info", "--output=json", "-f", guest_format_word(self->format), IN_PATH, NULL};
	struct run run = {.memory = INFO_MEMORY, .cpu_s = INFO_CPU_S};
	const char *file = self->options->file;
	guint8 head[GUEST_HEAD];
	struct stat about;

	self->in = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (self->in < 0 || fstat(self->in, &about) < 0)
		return fail(error, "open", file);
	if (!S_ISREG(about.st_mode)) {
		g_set_error(error, DISK_ERROR, DISK_ERROR_FILE, "it is no file");
		return FALSE;
	}
	ssize_t n = pread(self->in, head, sizeof(head), 0);
	if (n < 0)
		return fail(error, "read", file);
	if (!guest_head_check(self->format, head, (gsize)n, error) ||
		!choose_user(self, &about, error))
		return FALSE;
	g_autofree char *said = qemu_img_said(self, words, &run, error);
	return said && guest_info_check(self->format, said, strlen(said), &self->size, error) &&
	       check(self, error);
}

/* The new file belongs to whom qemu-img is run as only while it is made. */
static gboolean convert(struct guest *self, const char *path, GError **error)
{
	const char *const words[] = {"convert", "-p", "-f", guest_format_word(self->format), "-O",
		"qcow2", "-o", "compat=1.1,lazy_refcounts=off", IN_PATH, OUT_PATH, NULL};
	struct run run = {.memory = CONVERT_MEMORY};

	self->out = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (self->out < 0 || (geteuid() == 0 && fchown(self->out, self->user, self->group) < 0))
		return fail(error, "make", path);
	g_autofree char *said = qemu_img_said(self, words, &run, error);
	if (!said)
		return FALSE;
	if ((geteuid() == 0 && fchown(self->out, 0, 0) < 0) || fchmod(self->out, 0644) < 0 ||
		fsync(self->out) < 0)
		return fail(error, "write", path);
	self->sum = file_sum(path, &self->bytes, &self->options->progress, error);
	return self->sum != NULL;
}

/* Today's next version, also beyond those that are half-made or half-removed. */
static char *next_version(const char *images, const char *name)
{
	g_autoptr(GDateTime) now = g_date_time_new_now_utc();
	g_autofree char *day = g_date_time_format(now, "%Y%m%d.");
	g_autofree char *folder = g_build_filename(images, name, NULL);
	g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
	const char *entry;
	int last = 0;

	while (dir && (entry = g_dir_read_name(dir)))
		if (image_version_is_good(entry) && g_str_has_prefix(entry, day))
			last = MAX(last, atoi(entry + strlen(day)));
	return g_strdup_printf("%s%d", day, last + 1);
}

/* The text of the manifest, which the caller frees. */
static char *manifest(const struct guest *self, const char *version)
{
	const struct guest_import *options = self->options;
	g_autofree char *source = g_filename_display_basename(options->file);
	json_t *root = json_pack("{s:s, s:s, s:s, s:{s:{s:s, s:I, s:s}}, s:{s:s, s:I, s:s, s:s}, "
				 "s:{s:s, s:s}, s:s}",
		"name", options->name, "version", version, "kind", image_kind_word(IMAGE_GUEST),
		"files", image_file_key(IMAGE_DISK), "file", FILE_NAME, "size",
		(json_int_t)self->bytes, "sha256", self->sum, "disk", "format", "qcow2", "size",
		(json_int_t)self->size, "firmware", options->uefi ? "uefi" : "bios", "agent",
		image_agent_word(options->agent), "source", "file", source, "format",
		guest_format_word(self->format), "handoff", "hard");
	char *text = json_dumps(root, JSON_INDENT(1));

	json_decref(root);
	return text;
}

static char *make(struct guest *self, const char *scratch, GError **error)
{
	const struct guest_import *options = self->options;
	g_autofree char *path = g_build_filename(scratch, FILE_NAME, NULL);

	if (!convert(self, path, error))
		return NULL;
	g_autofree char *version = next_version(options->images, options->name);
	g_autofree char *folder = g_build_filename(options->images, options->name, version, NULL);
	char *text = manifest(self, version);
	g_autofree char *signature =
		signature_make(options->private_key, text, strlen(text), error);
	gboolean good =
		signature && arrival_appear(scratch, folder, text, strlen(text), signature, error);

	free(text);
	return good ? g_strconcat(options->name, "@", version, NULL) : NULL;
}

/* The key is tried before anything takes time. */
static gboolean key_is_good(const char *path, GError **error)
{
	g_autofree char *signature = signature_make(path, "", 0, error);

	return signature != NULL;
}

static char *import(struct guest *self, GError **error)
{
	const struct guest_import *options = self->options;

	if (!image_name_is_good(options->name)) {
		g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_BAD,
			"\"%s\" is no name of an image: lower case letters, digits and '-', 32 at "
			"most",
			options->name);
		return NULL;
	}
	if (!key_is_good(options->private_key, error) || !look(self, error))
		return NULL;
	g_autofree char *scratch = arrival_scratch(options->images, options->name, error);
	char *id = scratch ? make(self, scratch, error) : NULL;
	if (scratch && !id)
		arrival_undo(scratch);
	return id;
}

char *guest_import(const struct guest_import *options, GError **error)
{
	struct guest self = {
		.options = options, .format = guest_format_of(options->file), .in = -1, .out = -1};
	int lock = disk_lock(options->images, error);
	char *id = lock < 0 ? NULL : import(&self, error);

	if (self.in >= 0)
		close(self.in);
	if (self.out >= 0)
		close(self.out);
	if (lock >= 0)
		close(lock);
	g_free(self.sum);
	return id;
}
