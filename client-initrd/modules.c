/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "client-initrd/modules.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "client-initrd/util.h"

#define PASSES_MAX 5
#define DEPTH_MAX 24

static int read_whole(const char *folder, const char *name, char **text)
{
	char path[256];
	struct stat about;
	if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path)
		return -ENAMETOOLONG;
	if (stat(path, &about) < 0)
		return -errno;
	size_t size = (size_t)about.st_size + 1;
	*text = malloc(size);
	if (!*text)
		return -ENOMEM;
	ssize_t n = util_read_file(path, *text, size);
	return n < 0 ? (int)n : 0;
}

/* Lines of "path: path path". */
static void parse_dep(struct modules *modules)
{
	char *save = NULL;
	for (char *line = strtok_r(modules->dep_text, "\n", &save); line;
		line = strtok_r(NULL, "\n", &save)) {
		char *colon = strchr(line, ':');
		if (!colon || modules->count == MODULES_MAX)
			continue;
		*colon++ = '\0';
		modules->items[modules->count++] = (struct module){
			.path = line, .needs = colon + strspn(colon, " "), .tried = false};
	}
}

/* Lines of "alias PATTERN NAME"; the tables of graphics drivers are long, so they are cut up once.
 */
static int parse_aliases(struct modules *modules)
{
	size_t lines = 1;
	char *save = NULL;
	for (const char *c = modules->alias_text; *c; c++)
		lines += *c == '\n';
	modules->aliases = calloc(lines, sizeof *modules->aliases);
	if (!modules->aliases)
		return -ENOMEM;
	for (char *line = strtok_r(modules->alias_text, "\n", &save); line;
		line = strtok_r(NULL, "\n", &save)) {
		char *pattern = line + strlen("alias "), *name = strchr(line, ' ');
		name = name ? strchr(name + 1, ' ') : NULL;
		if (!name || strncmp(line, "alias ", strlen("alias ")))
			continue;
		*name++ = '\0';
		modules->aliases[modules->alias_count++] = (struct module_alias){.pattern = pattern,
			.name = name,
			.plain = (unsigned)strcspn(pattern, "*?[\\")};
	}
	return 0;
}

int modules_open(struct modules *modules, const char *folder)
{
	memset(modules, 0, sizeof *modules);
	if (snprintf(modules->folder, sizeof modules->folder, "%s", folder) >=
		(int)sizeof modules->folder)
		return -ENAMETOOLONG;
	int error = read_whole(folder, "modules.dep", &modules->dep_text);
	if (!error)
		error = read_whole(folder, "modules.alias", &modules->alias_text);
	if (!error)
		error = parse_aliases(modules);
	if (!error)
		parse_dep(modules);
	return error;
}

int modules_open_running(struct modules *modules)
{
	struct utsname kernel;
	char folder[192];
	uname(&kernel);
	snprintf(folder, sizeof folder, "/lib/modules/%s", kernel.release);
	return modules_open(modules, folder);
}

void modules_free(struct modules *modules)
{
	free(modules->dep_text);
	free(modules->alias_text);
	free(modules->aliases);
	memset(modules, 0, sizeof *modules);
}

static const char *file_of(const char *path)
{
	const char *file = strrchr(path, '/');
	return file ? file + 1 : path;
}

/* How much of `text` is the name; 0: it is another one. */
static size_t name_length(const char *text, const char *name)
{
	size_t at = 0;
	for (; name[at]; at++) {
		char a = text[at] == '-' ? '_' : text[at], b = name[at] == '-' ? '_' : name[at];
		if (a != b)
			return 0;
	}
	return at;
}

static bool same_name(const char *path, const char *name)
{
	const char *file = file_of(path);
	size_t length = name_length(file, name);
	return length && !strcmp(file + length, ".ko");
}

char *modules_parameters(const char *cmdline, const char *module, char *parameters, size_t size)
{
	size_t used = 0;
	while (*cmdline) {
		size_t length = strcspn(cmdline, " \t\r\n"), own = name_length(cmdline, module);
		if (own && own + 1 < length && cmdline[own] == '.' && used + length - own < size) {
			if (used)
				parameters[used++] = ' ';
			memcpy(parameters + used, cmdline + own + 1, length - own - 1);
			used += length - own - 1;
		}
		cmdline += length;
		cmdline += strspn(cmdline, " \t\r\n");
	}
	parameters[used] = '\0';
	return parameters;
}

int modules_find(const struct modules *modules, const char *name)
{
	for (size_t i = 0; i < modules->count; i++) {
		if (same_name(modules->items[i].path, name))
			return (int)i;
	}
	return -1;
}

static struct module *find_path(struct modules *modules, const char *path, size_t length)
{
	for (size_t i = 0; i < modules->count; i++) {
		const char *mine = modules->items[i].path;
		if (strlen(mine) == length && !memcmp(mine, path, length))
			return &modules->items[i];
	}
	return NULL;
}

static void path_of(const struct modules *modules, const struct module *module, char path[512])
{
	snprintf(path, 512, "%s/%s", modules->folder, module->path);
}

static int insert_absent(struct modules *modules, struct module *module, const char *parameters)
{
	char *content = NULL;
	size_t size = 0;
	int error = modules->absent(modules->context, module->path, &content, &size);
	if (error) {
		module->tried = false;
		return error;
	}
	error = syscall(SYS_init_module, content, size, parameters) < 0 ? -errno : 0;
	free(content);
	return error;
}

static int insert(struct modules *modules, struct module *module)
{
	char path[512], name[64], cmdline[4096], parameters[512];
	if (module->tried)
		return 0;
	module->tried = true;
	path_of(modules, module, path);
	snprintf(name, sizeof name, "%s", file_of(module->path));
	name[strcspn(name, ".")] = '\0';
	if (util_read_file("/proc/cmdline", cmdline, sizeof cmdline) < 0)
		cmdline[0] = '\0';
	modules_parameters(cmdline, name, parameters, sizeof parameters);
	int fd = open(path, O_RDONLY | O_CLOEXEC), error = fd < 0 ? -errno : 0;
	if (!error)
		error = syscall(SYS_finit_module, fd, parameters, 0) < 0 ? -errno : 0;
	else if (error == -ENOENT && modules->absent)
		error = insert_absent(modules, module, parameters);
	if (fd >= 0)
		close(fd);
	if (!error)
		modules->loaded++;
	return error == -EEXIST ? 0 : error;
}

static int load(struct modules *modules, struct module *module)
{
	if (module->tried)
		return 0;
	/* depmod lists the nearest need first: the far end is loaded before it. */
	const char *end = module->needs + strlen(module->needs);
	while (end > module->needs) {
		const char *start = end;
		while (start > module->needs && start[-1] != ' ')
			start--;
		struct module *need = find_path(modules, start, (size_t)(end - start));
		int error = need ? insert(modules, need) : 0;
		if (error && !need->tried)
			return error; /* what it needs could not be got */
		end = start > module->needs ? start - 1 : start;
	}
	return insert(modules, module);
}

int modules_load(struct modules *modules, const char *name)
{
	int index = modules_find(modules, name);
	return index < 0 ? 0 : load(modules, &modules->items[index]);
}

static bool skipped(const struct modules *modules, int index, const char *const *skip)
{
	for (; skip && *skip; skip++) {
		if (strstr(modules->items[index].path, *skip))
			return true;
	}
	return false;
}

static bool matches(const struct module_alias *alias, const char *modalias)
{
	return !strncmp(alias->pattern, modalias, alias->plain) &&
	       !fnmatch(alias->pattern, modalias, 0);
}

static bool is_absent(const struct modules *modules, int index)
{
	char path[512];
	path_of(modules, &modules->items[index], path);
	return modules->absent && access(path, F_OK) < 0;
}

size_t modules_load_alias(struct modules *modules, const char *modalias, const char *const *skip)
{
	size_t before = modules->loaded;
	unsigned best = 0;
	for (size_t i = 0; i < modules->alias_count; i++) {
		const struct module_alias *alias = &modules->aliases[i];
		if (alias->plain > best && matches(alias, modalias))
			best = alias->plain;
	}
	for (size_t i = 0; i < modules->alias_count; i++) {
		const struct module_alias *alias = &modules->aliases[i];
		if (!matches(alias, modalias))
			continue;
		int index = modules_find(modules, alias->name);
		if (index >= 0 && !skipped(modules, index, skip) &&
			(alias->plain == best || !is_absent(modules, index)))
			load(modules, &modules->items[index]);
	}
	return modules->loaded - before;
}

static void walk(struct modules *modules, const char *folder, const char *const *skip, int depth)
{
	DIR *dir = depth < DEPTH_MAX ? opendir(folder) : NULL;
	if (!dir)
		return;
	for (struct dirent *entry; (entry = readdir(dir));) {
		char path[512], alias[256];
		if (entry->d_name[0] == '.' || snprintf(path, sizeof path, "%s/%s", folder,
						       entry->d_name) >= (int)sizeof path)
			continue;
		if (entry->d_type == DT_DIR) {
			walk(modules, path, skip, depth + 1);
		} else if (!strcmp(entry->d_name, "modalias")) {
			util_read_line(path, alias, sizeof alias);
			if (alias[0])
				modules_load_alias(modules, alias, skip);
		}
	}
	closedir(dir);
}

size_t modules_coldplug(struct modules *modules, const char *const *skip)
{
	size_t start = modules->loaded;
	for (int pass = 0; pass < PASSES_MAX; pass++) {
		size_t before = modules->loaded;
		walk(modules, "/sys/devices", skip, 0);
		if (modules->loaded == before)
			break;
	}
	return modules->loaded - start;
}
