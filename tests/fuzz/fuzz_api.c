/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bodies of requests: the first byte of the input chooses the shape, the rest is the text. */
#include "broker/api/shape.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const struct shape_field shape[] = {
	{"user", SHAPE_TEXT, 95, 0},
	{"password", SHAPE_TEXT, 1024, SHAPE_SECRET | SHAPE_EMPTY},
	{"seat", SHAPE_TEXT, 17, SHAPE_EMPTY},
	{"boot", SHAPE_ARRAY, 64, SHAPE_OPTIONAL},
	{"ms", SHAPE_INT, 1000, SHAPE_OPTIONAL},
	{"drain", SHAPE_BOOL, 0, SHAPE_OPTIONAL},
	{0},
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	const char *text = (const char *)data + 1;
	size_t length = size - 1;
	g_autofree char *problem = NULL;
	json_t *body = shape_parse(data[0] & 2 ? shape : NULL, text, length, &problem);
	if (!body == !problem)
		abort();
	if (body) {
		if (data[0] & 2 &&
			(!*shape_text(body, "user") || strlen(shape_text(body, "user")) > 95))
			abort();
		shape_wipe(shape, body);
	}
	json_decref(body);
	return 0;
}
