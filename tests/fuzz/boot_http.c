/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Heads of HTTP answers; what is found in a piece must stay so when more bytes follow. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "client-initrd/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_head head, shorter;
	char *text = malloc(size + 1);
	memcpy(text, data, size);
	int length = http_parse_head(text, size, &head);
	if (length > (int)size || length > HTTP_HEAD_MAX)
		abort();
	if (length > 0 && http_parse_head(text, (size_t)length, &shorter) != length)
		abort();
	free(text);
	return 0;
}
