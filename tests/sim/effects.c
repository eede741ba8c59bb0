/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Servers and helpers. Each server has a worker that does one call after the other. When its
 * connection is lost, each call under way has happened or has not, and no answer comes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/world.h"

static unsigned server_index(uint64_t id)
{
	return id >= 1 && id <= SIM_SERVERS ? (unsigned)id - 1 : SIM_SERVERS;
}

static void answer(struct world *w, unsigned server, const struct core_event *event)
{
	bool creation = event->type == CORE_EV_VOLUME_CREATED ||
			event->type == CORE_EV_VOLUME_CREATE_FAILED ||
			event->type == CORE_EV_VOLUME_WORKED;
	unsigned copies = 1;

	if (!creation && sim_percent(w, w->faults.lose))
		copies = 0;
	else if (event->type != CORE_EV_VOLUME_CREATE_FAILED && sim_percent(w, w->faults.twice))
		copies = 2;
	for (unsigned i = 0; i < copies; i++) {
		int64_t delay = (int64_t)sim_random(w, i == 0 ? 200 : 20000);
		bool agent = event->type >= CORE_EV_AGENT_HELLO &&
			     event->type <= CORE_EV_GUEST_SESSION_ENDED;
		if (agent) {
			int64_t *spoke = &w->vms[event->desktop].spoke_ms;
			if (w->now_ms + delay < *spoke)
				delay = *spoke - w->now_ms;
			*spoke = w->now_ms + delay;
		}
		struct sim_item *item = sim_later(w, delay, SIM_EVENT);
		item->event = *event;
		item->epoch = w->broker_epoch;
		item->server = server;
		if (server < SIM_SERVERS)
			item->connection = w->servers[server].epoch;
	}
}

static void vm_answer(struct world *w, uint64_t id, struct core_event event)
{
	struct sim_vm *vm = &w->vms[id];

	event.desktop = id;
	if (w->servers[vm->server].connected)
		answer(w, vm->server, &event);
}

static void hello(struct world *w, uint64_t id)
{
	const struct sim_vm *vm = &w->vms[id];
	struct core_event event = {.type = CORE_EV_AGENT_HELLO};

	if (!vm->exists || vm->agent == AGENT_OFF)
		return;
	snprintf(event.user, sizeof(event.user), "%s", vm->user);
	event.flag = vm->agent == AGENT_ACTIVE;
	vm_answer(w, id, event);
}

/* Something that goes on inside a guest, whether anybody is connected or not. */
static void in_guest(struct world *w, const struct core_action *op, int64_t delay)
{
	struct sim_item *item = sim_later(w, delay, SIM_OP);

	item->op = *op;
	item->done = true;
	item->server = SIM_SERVERS;
}

static void guest_done(struct world *w, const struct core_action *op)
{
	struct sim_vm *vm = &w->vms[op->desktop];

	if (!vm->exists)
		return;
	if (op->type == CORE_ACT_DESKTOP_START && vm->agent == AGENT_OFF) {
		vm->agent = AGENT_ANONYMOUS;
		hello(w, op->desktop);
	} else if (op->type == CORE_ACT_CLAIM && vm->agent == AGENT_CLAIMING) {
		vm->agent = AGENT_ACTIVE;
		vm_answer(w, op->desktop, (struct core_event){.type = CORE_EV_CLAIMED});
	} else if (op->type == CORE_ACT_RELEASE && vm->agent == AGENT_ACTIVE) {
		vm->agent = AGENT_RELEASED;
		vm_answer(w, op->desktop, (struct core_event){.type = CORE_EV_RELEASED});
	} else if (op->type == CORE_ACT_DESKTOP_RESIZE && op->memory_mib < vm->mib) {
		vm->mib = op->memory_mib;
		w->shrunk++;
		vm_answer(w, op->desktop,
			(struct core_event){
				.type = CORE_EV_DESKTOP_RESIZED, .memory_mib = vm->mib});
	}
}

static struct core_event fail(enum core_event_type type, const char *code)
{
	struct core_event event = {.type = type};

	snprintf(event.code, sizeof(event.code), "%s", code);
	snprintf(event.text, sizeof(event.text), "the sim says %s", code);
	return event;
}

static void do_start(struct world *w, const struct core_action *op, unsigned server, bool bad)
{
	struct sim_vm *vm = &w->vms[op->desktop];
	uint64_t used = op->memory_mib;

	if (vm->ever)
		sim_break(w, "a VM's name is used twice");
	vm->server = server;
	if (bad) {
		vm_answer(w, op->desktop, fail(CORE_EV_DESKTOP_START_FAILED, "no-memory"));
		return;
	}
	for (unsigned i = 0; i < SIM_VMS; i++) {
		if (w->vms[i].exists && w->vms[i].server == server)
			used += w->vms[i].mib;
	}
	if (used + w->config.host_reserve_mib > w->servers[server].mib)
		sim_break(w, "more VMs run than the server has memory for");
	vm->ever = vm->exists = true;
	vm->mib = op->memory_mib;
	if (!sim_percent(w, w->faults.fail))
		in_guest(w, op, 500 + (int64_t)sim_random(w, 8000));
	struct core_event event = {
		.type = CORE_EV_DESKTOP_STARTED, .vnc_port = (uint16_t)(5900 + op->desktop % 900)};
	snprintf(event.vnc_host, sizeof(event.vnc_host), "s%u", server);
	vm_answer(w, op->desktop, event);
}

/* The guest gives memory back, after a while, or does not. */
static void do_resize(struct world *w, const struct core_action *op, bool bad)
{
	struct sim_vm *vm = &w->vms[op->desktop];

	if (!vm->exists || op->memory_mib >= vm->mib || bad || sim_percent(w, 30)) {
		vm_answer(w, op->desktop, fail(CORE_EV_DESKTOP_RESIZE_FAILED, "timeout"));
		return;
	}
	in_guest(w, op, (int64_t)sim_random(w, op->ms));
}

static void do_attach(struct world *w, const struct core_action *op, bool bad)
{
	struct sim_vm *vm = &w->vms[op->desktop];
	struct sim_disk *disk = &w->disks[op->volume];
	struct core_event event = {.type = CORE_EV_VOLUME_ATTACHED, .volume = op->volume};
	bool really = !bad || sim_percent(w, 50);

	if (!disk->made)
		sim_break(w, "a volume that was never made is attached");
	if (disk->making)
		sim_break(w, "a volume is attached while it is being made");
	if (!(disk->copies >> w->store.volumes[op->volume].copy & 1))
		sim_break(w, "a copy of a volume is attached that is not there, or not complete");
	if (w->store.volumes[op->volume].work != VOLUME_WORK_NONE)
		sim_break(w, "a volume is attached while it is worked on");
	for (unsigned i = 0; i < SIM_VMS; i++) {
		if (vm->exists && w->vms[i].exists && w->vms[i].disk == op->volume &&
			i != op->desktop)
			sim_break(w, "a volume is in two VMs");
	}
	if (vm->exists && really) {
		vm->disk = op->volume;
		disk->used = true;
	}
	if (!vm->exists || bad) {
		event = fail(CORE_EV_VOLUME_ATTACH_FAILED, "libvirt");
		event.volume = op->volume;
		event.flag = !vm->exists || !really;
	}
	vm_answer(w, op->desktop, event);
}

static void do_detach(struct world *w, const struct core_action *op, bool bad)
{
	struct sim_vm *vm = &w->vms[op->desktop];
	struct core_event event = {.type = CORE_EV_VOLUME_DETACHED, .volume = op->volume};

	if (vm->exists && vm->disk == op->volume) {
		if (vm->agent != AGENT_RELEASED)
			sim_break(w, "a disk is pulled out of a running session");
		if (bad) {
			event = fail(CORE_EV_VOLUME_DETACH_FAILED, "timeout");
			event.volume = op->volume;
		} else {
			vm->disk = 0;
		}
	}
	vm_answer(w, op->desktop, event);
}

static void do_create(struct world *w, const struct core_action *op, unsigned server, bool bad)
{
	struct sim_disk *disk = &w->disks[op->volume];
	struct core_event event = {.type = CORE_EV_VOLUME_CREATED};

	if (disk->used)
		sim_break(w, "a user's volume is made again: his data is lost");
	disk->making = 0;
	if (bad)
		event = fail(CORE_EV_VOLUME_CREATE_FAILED, "storage");
	else
		disk->made = true;
	disk->copies = disk->made;
	event.volume = op->volume;
	event.server = server + 1;
	answer(w, server, &event);
}

/* What was asked: the work, in percent; the copy that it leads to, in position. */
static void do_work(struct world *w, const struct core_action *op, unsigned server, bool bad)
{
	struct sim_disk *disk = &w->disks[op->volume];
	enum core_volume_work work = (enum core_volume_work)op->percent;
	struct core_event event = {.type = CORE_EV_VOLUME_WORKED, .flag = true};

	for (unsigned i = 0; i < SIM_VMS; i++) {
		if (w->vms[i].exists && w->vms[i].disk == op->volume)
			sim_break(w, "a volume is worked on while a VM has it");
	}
	/* Half-deleted: there is nothing to work on. */
	bad |= work != VOLUME_WORK_DELETE && work != VOLUME_WORK_IMPORT &&
	       !(disk->copies >> w->store.volumes[op->volume].copy & 1);
	bool cancelled = disk->cancelled == op->number;
	if (cancelled)
		event = fail(CORE_EV_VOLUME_WORKED, "cancelled");
	else if (bad)
		event = fail(CORE_EV_VOLUME_WORKED, sim_percent(w, 50) ? "storage" : "unreachable");
	/* What has failed may all the same have been done. */
	bool really = !cancelled && (!bad || sim_percent(w, 50));
	if (work == VOLUME_WORK_DELETE && really)
		disk->copies = 0;
	else if (op->position != w->store.volumes[op->volume].copy && really)
		disk->copies |= 1ull << op->position;
	event.copy = op->position;
	event.volume = op->volume;
	event.number = op->number;
	w->worked += event.flag;
	answer(w, server, &event);
}

/* In position: the copy that is the volume. */
static void do_sweep(struct world *w, const struct core_action *op)
{
	w->disks[op->volume].copies &= ~0ull << op->position;
}

/* What the daemon reads in the row when it begins. */
static void work_begin(struct world *w, struct core_action *op)
{
	const struct core_volume *v = &w->store.volumes[op->volume];
	bool anew = v->work == VOLUME_WORK_RESTORE || v->work == VOLUME_WORK_REPAIR ||
		    v->work == VOLUME_WORK_IMPORT;

	if (op->type == CORE_ACT_VOLUME_WORK && v->work == VOLUME_WORK_NONE)
		sim_break(w, "work on a volume begins that is not in the store");
	if (v->last_copy > 63)
		sim_break(w, "the simulator has too few copies");
	if (op->type == CORE_ACT_VOLUME_WORK)
		w->disks[op->volume].cancelled = 0;
	op->percent = (uint32_t)v->work;
	op->position = op->type == CORE_ACT_VOLUME_WORK && anew ? v->last_copy : v->copy;
}

static void do_claim(struct world *w, const struct core_action *op, bool bad)
{
	struct sim_vm *vm = &w->vms[op->desktop];
	const struct core_session *s = &w->store.sessions[op->session];

	if (!vm->exists)
		return;
	if (vm->user[0] && strcmp(vm->user, s->user) != 0)
		sim_break(w, "two users in one VM");
	if (vm->agent != AGENT_ANONYMOUS) {
		vm_answer(w, op->desktop, fail(CORE_EV_CLAIM_FAILED, "state"));
	} else if (vm->disk != op->volume || op->volume != s->volume) {
		vm_answer(w, op->desktop, fail(CORE_EV_CLAIM_FAILED, "volume-missing"));
	} else if (bad) {
		vm_answer(w, op->desktop,
			fail(CORE_EV_CLAIM_FAILED,
				sim_percent(w, 20) ? "volume-damaged" : "session"));
	} else {
		memcpy(vm->user, s->user, sizeof(vm->user));
		vm->agent = AGENT_CLAIMING;
		in_guest(w, op, 200 + (int64_t)sim_random(w, 3000));
	}
}

static void do_release(struct world *w, const struct core_action *op, bool bad)
{
	const struct sim_vm *vm = &w->vms[op->desktop];

	if (!vm->exists)
		return;
	if (vm->agent == AGENT_RELEASED) /* asked twice: it says so again */
		vm_answer(w, op->desktop, (struct core_event){.type = CORE_EV_RELEASED});
	else if (bad || vm->agent != AGENT_ACTIVE)
		vm_answer(w, op->desktop, fail(CORE_EV_RELEASE_FAILED, "volume-busy"));
	else
		in_guest(w, op, 100 + (int64_t)sim_random(w, 2000));
}

static void do_ticket(struct world *w, const struct core_action *op, bool bad)
{
	struct sim_vm *vm = &w->vms[op->desktop];
	struct core_event event = {.type = CORE_EV_TICKET_SET};

	if (!vm->exists || bad)
		event = fail(CORE_EV_TICKET_FAILED, "not-found");
	else
		vm->ticket_session = op->session;
	event.session = op->session;
	event.number = op->number;
	vm_answer(w, op->desktop, event);
}

/* A call to a server happens; its answer goes out if anybody is there to hear it. */
static void apply(struct world *w, const struct core_action *op)
{
	unsigned server = server_index(op->server);
	struct sim_vm *vm = &w->vms[op->desktop];
	bool bad = sim_percent(w, w->faults.fail);

	if (op->desktop && op->type != CORE_ACT_DESKTOP_START && vm->exists &&
		vm->server != server) {
		sim_break(w, "a call for a desktop goes to another server");
		return;
	}
	switch (op->type) {
	case CORE_ACT_DESKTOP_START:
		do_start(w, op, server, bad);
		break;
	case CORE_ACT_DESKTOP_DESTROY:
		vm->server = server;
		vm->ever = true;
		vm->exists = false;
		vm_answer(w, op->desktop, (struct core_event){.type = CORE_EV_DESKTOP_GONE});
		break;
	case CORE_ACT_DESKTOP_RESIZE:
		do_resize(w, op, bad);
		break;
	case CORE_ACT_VOLUME_ATTACH:
		do_attach(w, op, bad);
		break;
	case CORE_ACT_VOLUME_DETACH:
		do_detach(w, op, bad);
		break;
	case CORE_ACT_VOLUME_CREATE:
		do_create(w, op, server, bad);
		break;
	case CORE_ACT_VOLUME_WORK:
		do_work(w, op, server, bad);
		break;
	case CORE_ACT_VOLUME_SWEEP:
		do_sweep(w, op);
		break;
	case CORE_ACT_CLAIM:
		do_claim(w, op, bad);
		break;
	case CORE_ACT_RELEASE:
		do_release(w, op, bad);
		break;
	case CORE_ACT_TICKET_SET:
		do_ticket(w, op, bad);
		break;
	case CORE_ACT_TICKET_CLEAR:
		vm->ticket_session = 0;
		break;
	default:
		sim_break(w, "an action that the sim does not know");
		break;
	}
}

static struct sim_forward *forward_find(struct world *w, const char *client, uint16_t port)
{
	struct sim_forward *unused = NULL;

	for (unsigned i = 0; i < SIM_FORWARDS; i++) {
		struct sim_forward *f = &w->forwards[i];
		if (f->there && f->port == port && strcmp(f->client, client) == 0)
			return f;
		if (!f->there && !unused)
			unused = f;
	}
	return unused;
}

static void netd(struct world *w, const struct core_action *op)
{
	struct sim_forward *f = forward_find(w, op->client, op->port);
	struct core_event event = {
		.type = CORE_EV_FORWARD_ADDED, .session = op->session, .number = op->number};

	if (!f) {
		sim_break(w, "forwards pile up");
		return;
	}
	if (op->type == CORE_ACT_FORWARD_DEL) {
		f->there = false;
		return;
	}
	if (sim_percent(w, w->faults.fail)) {
		event = fail(CORE_EV_FORWARD_FAILED, "nft");
		event.session = op->session;
		event.number = op->number;
	} else {
		*f = (struct sim_forward){true, op->port, op->vnc_port, "", ""};
		memcpy(f->client, op->client, sizeof(f->client));
		memcpy(f->vnc_host, op->vnc_host, sizeof(f->vnc_host));
	}
	answer(w, SIM_SERVERS, &event);
}

static void authd(struct world *w, const struct core_action *op)
{
	struct sim_login *l = &w->viewers[op->login];
	struct core_event event = {.type = CORE_EV_AUTHENTICATED, .login = op->login};

	if (sim_percent(w, w->faults.fail)) {
		event = fail(CORE_EV_AUTH_FAILED, "denied");
		event.login = op->login;
	} else {
		l->authenticated = true;
		event.uid = 20000 + l->user;
		snprintf(event.user, sizeof(event.user), "u%u", l->user);
	}
	answer(w, SIM_SERVERS, &event);
}

/* What the daemon answers when there is nobody to send the call to. */
static void unreachable(struct world *w, const struct core_action *op, unsigned server)
{
	static const enum core_event_type events[CORE_ACT_COUNT] = {
		[CORE_ACT_DESKTOP_RESIZE] = CORE_EV_DESKTOP_RESIZE_FAILED,
		[CORE_ACT_VOLUME_CREATE] = CORE_EV_VOLUME_CREATE_FAILED,
		[CORE_ACT_VOLUME_ATTACH] = CORE_EV_VOLUME_ATTACH_FAILED,
		[CORE_ACT_VOLUME_DETACH] = CORE_EV_VOLUME_DETACH_FAILED,
		[CORE_ACT_VOLUME_WORK] = CORE_EV_VOLUME_WORKED,
		[CORE_ACT_CLAIM] = CORE_EV_CLAIM_FAILED,
		[CORE_ACT_RELEASE] = CORE_EV_RELEASE_FAILED,
		[CORE_ACT_TICKET_SET] = CORE_EV_TICKET_FAILED,
	};
	struct core_event event = fail(events[op->type], "unreachable");

	if (event.type == 0)
		return;
	event.desktop = op->desktop;
	event.session = op->type == CORE_ACT_TICKET_SET ? op->session : 0;
	event.number = op->number;
	event.volume = op->volume;
	event.server = event.type == CORE_EV_VOLUME_CREATE_FAILED ? server + 1 : 0;
	answer(w, SIM_SERVERS, &event);
}

void server_fence(struct world *w, unsigned server)
{
	struct core_event event = {.type = CORE_EV_SERVER_FENCED, .server = server + 1};

	if (w->servers[server].connected)
		return; /* a machine that answers is on */
	for (unsigned i = 0; i < SIM_VMS; i++) {
		if (w->vms[i].server == server)
			w->vms[i].exists = false;
	}
	w->fenced++;
	/* The word is about this outage: one that is heard after the server was there again is not
	 * delivered. */
	struct sim_item *item = sim_later(w, (int64_t)sim_random(w, 200), SIM_EVENT);
	item->event = event;
	item->epoch = w->broker_epoch;
	item->server = server;
	item->connection = w->servers[server].epoch;
}

static void fence(struct world *w, const struct core_action *op)
{
	unsigned server = server_index(op->server);
	struct core_event event = fail(CORE_EV_FENCE_FAILED, "the switch does not answer");

	event.server = op->server;
	if (server >= w->server_count || !w->config.fence)
		sim_break(w, "a server is fenced that is not there, or cannot be");
	else if (w->servers[server].connected || sim_percent(w, 3 * w->faults.fail))
		answer(w, SIM_SERVERS, &event);
	else
		server_fence(w, server);
}

void effect_begin(struct world *w, const struct core_action *op)
{
	unsigned server = server_index(op->server);
	struct sim_item *item;

	if (op->type == CORE_ACT_AUTHENTICATE) {
		authd(w, op);
		return;
	}
	if (op->type == CORE_ACT_FORWARD_ADD || op->type == CORE_ACT_FORWARD_DEL) {
		netd(w, op);
		return;
	}
	if (op->type == CORE_ACT_FENCE) {
		fence(w, op);
		return;
	}
	if (server >= w->server_count || op->desktop >= SIM_VMS) {
		sim_break(w, "an action for a server or a desktop that is not there");
		return;
	}
	if (op->desktop && op->type != CORE_ACT_DESKTOP_DESTROY &&
		w->store.desktops[op->desktop].id == 0 && op->type != CORE_ACT_TICKET_CLEAR)
		sim_break(w, "an effect begins whose row is not in the store");
	if (!w->servers[server].connected) {
		unreachable(w, op, server);
		return;
	}
	if (op->type == CORE_ACT_VOLUME_CANCEL) {
		/* Else it comes when the work is over. */
		if (sim_percent(w, 70))
			w->disks[op->volume].cancelled = op->number;
		return;
	}
	if (op->type == CORE_ACT_VOLUME_CREATE) {
		if (w->disks[op->volume].making)
			sim_break(w, "a volume is being made twice at once");
		w->disks[op->volume].making = server + 1;
	}
	int64_t *busy = &w->servers[server].busy_ms;
	if (*busy < w->now_ms)
		*busy = w->now_ms;
	*busy += 1 + (int64_t)sim_random(w, 300);
	item = sim_later(w, *busy - w->now_ms, SIM_OP);
	item->op = *op;
	item->server = server;
	item->connection = w->servers[server].epoch;
	if (op->type == CORE_ACT_VOLUME_WORK || op->type == CORE_ACT_VOLUME_SWEEP)
		work_begin(w, &item->op);
}

void effect_finish(struct world *w, const struct sim_item *item)
{
	if (item->done)
		guest_done(w, &item->op);
	else if (item->connection == w->servers[item->server].epoch)
		apply(w, &item->op);
}

static int by_order(const void *a, const void *b)
{
	const struct sim_item *x = *(const struct sim_item *const *)a;
	const struct sim_item *y = *(const struct sim_item *const *)b;

	return x->order < y->order ? -1 : x->order > y->order;
}

void server_disconnect(struct world *w, unsigned server, bool host_dies)
{
	struct sim_server *s = &w->servers[server];
	const struct sim_item *found[64];
	struct core_action under_way[64];
	unsigned count = 0;

	for (size_t i = 0; i < w->queue_count && count < 64; i++) {
		const struct sim_item *item = &w->queue[i];
		if (item->kind == SIM_OP && !item->done && item->server == server &&
			item->connection == s->epoch)
			found[count++] = item;
	}
	qsort(found, count, sizeof(found[0]), by_order);
	for (unsigned i = 0; i < count; i++)
		under_way[i] = found[i]->op; /* the queue moves when these are answered */
	s->connected = false;
	s->epoch++;
	s->busy_ms = 0;
	for (unsigned i = 0; i < count; i++) {
		if (!host_dies && sim_percent(w, 50))
			apply(w, &under_way[i]);
	}
	for (unsigned i = 0; i < SIM_DISKS; i++) {
		if (w->disks[i].making == server + 1)
			w->disks[i].making = 0;
	}
	for (unsigned i = 0; host_dies && i < SIM_VMS; i++) {
		if (w->vms[i].server == server)
			w->vms[i].exists = false;
	}
}

void server_connect(struct world *w, unsigned server)
{
	struct sim_server *s = &w->servers[server];
	struct core_event event = {.server = server + 1};
	uint64_t found[SIM_VMS];
	unsigned count = 0, epoch = w->broker_epoch;

	if (s->connected)
		return;
	s->connected = true;
	for (unsigned i = 0; i < SIM_VMS; i++) {
		if (w->vms[i].exists && w->vms[i].server == server)
			found[count++] = i;
	}
	event.type = CORE_EV_RECONCILE_DESKTOP;
	event.flag = true;
	for (unsigned i = 0; i < count && epoch == w->broker_epoch; i++) {
		event.desktop = found[i];
		event.vnc_port = (uint16_t)(5900 + found[i] % 900);
		event.memory_mib = w->vms[found[i]].mib;
		snprintf(event.vnc_host, sizeof(event.vnc_host), "s%u", server);
		world_step(w, &event);
	}
	if (epoch == w->broker_epoch)
		world_step(w,
			&(struct core_event){.type = CORE_EV_RECONCILE_DONE, .server = server + 1});
	if (epoch == w->broker_epoch)
		world_step(w, &(struct core_event){.type = CORE_EV_SERVER_UP,
				      .server = server + 1,
				      .memory_mib = s->mib,
				      .cpus = 2 + 2 * server});
	for (unsigned i = 0; i < count && epoch == w->broker_epoch; i++)
		hello(w, found[i]);
}

void vm_dies(struct world *w, uint64_t id)
{
	struct sim_vm *vm = &w->vms[id];

	if (!vm->exists)
		return;
	vm->exists = false;
	/* Not lost: libvirt's event comes, or the next list shows it. */
	struct core_event event = {.type = CORE_EV_DESKTOP_GONE, .desktop = id};
	unsigned lose = w->faults.lose;
	w->faults.lose = 0;
	if (w->servers[vm->server].connected)
		answer(w, vm->server, &event);
	w->faults.lose = lose;
}

void guest_logs_out(struct world *w, uint64_t id)
{
	if (w->vms[id].exists && w->vms[id].agent == AGENT_ACTIVE)
		vm_answer(w, id, (struct core_event){.type = CORE_EV_GUEST_SESSION_ENDED});
}
