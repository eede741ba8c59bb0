/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The loop of carrel-agent and its sources: the port to the host, the kernel's device events, child
 * processes, the X server, the session's control group, one timer.
 */
#include "images/agent/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RUN_DIR "/run/carrel"
#define WAIT_PROGRAM "/usr/libexec/carrel/carrel-waitscreen"
#define STATUS_TIMEOUT_MS 1000
#define X_FAILURES_MAX 10
#define X_RETRY_MS 1000

enum source { SOURCE_PORT, SOURCE_SIGNALS, SOURCE_UEVENTS, SOURCE_TIMER, SOURCE_X, SOURCE_GROUP };

int64_t agent_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void agent_log(const char *format, ...)
{
	char line[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	fprintf(stderr, "carrel-agent ms=%lld %s\n", (long long)agent_now_ms(), line);
}

void agent_timer_set(struct agent *agent, enum agent_timer timer, int64_t after_ms)
{
	struct itimerspec spec = {0};
	int64_t first = 0;

	agent->deadline[timer] = after_ms ? agent_now_ms() + after_ms : 0;
	for (int i = 0; i < TIMER_COUNT; i++)
		if (agent->deadline[i] && (!first || agent->deadline[i] < first))
			first = agent->deadline[i];
	spec.it_value.tv_sec = first / 1000;
	spec.it_value.tv_nsec = first % 1000 * 1000000;
	timerfd_settime(agent->timer, TFD_TIMER_ABSTIME, &spec, NULL);
}

static bool watch(struct agent *agent, int fd, uint32_t events, enum source source)
{
	struct epoll_event event = {.events = events, .data.u32 = source};

	return epoll_ctl(agent->epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

/* The port */

static void status_request(struct agent *agent, int64_t id)
{
	if (agent->status_id >= 0)
		agent_say_status(agent, -1);
	agent->status_id = id;
	if (agent_x_idle_ask(&agent->x))
		agent_timer_set(agent, TIMER_STATUS, STATUS_TIMEOUT_MS);
	else
		agent_say_status(agent, -1);
}

static void request(void *context, const char *text, size_t length)
{
	struct agent *agent = context;
	struct agent_request r;
	const char *wrong = "the line is too long";

	memset(&r, 0, sizeof(r));
	if (text)
		wrong = agent_msg_parse(text, length, &r);
	if (wrong) {
		agent_say_failure(agent, r.id, "bad-request", wrong);
		return;
	}
	switch (r.op) {
	case AGENT_OP_HELLO:
		agent_say_hello(agent);
		break;
	case AGENT_OP_CLAIM:
		agent_claim_request(agent, &r);
		break;
	case AGENT_OP_RELEASE:
		agent_claim_release(agent, r.id);
		break;
	case AGENT_OP_STATUS:
		status_request(agent, r.id);
		break;
	case AGENT_OP_KEYBOARD:
		agent_keyboard_request(agent, &r);
		break;
	}
}

static void port_find(struct agent *agent)
{
	if (agent->port.fd >= 0 ||
		!agent_port_open(&agent->port, "/sys/class/virtio-ports", "/dev", AGENT_PORT_NAME))
		return;
	watch(agent, agent->port.fd, EPOLLIN | EPOLLOUT | EPOLLET, SOURCE_PORT);
	agent_log("port-open");
}

static void port_ready(struct agent *agent, uint32_t events)
{
	if (!agent_port_ready(&agent->port, events, request, agent))
		return;
	agent_log("host-connected");
	agent_say_hello(agent);
}

/* X and the waiting screen */

static void x_start(struct agent *agent)
{
	if (!agent_x_start(&agent->x)) {
		agent_log("x-start-failed error=\"%s\"", strerror(errno));
		return;
	}
	watch(agent, agent->x.ready_fd, EPOLLIN, SOURCE_X);
}

static void x_ready(struct agent *agent)
{
	if (agent->x.ready_fd >= 0) {
		char byte;

		/* the end of the pipe without a number: Xorg is ending, SIGCHLD says the rest */
		if (read(agent->x.ready_fd, &byte, 1) != 1 || !agent_x_connect(&agent->x)) {
			if (agent->x.ready_fd >= 0)
				close(agent->x.ready_fd);
			agent->x.ready_fd = -1;
			return;
		}
		agent_log("x-ready");
		watch(agent, agent->x.fd, EPOLLIN, SOURCE_X);
		agent_keyboard_x_ready(agent);
		agent_claim_x_ready(agent);
		agent_rehearsal_x_ready(agent);
		return;
	}
	if (!agent->x.connection)
		return;
	if (!agent_x_events(&agent->x))
		epoll_ctl(agent->epoll, EPOLL_CTL_DEL, agent->x.fd, NULL);
	agent_claim_x_event(agent);
	agent_rehearsal_x_event(agent);
}

static void status_answer(struct agent *agent)
{
	int64_t idle_ms;

	if (agent->x.connection && agent_x_idle_answer(&agent->x, &idle_ms) &&
		agent->status_id >= 0)
		agent_say_status(agent, idle_ms);
}

static void x_exited(struct agent *agent, int status)
{
	char reason[160];

	if (agent->x.stopping) {
		agent_x_clear(&agent->x);
		x_start(agent);
		return;
	}
	agent_rehearsal_x_lost(agent);
	agent_x_reason(reason, sizeof(reason));
	agent_log("x-exited status=%d reason=\"%s\"", status, reason);
	agent_x_clear(&agent->x);
	if (++agent->x_failures < X_FAILURES_MAX)
		agent_timer_set(agent, TIMER_X, X_RETRY_MS);
	else
		agent_claim_x_failed(agent, reason);
}

void agent_wait_screen(struct agent *agent, const char *message)
{
	char *arguments[] = {WAIT_PROGRAM, (char *)(uintptr_t)message, NULL};
	char authority[128];
	char *environment[] = {"DISPLAY=" AGENT_X_DISPLAY, authority, "LANG=C.UTF-8", NULL};

	if (!agent->x.connection)
		return;
	snprintf(authority, sizeof(authority), "XAUTHORITY=%s", agent->x.authority);
	agent->wait_pid = agent_proc_run(arguments, environment, -1);
}

/* Children, device events, time */

static void children(struct agent *agent)
{
	struct signalfd_siginfo info;
	int status;
	pid_t pid;

	while (read(agent->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
		;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == agent->job_pid)
			agent_claim_job_ended(agent, status);
		else if (pid == agent->session_pid)
			agent_claim_session_exited(agent);
		else if (pid == agent->keyboard_pid)
			agent_keyboard_exited(agent, status);
		else if (pid == agent->rehearsal_pid)
			agent_rehearsal_exited(agent);
		else if (pid == agent->x.pid)
			x_exited(agent, status);
		else if (pid == agent->wait_pid)
			agent_log("waiting-screen status=%d", status);
	}
}

static void uevents(struct agent *agent)
{
	char text[8192];

	/* what has come is looked up in sysfs: an event says only that something did, and when the
	 * queue has overflowed even that is enough */
	while (recv(agent->uevents, text, sizeof(text), MSG_DONTWAIT) > 0 || errno == ENOBUFS)
		;
	port_find(agent);
	agent_claim_disk_event(agent);
}

static void timers(struct agent *agent)
{
	uint64_t count;
	int64_t now = agent_now_ms();
	bool due[TIMER_COUNT];

	(void)!read(agent->timer, &count, sizeof(count));
	for (int i = 0; i < TIMER_COUNT; i++)
		due[i] = agent->deadline[i] && agent->deadline[i] <= now;
	for (int i = 0; i < TIMER_COUNT; i++)
		if (due[i])
			agent_timer_set(agent, (enum agent_timer)i, 0);
	if (due[TIMER_STEP])
		agent_claim_timeout(agent);
	if (due[TIMER_STATUS] && agent->status_id >= 0)
		agent_say_status(agent, -1);
	if (due[TIMER_X])
		x_start(agent);
	if (due[TIMER_REHEARSAL])
		agent_rehearsal_timeout(agent);
}

static void dispatch(struct agent *agent, const struct epoll_event *event)
{
	switch ((enum source)event->data.u32) {
	case SOURCE_PORT:
		port_ready(agent, event->events);
		break;
	case SOURCE_SIGNALS:
		children(agent);
		break;
	case SOURCE_UEVENTS:
		uevents(agent);
		break;
	case SOURCE_TIMER:
		timers(agent);
		break;
	case SOURCE_X:
		x_ready(agent);
		break;
	case SOURCE_GROUP:
		agent_claim_group_event(agent);
		agent_rehearsal_group_event(agent);
		break;
	}
	status_answer(agent); /* a reply may have been read along with anything from the server */
}

/* Start */

static void read_word(const char *path, const char *key, const char *end, char *value, size_t size)
{
	char text[4096];
	FILE *file = fopen(path, "re");
	const char *at;

	if (!file)
		return;
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
	at = strstr(text, key);
	if (at) {
		at += strlen(key);
		snprintf(value, size, "%.*s", (int)strcspn(at, end), at);
	}
}

static bool open_sources(struct agent *agent)
{
	struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = 1};
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGCHLD);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	agent->epoll = epoll_create1(EPOLL_CLOEXEC);
	agent->signals = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	agent->timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	agent->uevents = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);
	return agent->epoll >= 0 && agent->signals >= 0 && agent->timer >= 0 &&
	       agent->uevents >= 0 &&
	       bind(agent->uevents, (struct sockaddr *)&address, sizeof(address)) == 0 &&
	       watch(agent, agent->signals, EPOLLIN, SOURCE_SIGNALS) &&
	       watch(agent, agent->timer, EPOLLIN, SOURCE_TIMER) &&
	       watch(agent, agent->uevents, EPOLLIN, SOURCE_UEVENTS);
}

static bool init(struct agent *agent)
{
	char drawn[16] = "", rehearse[8] = "";

	memset(agent, 0, sizeof(*agent));
	agent->wait_pid = agent->session_pid = agent->job_pid = -1;
	agent->rehearsal_pid = agent->keyboard_pid = -1;
	agent->release_id = agent->status_id = agent->keyboard_id = -1;
	strcpy(agent->language, "C.UTF-8");
	read_word("/proc/cmdline", "carrel.image=", " \n", agent->image, sizeof(agent->image));
	read_word("/etc/default/locale", "LANG=", "\n", agent->language, sizeof(agent->language));
	read_word("/etc/default/carrel-agent", "REHEARSE=", "\n", rehearse, sizeof(rehearse));
	agent->rehearse = strcmp(rehearse, "yes") == 0;
	agent_port_init(&agent->port);
	agent_x_init(&agent->x, RUN_DIR "/Xauthority");
	read_word("/etc/default/carrel-agent", "DRAWN=", "\n", drawn, sizeof(drawn));
	agent->x.desktop = strcmp(drawn, "desktop") == 0;
	(void)mkdir(RUN_DIR, 0755);
	agent->job = agent_proc_shared(sizeof(*agent->job));
	if (!agent->job || !open_sources(agent) || !agent_group_init(&agent->group)) {
		agent_log(
			"start-failed error=\"%s\" remedy=\"the agent runs as root in a desktop VM "
			"with cgroup v2\"",
			strerror(errno));
		return false;
	}
	return watch(agent, agent->group.events, EPOLLPRI, SOURCE_GROUP);
}

int main(int argc, char **argv)
{
	static struct agent agent;

	if (argc > 1) {
		printf("carrel-agent %s: the program in a Carrel desktop; see carrel-agent(8)\n",
			CARREL_VERSION);
		return strcmp(argv[1], "--version") == 0 ? 0 : 2;
	}
	if (!init(&agent))
		return 1;
	agent_claim_recover(&agent);
	port_find(&agent);
	x_start(&agent);
	for (;;) {
		struct epoll_event events[8];
		int n = epoll_wait(agent.epoll, events, 8, -1);

		if (n < 0 && errno != EINTR)
			return 1;
		for (int i = 0; i < n; i++)
			dispatch(&agent, &events[i]);
	}
}
