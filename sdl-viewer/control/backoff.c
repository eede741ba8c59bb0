/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sdl-viewer/control/backoff.h"

unsigned backoff_ms(unsigned failures, uint32_t random)
{
	unsigned full = BACKOFF_FIRST_MS;

	for (unsigned i = 1; i < failures && full < BACKOFF_MAX_MS; i++)
		full *= 2;
	if (full > BACKOFF_MAX_MS)
		full = BACKOFF_MAX_MS;
	return full - random % (full / 2 + 1);
}
