/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The world and its book-keeping; the steps and their promises are in step.c. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/tiers/lab.h"

void lab_init(
	struct lab *lab, const uint32_t *capacity, unsigned count, unsigned last, uint32_t standby)
{
	struct tier_table tiers;
	unsigned desktops = 4;

	if (count > LAB_SERVERS || !tier_table_init(&tiers, 1u << last, 1, 0))
		abort();
	memset(lab, 0, sizeof(*lab));
	lab->server_count = count;
	lab->divides = true;
	for (unsigned i = 0; i < count; i++) {
		lab->servers[i].capacity = capacity[i];
		desktops += capacity[i];
		lab->divides &= capacity[i] % (1u << last) == 0;
	}
	if (desktops > LAB_DESKTOPS)
		abort();
	lab->desktop_count = desktops;
	lab->p.tiers = tiers;
	lab->p.standby = standby;
	lab->name = "";
	lab_clear(lab);
}

void lab_clear(struct lab *lab)
{
	const struct tier_table tiers = lab->p.tiers;
	uint64_t capacity[LAB_SERVERS];

	memset(lab->desktops, 0, lab->desktop_count * sizeof(lab->desktops[0]));
	placement_init(&lab->p, &tiers, lab->p.standby);
	scan_init(&lab->scan, &tiers, lab->p.standby, lab->scan_servers, (int)lab->server_count,
		lab->scan_desktops, (int)lab->desktop_count);
	for (unsigned i = 0; i < lab->server_count; i++) {
		capacity[i] = lab->servers[i].capacity;
		placement_server_init(&lab->servers[i], i);
		placement_server_set(&lab->p, &lab->servers[i], capacity[i], PLACEMENT_OPEN);
		lab->scan_servers[i].capacity = capacity[i];
		lab->scan_servers[i].state = PLACEMENT_OPEN;
	}
	lab->spare_count = 0;
	for (unsigned i = lab->desktop_count; i-- > 0;)
		lab->spare[lab->spare_count++] = (int)i;
	lab->sequence = 0;
	lab->broken = false;
}

int lab_put(struct lab *lab, int server, unsigned tier, uint64_t sequence, enum placement_kind kind)
{
	int desktop;

	if (lab->spare_count == 0)
		abort(); /* more desktops than the world has units: capacity is broken long before
			  */
	desktop = lab->spare[--lab->spare_count];
	placement_put(&lab->p, &lab->desktops[desktop], &lab->servers[server],
		tier_size_mib(&lab->scan.tiers, tier), sequence, kind);
	scan_put(&lab->scan, desktop, server, tier, sequence, kind);
	return desktop;
}

void lab_take(struct lab *lab, int desktop)
{
	placement_remove(&lab->p, &lab->desktops[desktop]);
	scan_remove(&lab->scan, desktop);
	lab->spare[lab->spare_count++] = desktop;
}

void lab_set_kind(struct lab *lab, int desktop, enum placement_kind kind)
{
	placement_set_kind(&lab->p, &lab->desktops[desktop], kind);
	scan_set_kind(&lab->scan, desktop, kind);
}

void lab_set_server(struct lab *lab, int server, enum placement_server_state state)
{
	placement_server_set(
		&lab->p, &lab->servers[server], lab->scan_servers[server].capacity, state);
	lab->scan_servers[server].state = state;
}

bool lab_is_user(const struct lab *lab, int desktop)
{
	const struct scan_desktop *d = &lab->scan_desktops[desktop];

	return d->server != SCAN_NONE && d->kind != PLACEMENT_HELD;
}

void lab_print(const struct lab *lab)
{
	static const char *const states[] = {"lost", "open", "draining"};

	fprintf(stderr, "world \"%s\" seed %" PRIu64 ": L %u, standby %u\n", lab->name, lab->seed,
		lab->scan.tiers.last, lab->scan.standby);
	for (int i = 0; i < (int)lab->server_count; i++) {
		fprintf(stderr, "  server %d: %s, %" PRIu64 " of %" PRIu64 " units:", i,
			states[lab->scan_servers[i].state], lab->scan_servers[i].used,
			lab->scan_servers[i].capacity);
		for (int d = 0; d < (int)lab->desktop_count; d++) {
			const struct scan_desktop *desktop = &lab->scan_desktops[d];
			if (desktop->server == i)
				fprintf(stderr, " %" PRIu64 "%s(#%" PRIu64 ")", desktop->units,
					desktop->kind == PLACEMENT_HELD     ? "held"
					: desktop->kind == PLACEMENT_PINNED ? "pinned"
									    : "",
					desktop->sequence);
		}
		fprintf(stderr, "\n");
	}
}
