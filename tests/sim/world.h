/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A made-up lab around core: servers with workers, VMs with agents, disks, forwards, viewers, a
 * store. Everything that happens in it comes from one seed. It believes nothing that core says: it
 * keeps its own books (which disk is in which VM, who may see whose desktop) and stops the run with
 * a sentence when core asks for something that must never happen.
 */
#ifndef CARREL_SIM_WORLD_H
#define CARREL_SIM_WORLD_H

#include "broker/core/core.h"

#define SIM_SERVERS 4
#define SIM_VMS 2000
#define SIM_DISKS 64
#define SIM_USERS 12
#define SIM_CLIENTS 8
#define SIM_LOGINS 2000
#define SIM_FORWARDS 64

enum sim_agent { AGENT_OFF, AGENT_ANONYMOUS, AGENT_CLAIMING, AGENT_ACTIVE, AGENT_RELEASED };

struct sim_vm {
	bool ever, exists;
	unsigned server;
	uint32_t mib;
	enum sim_agent agent;
	uint64_t disk; /* plugged in; 0 = none */
	uint64_t ticket_session;
	char user[CORE_NAME_MAX]; /* whose data it has seen; empty = nobody's */
	int64_t spoke_ms;         /* an agent's messages keep their order */
};

struct sim_disk {
	bool made, used;    /* used: was in a VM once, so it must never be made again */
	unsigned making;    /* server + 1 that is at it */
	uint64_t copies;    /* those in the pool that are complete, a bit each */
	uint32_t cancelled; /* number of the question whose work was called off in time */
};

struct sim_forward {
	bool there;
	uint16_t port, vnc_port;
	char client[CORE_ADDR_MAX], vnc_host[CORE_ADDR_MAX];
};

struct sim_login {
	bool alive, authenticated, ready;
	unsigned user, client;
	uint64_t session;
};

struct sim_server {
	bool connected;
	uint32_t mib;
	unsigned epoch; /* rises with each lost connection */
	int64_t busy_ms;
};

enum sim_kind { SIM_EVENT, SIM_OP, SIM_CHANCE, SIM_CONNECT };

struct sim_item {
	int64_t ms;
	uint64_t order;
	enum sim_kind kind;
	unsigned epoch;      /* of the broker, for events */
	unsigned connection; /* epoch of the server's, for what goes over it */
	unsigned server;     /* SIM_SERVERS = none */
	bool done;           /* of an op in a guest: its end, which needs no connection */
	struct core_event event;
	struct core_action op;
};

/* Percentages of what goes wrong in this run. */
struct sim_faults {
	unsigned fail, lose, twice, chaos;
};

/* Users below some number are a group, the seats from some client on another; at most one class. */
struct sim_policy {
	unsigned group_users, group_clients;
	uint32_t user_min_mib, user_max_mib, seat_min_mib, seat_max_mib;
	uint32_t class_seats, class_min_mib; /* of the users that are the group; seats 0 = none */
	uint64_t class_id;
	unsigned trial_users, trial_clients; /* who try a version out */
	/* before the step */
	struct {
		uint64_t session, desktop;
	} before[SIM_USERS]; /* a user has one session at most */
	unsigned sessions;
	uint32_t filled;
};

/* What the time of day is at the beginning, ms. */
#define SIM_WALL_MS 1700000000000

struct sim_store {
	struct core_counters counters;
	struct core_server servers[SIM_SERVERS + 1];
	struct core_desktop desktops[SIM_VMS];
	struct core_volume volumes[SIM_DISKS];
	struct core_session sessions[SIM_LOGINS];
	struct core_channels channels;
};

struct world {
	uint64_t seed, random;
	bool trace;
	const char *broken; /* the sentence; NULL while all is well */
	struct core *core;
	struct core_config config;
	struct core_actions actions;
	struct sim_faults faults;
	int64_t now_ms;
	uint64_t order, logins, steps;
	unsigned broker_epoch, server_count;
	bool calm; /* the end of the run: nothing goes wrong any more */
	struct sim_server servers[SIM_SERVERS];
	struct sim_vm vms[SIM_VMS];
	struct sim_disk disks[SIM_DISKS];
	struct sim_forward forwards[SIM_FORWARDS];
	struct sim_login viewers[SIM_LOGINS];
	struct sim_policy policy;
	struct sim_store store;
	struct sim_item *queue; /* a heap by time, then order */
	size_t queue_count, queue_capacity;
	unsigned long readies, refusals, crashes, queued, kept, members, moved, shrunk, fenced,
		worked;
};

uint64_t sim_random(struct world *w, uint64_t below); /* 0 .. below-1 */
bool sim_percent(struct world *w, unsigned percent);
void sim_break(struct world *w, const char *sentence); /* keeps the first */

/* queue.c */
struct sim_item *sim_later(struct world *w, int64_t delay_ms, enum sim_kind kind);
bool sim_next(struct world *w, struct sim_item *item);

/* world.c: one event through core, and its actions carried out */
void world_step(struct world *w, const struct core_event *event);
void world_do(struct world *w, const struct core_action *action); /* begins an action */
void world_restart(struct world *w); /* the broker crashes, comes back */

/* policy.c: groups and reservations, and what they promise */
void policy_random(struct world *w); /* other ones than before */
void policy_tell(struct world *w);   /* again, after a restart */
void policy_quiet(struct world *w);  /* none any more */
void policy_before(struct world *w); /* around each step */
void policy_after(struct world *w);

/* effects.c: servers and helpers */
void effect_begin(struct world *w, const struct core_action *action);
void effect_finish(struct world *w, const struct sim_item *item);
void server_disconnect(struct world *w, unsigned server, bool host_dies);
void server_connect(struct world *w, unsigned server);
void vm_dies(struct world *w, uint64_t id);
void server_fence(struct world *w, unsigned server); /* its power goes, and that is said */
void guest_logs_out(struct world *w, uint64_t id);

/* run.c: what people and bad days do */
void run_chance(struct world *w);
const char *world_run(struct world *w, uint64_t seed, bool trace);
void world_clear(struct world *w);

#endif
