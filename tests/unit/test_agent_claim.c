/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the agent's states make of a helper process that ends badly: a volume that may be mounted
 * counts as mounted until somebody has looked. The loop is this test. */
#include "images/agent/agent.h"
#include "images/agent/agent_disk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* What agent.c has besides the loop. */

int64_t agent_now_ms(void)
{
	return 0;
}

void agent_timer_set(struct agent *agent, enum agent_timer timer, int64_t after_ms)
{
	agent->deadline[timer] = after_ms;
}

void agent_log(const char *format, ...)
{
	(void)format;
}

void agent_wait_screen(struct agent *agent, const char *message)
{
	(void)agent;
	(void)message;
}

/* An agent in the middle of a claim's step, without a control group, for a home that is not there.
 */
static void begin(struct agent *agent, enum agent_step step)
{
	memset(agent, 0, sizeof(*agent));
	agent->job = agent_proc_shared(sizeof(*agent->job));
	assert_non_null(agent->job);
	agent->port.fd = agent->group.events = -1;
	agent->release_id = -1;
	agent->session_pid = agent->job_pid = -1;
	agent->claim_open = true;
	agent->state = AGENT_CLAIMING;
	agent->step = step;
	strcpy(agent->claim.user, "alice");
	strcpy(agent->home, "/nonexistent/home");
	strcpy(agent->device, "/nonexistent/vdb");
}

/* The job that the agent has begun runs to its end. */
static void end_job(struct agent *agent)
{
	int status;

	assert_true(agent->job_pid > 0);
	assert_int_equal(waitpid(agent->job_pid, &status, 0), agent->job_pid);
	agent_claim_job_ended(agent, status);
}

static void killed_job_counts_as_mounted(void **state)
{
	static const enum agent_step steps[] = {STEP_CHECK, STEP_MOUNT};
	struct agent agent;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		begin(&agent, steps[i]);
		agent_claim_job_ended(&agent, W_EXITCODE(0, 9));
		assert_int_equal(agent.state, AGENT_RELEASING);
		assert_true(agent.mounted);
		assert_int_equal(agent.step, STEP_UNMOUNT);
		end_job(&agent);
		assert_int_equal(agent.step, STEP_DONE);
		assert_false(agent.mounted);
	}
}

static void mount_that_could_not_be_undone_counts_as_mounted(void **state)
{
	struct agent agent;

	(void)state;
	begin(&agent, STEP_MOUNT);
	agent_claim_job_ended(&agent, W_EXITCODE(AGENT_DISK_BUSY, 0));
	assert_int_equal(agent.state, AGENT_RELEASING);
	assert_true(agent.mounted);
	end_job(&agent);
}

static void failed_mount_leaves_a_standby(void **state)
{
	struct agent agent;

	(void)state;
	begin(&agent, STEP_MOUNT);
	agent_claim_job_ended(&agent, W_EXITCODE(AGENT_DISK_FAILED, 0));
	assert_int_equal(agent.state, AGENT_STANDBY);
	assert_false(agent.mounted);
	begin(&agent, STEP_CHECK);
	agent_claim_job_ended(&agent, W_EXITCODE(AGENT_DISK_DAMAGED, 0));
	assert_int_equal(agent.state, AGENT_STANDBY);
	assert_false(agent.mounted);
}

static void killed_unmount_is_no_release(void **state)
{
	struct agent agent;

	(void)state;
	begin(&agent, STEP_UNMOUNT);
	agent.state = AGENT_RELEASING;
	agent.mounted = true;
	agent.release_id = 5;
	agent_claim_job_ended(&agent, W_EXITCODE(0, 9));
	assert_int_not_equal(agent.step, STEP_DONE);
	assert_true(agent.mounted);
	assert_int_equal(agent.release_id, -1); /* answered: volume-busy */
	/* asked again it does it again */
	agent_claim_release(&agent, 6);
	end_job(&agent);
	assert_int_equal(agent.step, STEP_DONE);
}

/* Each window that comes is waited for anew; of a desktop longer. */
static void session_is_drawn(void **state)
{
	struct agent agent;

	(void)state;
	for (int desktop = 0; desktop < 2; desktop++) {
		const int64_t patience = desktop ? 30000 : 5000;

		begin(&agent, STEP_DRAWN);
		agent.deadline[TIMER_STEP] = 90000;
		agent.x.desktop = desktop;
		agent_claim_x_event(&agent);
		assert_int_equal(agent.step, STEP_DRAWN);
		agent.x.mapped = 1;
		agent_claim_x_event(&agent);
		assert_int_equal(agent.step, STEP_PROGRAM);
		assert_int_equal(agent.deadline[TIMER_STEP], patience);
		agent.deadline[TIMER_STEP] = 7;
		agent_claim_x_event(&agent);
		assert_int_equal(agent.deadline[TIMER_STEP], 7);
		agent.x.mapped = 2;
		agent_claim_x_event(&agent);
		assert_int_equal(agent.deadline[TIMER_STEP], patience);
		assert_int_equal(agent.state, AGENT_CLAIMING);
		if (desktop)
			agent.x.drawn = true;
		if (desktop)
			agent_claim_x_event(&agent);
		else
			agent_claim_timeout(&agent);
		assert_int_equal(agent.state, AGENT_ACTIVE);
		assert_int_equal(agent.deadline[TIMER_STEP], 0);
	}
}

/* What cannot be opened for another reason than that it is gone may still be mounted. */
static void device_that_cannot_be_looked_at_is_busy(void **state)
{
	char text[128] = "", name[300];

	(void)state;
	assert_int_equal(agent_disk_unmount("/nonexistent", "/nonexistent", text, sizeof(text)),
		AGENT_DISK_OK);
	memset(name, 'x', sizeof(name) - 1);
	name[0] = '/';
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(
		agent_disk_unmount(name, "/nonexistent", text, sizeof(text)), AGENT_DISK_BUSY);
	assert_string_not_equal(text, "");
}

/* Of the group's members, nobody is there. */
static int no_events(void)
{
	static const char text[] = "populated 0\nfrozen 0\n";
	int fd = memfd_create("cgroup.events", MFD_CLOEXEC);

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	return fd;
}

static void begin_rehearsal(struct agent *agent, enum agent_rehearsal rehearsal)
{
	static xcb_connection_t *const connection = (void *)1; /* only compared with NULL */

	begin(agent, STEP_NONE);
	agent->state = AGENT_STANDBY;
	agent->claim_open = false;
	agent->rehearsal_pid = agent->x.pid = -1;
	agent->x.connection = connection;
	agent->rehearse = true;
	agent->rehearsal = rehearsal;
	agent->group.events = no_events();
}

static void rehearsal_that_is_drawn_ends(void **state)
{
	struct agent agent;

	(void)state;
	begin_rehearsal(&agent, REHEARSAL_RUNNING);
	agent_rehearsal_x_event(&agent);
	assert_int_equal(agent.rehearsal, REHEARSAL_RUNNING);
	agent.x.drawn = true;
	agent_rehearsal_x_event(&agent);
	assert_int_equal(agent.rehearsal, REHEARSAL_DRAWN);
	assert_true(agent_rehearsal_is_on(&agent));
	agent_rehearsal_timeout(&agent);
	assert_int_equal(agent.rehearsal, REHEARSAL_OVER);
	/* once is enough */
	agent_rehearsal_x_ready(&agent);
	assert_int_equal(agent.rehearsal, REHEARSAL_OVER);
	assert_int_equal(agent.state, AGENT_STANDBY);
}

static void rehearsal_is_not_for_who_has_come(void **state)
{
	const struct agent_request request = {.id = 3, .user = "alice", .uid = 20001};
	struct agent agent;

	(void)state;
	begin_rehearsal(&agent, REHEARSAL_NONE);
	agent_rehearsal_x_ready(&agent);
	assert_int_equal(agent.rehearsal, REHEARSAL_DUE);
	agent_claim_request(&agent, &request);
	assert_int_equal(agent.rehearsal, REHEARSAL_OVER);
	assert_int_equal(agent.deadline[TIMER_REHEARSAL], 0);
	agent_rehearsal_timeout(&agent);
	assert_int_equal(agent.rehearsal_pid, -1);

	begin_rehearsal(&agent, REHEARSAL_NONE);
	agent.rehearse = false;
	agent_rehearsal_x_ready(&agent);
	assert_int_equal(agent.rehearsal, REHEARSAL_NONE);
}

/* A claim in the middle of it has its session on the server that comes after. */
static void claim_waits_for_the_rehearsals_end(void **state)
{
	const struct agent_request request = {.id = 3, .user = "alice", .uid = 20001};
	struct agent agent;

	(void)state;
	begin_rehearsal(&agent, REHEARSAL_ENDING);
	agent_claim_request(&agent, &request);
	agent.step = STEP_X;
	agent_claim_x_ready(&agent);
	assert_int_equal(agent.step, STEP_X);
	agent_rehearsal_group_event(&agent);
	assert_int_equal(agent.rehearsal, REHEARSAL_OVER);
	agent.x.stopping = true;
	agent_claim_x_ready(&agent);
	assert_int_equal(agent.step, STEP_X);
	agent.x.stopping = false; /* the next server */
	agent_claim_x_ready(&agent);
	assert_int_equal(agent.step, STEP_DRAWN);
	assert_int_equal(waitpid(agent.session_pid, NULL, 0), agent.session_pid);
}

static void rehearsal_that_fails_is_no_failure(void **state)
{
	struct agent agent;

	(void)state;
	begin_rehearsal(&agent, REHEARSAL_RUNNING);
	agent_rehearsal_exited(&agent);
	assert_int_equal(agent.rehearsal, REHEARSAL_OVER);
	begin_rehearsal(&agent, REHEARSAL_RUNNING);
	agent_rehearsal_x_lost(&agent);
	assert_int_equal(agent.rehearsal, REHEARSAL_OVER);
	begin_rehearsal(&agent, REHEARSAL_RUNNING);
	agent_rehearsal_timeout(&agent);
	assert_int_equal(agent.rehearsal, REHEARSAL_OVER);
	assert_int_equal(agent.state, AGENT_STANDBY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(killed_job_counts_as_mounted),
		cmocka_unit_test(session_is_drawn),
		cmocka_unit_test(mount_that_could_not_be_undone_counts_as_mounted),
		cmocka_unit_test(failed_mount_leaves_a_standby),
		cmocka_unit_test(killed_unmount_is_no_release),
		cmocka_unit_test(device_that_cannot_be_looked_at_is_busy),
		cmocka_unit_test(rehearsal_that_is_drawn_ends),
		cmocka_unit_test(rehearsal_is_not_for_who_has_come),
		cmocka_unit_test(claim_waits_for_the_rehearsals_end),
		cmocka_unit_test(rehearsal_that_fails_is_no_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
