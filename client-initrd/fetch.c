/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "client-initrd/fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "client-initrd/ask.h"
#include "client-initrd/http.h"
#include "client-initrd/screen.h"
#include "client-initrd/util.h"

#define CHUNK (256 * 1024)
#define NFS_PORT 2049
#define NFS_DIR "/nfs"
#define NFS_CONNECT_MS 2000
#define NFS_MOUNT_MS 15000
#define HTTP_TRIES 4

static char chunk[CHUNK];

/* Takes bytes that have arrived; 0 or -errno. */
static int take(struct fetch *fetch, const struct boot *boot, const char *data, size_t length)
{
	int error = util_write_all(fetch->out, data, length);
	if (error)
		return error;
	sha256_update(&fetch->sum, data, length);
	fetch->done += length;
	screen_progress("fetching", fetch->done, boot->params.size, fetch->start_ms);
	return 0;
}

/* A process ends within the time, or is killed; its exit status, or -1. */
static int wait_child(pid_t child, int timeout_ms)
{
	int64_t until = util_now_ms() + timeout_ms;
	for (;;) {
		int status;
		struct timespec step = {.tv_nsec = 5000000};
		if (waitpid(child, &status, WNOHANG) == child)
			return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
		if (util_now_ms() > until)
			break;
		nanosleep(&step, NULL);
	}
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	return -1;
}

/* mount(2) of a silent server can last minutes and yields only to SIGKILL: a child does it. */
static int mount_nfs(const struct params *params)
{
	char address[16], source[160], options[160];
	params_ipv4(params->nfs_server, address);
	snprintf(source, sizeof source, "%s:%s", address, params->nfs_path);
	snprintf(options, sizeof options,
		"vers=4.2,addr=%s,clientaddr=0.0.0.0,proto=tcp,port=%d,soft,timeo=30,retrans=2",
		address, NFS_PORT);
	mkdir(NFS_DIR, 0755);
	pid_t child = fork();
	if (child < 0)
		return -errno;
	if (child == 0)
		_exit(mount(source, NFS_DIR, "nfs", MS_RDONLY | MS_NOSUID | MS_NODEV, options) < 0
				? errno
				: 0);
	int status = wait_child(child, NFS_MOUNT_MS);
	return status < 0 ? -ETIMEDOUT : -status;
}

static enum boot_code copy_nfs(struct fetch *fetch, struct boot *boot)
{
	char path[sizeof boot->params.root + sizeof NFS_DIR + 1];
	struct stat about;
	snprintf(path, sizeof path, NFS_DIR "/%s", boot->params.root);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &about) < 0) {
		snprintf(fetch->nfs_reason, sizeof fetch->nfs_reason, "NFS: open: %s",
			strerror(errno));
		if (fd >= 0)
			close(fd);
		return BOOT_NO_IMAGE;
	}
	if ((uint64_t)about.st_size != boot->params.size) {
		close(fd);
		return boot_fail(boot, BOOT_WRONG_IMAGE, "NFS has %lld bytes, %llu are published",
			(long long)about.st_size, (unsigned long long)boot->params.size);
	}
	ssize_t n = 0;
	int error = 0;
	while (!error && fetch->done < boot->params.size && (n = read(fd, chunk, CHUNK)) > 0)
		error = take(fetch, boot, chunk, (size_t)n);
	if (n < 0)
		error = -errno;
	close(fd);
	if (fetch->done == boot->params.size)
		return BOOT_OK;
	snprintf(fetch->nfs_reason, sizeof fetch->nfs_reason, "NFS: read: %s",
		error ? strerror(-error) : "the file is shorter than it was");
	return BOOT_NO_IMAGE;
}

static enum boot_code fetch_nfs(struct fetch *fetch, struct boot *boot, struct modules *modules)
{
	const struct params *params = &boot->params;
	if (!params->nfs_server) {
		snprintf(fetch->nfs_reason, sizeof fetch->nfs_reason, "NFS: off");
		return BOOT_NO_IMAGE;
	}
	/* A server that is not there is found out here, not by the kernel's long retries. */
	int fd = util_connect(params->nfs_server, NFS_PORT, NFS_CONNECT_MS);
	if (fd >= 0) {
		close(fd);
		modules_load(modules, "nfs");
		modules_load(modules, "nfsv4");
		fd = mount_nfs(params);
	}
	if (fd < 0) {
		snprintf(fetch->nfs_reason, sizeof fetch->nfs_reason, "NFS: %s", strerror(-fd));
		return BOOT_NO_IMAGE;
	}
	fetch->source = "NFS";
	enum boot_code code = copy_nfs(fetch, boot);
	umount2(NFS_DIR, MNT_DETACH);
	return code;
}

/* Is this the rest of the published file? A whole answer (200) is one only at the start. */
static enum boot_code http_check(
	struct fetch *fetch, struct boot *boot, const struct http_head *head)
{
	uint64_t total = head->length;
	fetch->refused = true;
	if (head->status == 206)
		total = head->range_total;
	if ((head->status != 200 && head->status != 206) || !head->has_length) {
		snprintf(fetch->http_reason, sizeof fetch->http_reason, "HTTP: status %d",
			head->status);
		return BOOT_NO_IMAGE;
	}
	if (total != boot->params.size)
		return boot_fail(boot, BOOT_WRONG_IMAGE, "HTTP has %llu bytes, %llu are published",
			(unsigned long long)total, (unsigned long long)boot->params.size);
	if (head->status == 206 ? !head->has_range || head->range_first != fetch->done
				: fetch->done > 0) {
		snprintf(fetch->http_reason, sizeof fetch->http_reason,
			"HTTP: the answer is not the range asked for");
		return BOOT_NO_IMAGE;
	}
	fetch->refused = false;
	return BOOT_OK;
}

/* Of what came, only as much as is missing; 0 or -errno. */
static int take_missing(struct fetch *fetch, const struct boot *boot, const char *data, size_t n)
{
	uint64_t missing = boot->params.size - fetch->done;
	return take(fetch, boot, data, n < missing ? n : (size_t)missing);
}

static enum boot_code http_once(struct fetch *fetch, struct boot *boot)
{
	struct http_head head = {0};
	size_t head_size = 0;
	int fd = ask_file(&boot->params, boot->params.root, fetch->done, 0), error = 0;
	ssize_t n = fd < 0 ? fd : ask_head(fd, chunk, &head_size, &head);
	enum boot_code code = BOOT_OK;
	if (n < 0) {
		error = (int)n;
	} else {
		code = http_check(fetch, boot, &head);
		if (code == BOOT_OK)
			error = take_missing(fetch, boot, chunk + head_size, (size_t)n - head_size);
	}
	while (code == BOOT_OK && !error && fetch->done < boot->params.size) {
		n = read(fd, chunk, CHUNK);
		error = n > 0   ? take_missing(fetch, boot, chunk, (size_t)n)
			: n < 0 ? -errno
				: -ECONNRESET;
	}
	if (fd >= 0)
		close(fd);
	if (!error)
		return code;
	snprintf(fetch->http_reason, sizeof fetch->http_reason, "HTTP: %s",
		error == -EAGAIN ? strerror(ETIMEDOUT) : strerror(-error));
	return BOOT_NO_IMAGE;
}

static enum boot_code fetch_http(struct fetch *fetch, struct boot *boot)
{
	enum boot_code code = BOOT_NO_IMAGE;
	fetch->source = "HTTP";
	for (int try = 0; try < HTTP_TRIES; try++) {
		uint64_t before = fetch->done;
		util_back_off((unsigned)try);
		code = http_once(fetch, boot);
		if (code != BOOT_NO_IMAGE || fetch->refused)
			break;
		if (fetch->done > before)
			try = -1; /* it goes forward: a weak line is not a dead one */
	}
	return code;
}

enum boot_code fetch_image(
	struct fetch *fetch, struct boot *boot, struct modules *modules, const char *path)
{
	memset(fetch, 0, sizeof *fetch);
	sha256_init(&fetch->sum);
	fetch->start_ms = util_now_ms();
	fetch->out = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fetch->out < 0)
		return boot_fail(boot, BOOT_NO_MEMORY, "%s: %s", path, strerror(errno));
	enum boot_code code = fetch_nfs(fetch, boot, modules);
	if (code == BOOT_NO_IMAGE) {
		screen_say("%s; trying HTTP", fetch->nfs_reason);
		code = fetch_http(fetch, boot);
	}
	close(fetch->out);
	if (code == BOOT_NO_IMAGE)
		boot_fail(boot, code, "%s; %s", fetch->nfs_reason, fetch->http_reason);
	return code;
}

enum boot_code fetch_verify(struct fetch *fetch, struct boot *boot)
{
	char sum[65];
	sha256_hex(&fetch->sum, sum);
	if (!strcmp(sum, boot->params.sha256))
		return BOOT_OK;
	return boot_fail(boot, BOOT_WRONG_IMAGE, "sha256 %.12s... by %s, published is %.12s...",
		sum, fetch->source, boot->params.sha256);
}
