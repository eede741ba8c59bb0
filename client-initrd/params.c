/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "client-initrd/params.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "client-initrd/util.h"

#define VALUE_MAX 512

static bool parse_address(const char *text, uint32_t *address)
{
	struct in_addr parsed;
	if (inet_pton(AF_INET, text, &parsed) != 1 || parsed.s_addr == 0)
		return false;
	*address = ntohl(parsed.s_addr);
	return true;
}

static bool parse_port(const char *text, uint16_t *port)
{
	uint64_t value;
	if (!util_parse_u64(text, 65535, &value, NULL) || value == 0)
		return false;
	*port = (uint16_t)value;
	return true;
}

/* 64 hex digits, stored in lower case. */
static bool parse_sha256(const char *text, char out[65])
{
	size_t length = strlen(text);
	if (length != 64)
		return false;
	for (size_t i = 0; i < length; i++) {
		if (!isxdigit((unsigned char)text[i]))
			return false;
		out[i] = (char)tolower((unsigned char)text[i]);
	}
	out[length] = '\0';
	return true;
}

static bool parse_name(const char *text, const char *more, char *out, size_t size)
{
	size_t length = strlen(text);
	if (length == 0 || length >= size || strstr(text, ".."))
		return false;
	for (const char *c = text; *c; c++) {
		if (!isalnum((unsigned char)*c) && !strchr(more, *c))
			return false;
	}
	memcpy(out, text, length + 1);
	return true;
}

static bool parse_nfs(const char *text, struct params *params)
{
	char address[16];
	const char *colon = strchr(text, ':');
	params->nfs_server = 0;
	if (!strcmp(text, "off"))
		return true;
	if (!colon || (size_t)(colon - text) >= sizeof address || colon[1] != '/')
		return false;
	memcpy(address, text, (size_t)(colon - text));
	address[colon - text] = '\0';
	return parse_name(colon + 1, "/._-", params->nfs_path, sizeof params->nfs_path) &&
	       parse_address(address, &params->nfs_server);
}

/* PXELINUX writes "01-52-54-00-12-34-56": hardware type, then the address. */
static bool parse_bootif(const char *text, char out[18])
{
	unsigned byte[7];
	int used = 0;
	if (strlen(text) != 20 ||
		sscanf(text, "%2x-%2x-%2x-%2x-%2x-%2x-%2x%n", &byte[0], &byte[1], &byte[2],
			&byte[3], &byte[4], &byte[5], &byte[6], &used) != 7 ||
		used != 20)
		return false;
	snprintf(out, 18, "%02x:%02x:%02x:%02x:%02x:%02x", byte[1] & 0xff, byte[2] & 0xff,
		byte[3] & 0xff, byte[4] & 0xff, byte[5] & 0xff, byte[6] & 0xff);
	return true;
}

enum param_id {
	SERVER,
	HTTP,
	REPORT,
	BROKER,
	NFS,
	ROOT,
	SIZE,
	SHA256,
	VERITY,
	BOOTIF,
	PARAM_COUNT
};

static const struct {
	const char *name;
	bool required;
} param_table[PARAM_COUNT] = {
	[SERVER] = {"carrel.server", true},
	[HTTP] = {"carrel.http", true},
	[REPORT] = {"carrel.report", true},
	[BROKER] = {"carrel.broker", true},
	[NFS] = {"carrel.nfs", true},
	[ROOT] = {"carrel.root", true},
	[SIZE] = {"carrel.size", true},
	[SHA256] = {"carrel.sha256", true},
	[VERITY] = {"carrel.verity", true},
	[BOOTIF] = {"BOOTIF", false},
};

static bool set_param(enum param_id id, char *value, struct params *params)
{
	switch (id) {
	case SERVER:
		return parse_address(value, &params->server);
	case HTTP:
		return parse_port(value, &params->http);
	case REPORT:
		return parse_port(value, &params->report);
	case BROKER:
		return parse_port(value, &params->broker);
	case NFS:
		return parse_nfs(value, params);
	case ROOT:
		return parse_name(value, "._@-", params->root, sizeof params->root);
	case SIZE:
		return util_parse_u64(value, UINT64_C(1) << 40, &params->size, NULL) &&
		       params->size > 0;
	case SHA256:
		return parse_sha256(value, params->sha256);
	case VERITY:
		return verity_parse(value, &params->verity);
	case BOOTIF:
		return parse_bootif(value, params->bootif);
	case PARAM_COUNT:
		break;
	}
	return false;
}

const char *params_parse(const char *cmdline, struct params *params)
{
	bool good[PARAM_COUNT] = {false};
	memset(params, 0, sizeof *params);
	while (*cmdline) {
		size_t length = strcspn(cmdline, " \t\r\n");
		for (int id = 0; id < PARAM_COUNT; id++) {
			size_t name = strlen(param_table[id].name);
			char value[VALUE_MAX];
			if (length <= name || strncmp(cmdline, param_table[id].name, name) ||
				cmdline[name] != '=' || length - name - 1 >= sizeof value)
				continue;
			memcpy(value, cmdline + name + 1, length - name - 1);
			value[length - name - 1] = '\0';
			good[id] = set_param((enum param_id)id, value, params);
		}
		cmdline += length;
		cmdline += strspn(cmdline, " \t\r\n");
	}
	/* The image is data and hash tree, each whole blocks. */
	if (good[SIZE] && good[VERITY] && params->size / VERITY_BLOCK <= params->verity.data_blocks)
		good[VERITY] = false;
	for (int id = 0; id < PARAM_COUNT; id++) {
		if (param_table[id].required && !good[id])
			return param_table[id].name;
	}
	return NULL;
}

const char *params_load(struct params *params)
{
	char cmdline[4096];
	if (util_read_file("/proc/cmdline", cmdline, sizeof cmdline) < 0)
		cmdline[0] = '\0';
	return params_parse(cmdline, params);
}

const char *params_ipv4(uint32_t address, char text[16])
{
	snprintf(text, 16, "%u.%u.%u.%u", address >> 24, (address >> 16) & 0xff,
		(address >> 8) & 0xff, address & 0xff);
	return text;
}
