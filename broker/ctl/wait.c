/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/ctl/wait.h"

#include <signal.h>
#include <stdio.h>
#include <time.h>

#define ASK_NS (200 * 1000 * 1000)

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
	(void)number;
	interrupted = 1;
}

void wait_begin(struct wait *wait, const struct context *context, guint seconds)
{
	static const int signals[] = {SIGINT, SIGTERM};
	struct sigaction action = {.sa_handler = on_signal};

	*wait = (struct wait){.changed_us = g_get_monotonic_time(), .quiet = context->json};
	wait->until_us = wait->changed_us + (gint64)seconds * G_USEC_PER_SEC;
	for (size_t i = 0; i < G_N_ELEMENTS(signals); i++)
		sigaction(signals[i], &action, NULL);
}

void wait_end(struct wait *wait)
{
	g_clear_pointer(&wait->said, g_free);
}

void wait_say(struct wait *wait, const char *line)
{
	if (!g_strcmp0(wait->said, line))
		return;
	g_free(wait->said);
	wait->said = g_strdup(line);
	wait_touch(wait);
	if (wait->quiet)
		return;
	puts(line);
	fflush(stdout);
}

void wait_touch(struct wait *wait)
{
	wait->changed_us = g_get_monotonic_time();
}

gint64 wait_unchanged_ms(const struct wait *wait)
{
	return (g_get_monotonic_time() - wait->changed_us) / 1000;
}

const char *wait_pause(struct wait *wait)
{
	const struct timespec pause = {.tv_nsec = ASK_NS};

	/* A signal ends it early. */
	if (!interrupted)
		nanosleep(&pause, NULL);
	if (interrupted)
		return "interrupted";
	return g_get_monotonic_time() < wait->until_us ? NULL : "timeout";
}
