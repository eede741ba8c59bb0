/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What carrel-virtd answers, with a hypervisor in memory: the lanes' handlers, one request at a
 * time, and the faults that a real one shows only on bad days. */
#include "broker/shared/msg.h"
#include "broker/virt/domain_xml.h"
#include "broker/virt/worker.h"
#include "tests/unit/test_virt_fake.h"
#include "tests/unit/test_virt_image.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define IMAGES "carrel-images"
#define VOLUMES "carrel-volumes"

struct bench {
	struct worker *worker;
	struct virt_conn *conn;
	int fd;       /* carreld's end */
	char *folder; /* [paths] images */
};

static int set_up(void **state)
{
	struct bench *bench = g_new0(struct bench, 1);

	fake_reset();
	bench->folder = g_dir_make_tmp("carrel-virt-XXXXXX", NULL);
	bench->worker = fake_worker(bench->folder, &bench->fd);
	bench->conn = worker_connect(bench->worker, LANE_CONTROL, NULL, NULL);
	*state = bench;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;
	image_remove(bench->folder);
	worker_free(bench->worker);
	close(bench->fd);
	g_free(bench->folder);
	g_free(bench);
	fake_reset();
	return 0;
}

/* The next packet, or NULL when there is none. */
static json_t *packet(struct bench *bench)
{
	return msg_recv(bench->fd, NULL);
}

typedef gboolean (*handler)(struct worker *, struct virt_conn *, struct request *);

/* Has a handler do one request; the answer's code, "ok", or "" when it has not answered yet.
 * Static. */
static const char *ask(struct bench *bench, handler handle, const char *text)
{
	static char code[64];
	json_t *answer;
	g_autoptr(GError) error = NULL;
	struct request *request = request_new(json_loads(text, 0, NULL), &error);

	if (!request)
		fail_msg("%s", error->message);
	gboolean usable = handle(bench->worker, bench->conn, request);
	while ((answer = packet(bench)) && json_object_get(answer, "event"))
		json_decref(answer);
	const char *word = json_string_value(json_object_get(answer, "code"));
	g_strlcpy(code,
		!answer                                       ? ""
		: json_is_true(json_object_get(answer, "ok")) ? "ok"
							      : word,
		sizeof(code));
	json_decref(answer);
	assert_int_equal(usable, strcmp(code, "unreachable") != 0);
	return code;
}

static const char create[] = "{\"id\":1,\"op\":\"volume-create\",\"volume\":3,\"size_mib\":8,"
			     "\"uid\":20001,\"user\":\"a\"}";
static const char attach[] = "{\"id\":2,\"op\":\"volume-attach\",\"volume\":3,\"desktop\":7}";
static const char detach[] = "{\"id\":3,\"op\":\"volume-detach\",\"volume\":3,\"desktop\":7}";
static const char start[] = "{\"id\":4,\"op\":\"desktop-start\",\"desktop\":7,\"image\":\"lite@"
			    "20260101.1\",\"memory_mib\":512,"
			    "\"vcpus\":1,\"network\":\"none\"}";
static const char destroy[] = "{\"id\":6,\"op\":\"desktop-destroy\",\"desktop\":7}";
static const char ensure[] = "{\"id\":5,\"op\":\"image-ensure\",\"image\":\"lite@20260101.1\"}";

/* A domain of the fake with nothing but its root. */
static void domain(struct bench *bench, const char *name)
{
	g_autofree char *xml = g_strdup_printf("<name>%s</name><source file='/r'/>", name);

	assert_true(fake_driver.domain_create(bench->conn, xml, NULL));
}

static void volume_is_made_once(void **state)
{
	struct bench *bench = *state;

	assert_string_equal(ask(bench, volumes_handle, create), "ok");
	assert_int_equal(fake_volume_look(VOLUMES, "home-3")->len, 8 << 20);
	assert_int_equal(fake_volume_look(VOLUMES, "home-3.complete")->len, 0);
	/* The answer was lost and it is asked for again. */
	assert_string_equal(ask(bench, volumes_handle, create), "ok");
	assert_string_equal(
		ask(bench, volumes_handle,
			"{\"id\":1,\"op\":\"volume-create\",\"volume\":3,\"size_mib\":16,"
			"\"uid\":20001,\"user\":\"a\"}"),
		"exists");
	assert_string_equal(
		ask(bench, volumes_handle,
			"{\"id\":1,\"op\":\"volume-create\",\"volume\":3,\"size_mib\":8,"
			"\"uid\":20002,\"user\":\"b\"}"),
		"exists");
	/* Once it was mounted it is somebody's. */
	fake_volume_look(VOLUMES, "home-3")->data[1024 + 0x34] = 1;
	assert_string_equal(ask(bench, volumes_handle, create), "exists");
}

static void half_made_volume_is_replaced(void **state)
{
	struct bench *bench = *state;

	fake.fail_call = "volume_put";
	fake.fail_code = VIRT_ERROR_UNREACHABLE;
	fake.fail_after = true;
	assert_string_equal(ask(bench, volumes_handle, create), "unreachable");
	assert_int_equal(fake_volume_look(VOLUMES, "home-3")->len, 0);
	assert_null(fake_volume_look(VOLUMES, "home-3.complete"));
	/* It is not used meanwhile. */
	domain(bench, "carrel-d7");
	assert_string_equal(ask(bench, control_handle, attach), "storage");
	assert_string_equal(ask(bench, volumes_handle, create), "ok");
	assert_string_equal(ask(bench, control_handle, attach), "ok");
}

static void used_volume_is_never_replaced(void **state)
{
	struct bench *bench = *state;
	static char used[4096];

	/* An ext4 that was mounted once. */
	used[1024 + 0x38] = 0x53;
	used[1024 + 0x39] = (char)0xef;
	used[1024 + 0x34] = 1;
	fake_volume(VOLUMES, "home-3", used, sizeof(used));
	assert_string_equal(ask(bench, volumes_handle, create), "exists");
	/* Something that is no ext4 at all. */
	fake_volume(VOLUMES, "home-3", "somebody's data", 15);
	assert_string_equal(ask(bench, volumes_handle, create), "exists");
	assert_int_equal(fake_volume_look(VOLUMES, "home-3")->len, 15);
	/* Unused, but in a VM. */
	fake_volume(VOLUMES, "home-3", "\0\0", 2);
	g_autofree char *xml = g_strdup("<name>other</name><source file='/" VOLUMES "/home-3'/>");
	assert_true(fake_driver.domain_create(bench->conn, xml, NULL));
	assert_string_equal(ask(bench, volumes_handle, create), "busy");
	assert_int_equal(fake_volume_look(VOLUMES, "home-3")->len, 2);
	/* When it cannot be looked at it is not touched. */
	g_hash_table_remove_all(fake.domains);
	static const char *const calls[] = {"volume_get", "domain_list", "volume_head"};
	for (unsigned i = 0; i < G_N_ELEMENTS(calls); i++) {
		fake.fail_call = calls[i];
		fake.fail_code = VIRT_ERROR_STORAGE;
		fake.fail_after = false;
		assert_string_equal(ask(bench, volumes_handle, create), "storage");
		assert_int_equal(fake_volume_look(VOLUMES, "home-3")->len, 2);
	}
}

static void attach_is_certain(void **state)
{
	struct bench *bench = *state;

	assert_string_equal(ask(bench, control_handle, attach), "not-found");
	domain(bench, "carrel-d7");
	domain(bench, "carrel-d8");
	assert_string_equal(ask(bench, control_handle, attach), "not-found");
	assert_string_equal(ask(bench, volumes_handle, create), "ok");
	/* The answer fails but the disk is in: that is a success. */
	fake.fail_call = "device_change";
	fake.fail_code = VIRT_ERROR_LIBVIRT;
	fake.fail_after = true;
	assert_string_equal(ask(bench, control_handle, attach), "ok");
	assert_string_equal(ask(bench, control_handle, attach), "ok");
	assert_string_equal(
		ask(bench, control_handle,
			"{\"id\":6,\"op\":\"volume-attach\",\"volume\":3,\"desktop\":8}"),
		"busy");
	fake_disk_out("carrel-d7", "ua-vol3");
	fake.fail_call = "device_change";
	fake.fail_code = VIRT_ERROR_BUSY;
	fake.fail_after = false;
	assert_string_equal(ask(bench, control_handle, attach), "busy");
}

static void detach_waits_for_the_guest(void **state)
{
	struct bench *bench = *state;

	assert_string_equal(ask(bench, control_handle, detach), "ok"); /* no VM */
	domain(bench, "carrel-d7");
	assert_string_equal(ask(bench, control_handle, detach), "ok"); /* no disk */
	assert_null(fake.last_detach);
	assert_string_equal(ask(bench, volumes_handle, create), "ok");
	assert_string_equal(ask(bench, control_handle, attach), "ok");
	/* Asked, but not answered: that is for the watch lane, which was told first. */
	assert_string_equal(ask(bench, control_handle, detach), "");
	assert_string_equal(fake.last_detach, "carrel-d7 ua-vol3");
	struct job *job = worker_next(bench->worker, LANE_WATCH, 0);
	assert_non_null(job);
	assert_int_equal(job->kind, JOB_DETACH);
	assert_string_equal(job->text, "ua-vol3");
	assert_int_equal(job->request->id, 3);
	job_free(job);
	assert_null(worker_next(bench->worker, LANE_WATCH, 0));
	fake.fail_call = "device_change";
	fake.fail_code = VIRT_ERROR_LIBVIRT;
	assert_string_equal(ask(bench, control_handle, detach), "");
	job_free(worker_next(bench->worker, LANE_WATCH, 0));
	job = worker_next(bench->worker, LANE_WATCH, 0);
	assert_int_equal(job->kind, JOB_DETACH_FAILED);
	assert_int_equal(job->number, 3);
	job_free(job);
	fake.fail_call = "domain_xml";
	assert_string_equal(ask(bench, control_handle, detach), "libvirt");
}

static void destroy_is_told_to_the_watch_lane(void **state)
{
	struct bench *bench = *state;
	static const uintptr_t told[] = {7, 0, 7, 0};

	domain(bench, "carrel-d7");
	fake.fail_call = "domain_destroy";
	fake.fail_code = VIRT_ERROR_TIMEOUT;
	assert_string_equal(ask(bench, control_handle, destroy), "timeout");
	assert_string_equal(ask(bench, control_handle, destroy), "ok");
	for (unsigned i = 0; i < G_N_ELEMENTS(told); i++) {
		struct job *job = worker_next(bench->worker, LANE_WATCH, 0);

		assert_non_null(job);
		assert_int_equal(job->kind, JOB_LEAVING);
		assert_int_equal(job->number, told[i]);
		job_free(job);
	}
}

static void write_file(struct bench *bench, const char *name, const char *text)
{
	g_autofree char *folder = g_build_filename(bench->folder, "lite", "20260101.1", NULL);
	g_autofree char *path = g_build_filename(folder, name, NULL);

	assert_int_equal(g_mkdir_with_parents(folder, 0755), 0);
	assert_true(g_file_set_contents(path, text, -1, NULL));
}

#define ROOT_SIZE 8192

/* What the root file holds; its last byte as given. */
static void write_root(struct bench *bench, char last, gsize length)
{
	g_autofree char *text = g_strnfill(length, 'r');

	text[length - 1] = last;
	write_file(bench, "r", text);
}

static void image(struct bench *bench)
{
	g_autofree char *root = g_strnfill(ROOT_SIZE, 'r');

	image_write(bench->folder, "20260101.1", root, ROOT_SIZE);
}

static void image_is_whole_or_unused(void **state)
{
	struct bench *bench = *state;

	assert_string_equal(ask(bench, images_handle, ensure), "no-image");
	image(bench);
	/* Nothing is sent that the site has not signed. */
	write_file(bench, "manifest.sig", "AAAA\n");
	assert_string_equal(ask(bench, images_handle, ensure), "no-image");
	assert_null(fake_volume_look(IMAGES, "lite@20260101.1.kernel"));
	image(bench);
	assert_string_equal(ask(bench, control_handle, start), "no-image");
	write_root(bench, 'X', ROOT_SIZE);
	assert_string_equal(ask(bench, images_handle, ensure), "no-image");
	assert_null(fake_volume_look(IMAGES, "lite@20260101.1.complete"));
	assert_string_equal(ask(bench, control_handle, start), "no-image");
	write_root(bench, 'r', ROOT_SIZE + 1);
	assert_string_equal(ask(bench, images_handle, ensure), "no-image");
	write_root(bench, 'r', ROOT_SIZE);
	assert_string_equal(ask(bench, images_handle, ensure), "ok");
	assert_memory_equal(fake_volume_look(IMAGES, "lite@20260101.1.root")->data, "rrr", 3);
	write_file(bench, "manifest.sig", "AAAA\n");
	assert_string_equal(ask(bench, control_handle, start), "no-image");
	image(bench);
	assert_string_equal(ask(bench, control_handle, start), "ok");
	assert_true(g_hash_table_contains(fake.domains, "carrel-d7"));
	assert_string_equal(ask(bench, control_handle, start), "exists");
}

static void failed_start_leaves_no_vm(void **state)
{
	struct bench *bench = *state;

	image(bench);
	assert_string_equal(ask(bench, images_handle, ensure), "ok");
	fake.no_vnc = true;
	assert_string_equal(ask(bench, control_handle, start), "libvirt");
	assert_int_equal(g_hash_table_size(fake.domains), 0);
	fake.no_vnc = false;
	fake.fail_call = "domain_create";
	fake.fail_code = VIRT_ERROR_NO_MEMORY;
	assert_string_equal(ask(bench, control_handle, start), "no-memory");
	assert_int_equal(g_hash_table_size(fake.domains), 0);
}

static void tickets(void **state)
{
	struct bench *bench = *state;
	static const char set[] = "{\"id\":6,\"op\":\"ticket-set\",\"desktop\":7,\"password\":"
				  "\"ticket12\",\"seconds\":30}";

	assert_string_equal(ask(bench, control_handle, set), "not-found");
	domain(bench, "carrel-d7");
	assert_string_equal(ask(bench, control_handle, set), "ok");
	assert_non_null(strstr(fake.last_screen, "passwd='ticket12'"));
	assert_non_null(strstr(fake.last_screen, "port='5900'"));
	assert_string_equal(
		ask(bench, control_handle, "{\"id\":7,\"op\":\"ticket-clear\",\"desktop\":7}"),
		"ok");
	assert_null(strstr(fake.last_screen, "ticket12"));
	assert_non_null(strstr(fake.last_screen, "passwdValidTo='1970-01-01T00:00:01'"));
}

static void kvm_is_tried(void **state)
{
	struct bench *bench = *state;
	const struct virt_host host = {.kvm = true}, none = {.kvm = false};

	/* The fake answers at once, so that the trial's time does not pass. */
	assert_false(control_kvm_works(bench->worker, bench->conn, &none));
	fake.fail_call = "domain_create";
	fake.fail_code = VIRT_ERROR_UNREACHABLE;
	assert_false(control_kvm_works(bench->worker, bench->conn, &host));
	assert_false(bench->worker->kvm_known);
	fake.fail_call = "domain_create";
	fake.fail_code = VIRT_ERROR_LIBVIRT;
	assert_false(control_kvm_works(bench->worker, bench->conn, &host));
	assert_true(bench->worker->kvm_known);
	assert_int_equal(g_hash_table_size(fake.domains), 0);
}

static void resize_begin(struct bench *bench, uint64_t desktop, unsigned mib, unsigned ms)
{
	json_t *json =
		json_pack("{s:i, s:s, s:I, s:i, s:i}", "id", (int)desktop, "op", "desktop-resize",
			"desktop", (json_int_t)desktop, "memory_mib", (int)mib, "ms", (int)ms);

	sizes_begin(bench->worker, bench->conn, request_new(json, NULL));
}

/* Waits for an answer to a resize, for as long as the lane's own thread would; it must be about
 * this desktop. */
static json_t *resize_answer(struct bench *bench, uint64_t desktop)
{
	struct pollfd pollfd = {.fd = bench->fd, .events = POLLIN};
	gint64 left;

	do
		left = sizes_overdue(bench->worker);
	while (poll(&pollfd, 1, left < 0 ? 5000 : (int)left) == 0 && left >= 0);
	json_t *answer = packet(bench);
	assert_non_null(answer);
	assert_int_equal(json_integer_value(json_object_get(answer, "id")), desktop);
	return answer;
}

/* Has a desktop resized; the answer's code, or "ok". Static. */
static const char *resize(struct bench *bench, uint64_t desktop, unsigned mib, unsigned ms)
{
	static char code[64];

	resize_begin(bench, desktop, mib, ms);
	json_t *answer = resize_answer(bench, desktop);
	const char *word = json_string_value(json_object_get(answer, "code"));
	g_strlcpy(code, word ? word : "ok", sizeof(code));
	if (!word)
		assert_int_equal(json_integer_value(json_object_get(answer, "memory_mib")), mib);
	json_decref(answer);
	return code;
}

static void memory_is_given_back(void **state)
{
	struct bench *bench = *state;

	assert_string_equal(resize(bench, 7, 256, 5000), "not-found");
	domain(bench, "carrel-d7");
	assert_string_equal(resize(bench, 7, 256, 5000), "not-supported");
	fake.balloon = true;
	assert_string_equal(resize(bench, 7, 256, 5000), "ok");
	assert_int_equal(fake.guest_mib, 256);
	/* The same again, and back; more than it was started with there is not. */
	assert_string_equal(resize(bench, 7, 256, 5000), "ok");
	assert_string_equal(resize(bench, 7, 512, 5000), "ok");
	assert_int_equal(fake.guest_mib, 512);
	assert_string_equal(resize(bench, 7, 513, 5000), "not-supported");
	/* The process keeps what overhead_mib and what it has mapped from files allow. */
	fake.keeps_mib = 128 + 128;
	assert_string_equal(resize(bench, 7, 256, 5000), "ok");
}

static void what_is_not_given_back_is_restored(void **state)
{
	struct bench *bench = *state;

	domain(bench, "carrel-d7");
	fake.balloon = true;
	/* The guest stops half-way. */
	fake.gives_mib = 1;
	assert_string_equal(resize(bench, 7, 256, 300), "timeout");
	assert_int_equal(fake.target_mib, 512);
	/* The guest gave it, but the host has not got it. */
	fake.guest_mib = 512;
	fake.gives_mib = 100;
	fake.keeps_mib = 128 + 129;
	assert_string_equal(resize(bench, 7, 256, 500), "timeout");
	assert_int_equal(fake.target_mib, 512);
	/* The call fails, whether it had its effect or not. */
	fake.guest_mib = 512;
	fake.fail_call = "memory_set";
	fake.fail_code = VIRT_ERROR_LIBVIRT;
	fake.fail_after = true;
	assert_string_equal(resize(bench, 7, 256, 500), "libvirt");
	assert_int_equal(fake.target_mib, 512);
	/* A guest without a driver: it is not even asked. */
	fake.silent = true;
	fake.target_mib = 511;
	assert_string_equal(resize(bench, 7, 256, 300), "timeout");
	assert_int_equal(fake.target_mib, 511);
}

static void what_programs_use_is_not_taken(void **state)
{
	struct bench *bench = *state;

	domain(bench, "carrel-d7");
	fake.balloon = true;
	fake.used_mib = 193;
	assert_string_equal(resize(bench, 7, 256, 5000), "no-memory");
	assert_int_equal(fake.guest_mib, 512);
	fake.used_mib = 192;
	assert_string_equal(resize(bench, 7, 256, 5000), "ok");
	/* They begin to need it while it is being taken. */
	assert_string_equal(resize(bench, 7, 512, 5000), "ok");
	fake.starves = 4;
	assert_string_equal(resize(bench, 7, 256, 5000), "no-memory");
	assert_int_equal(fake.target_mib, 512);
}

static void vm_that_vanishes_is_not_found(void **state)
{
	struct bench *bench = *state;

	fake.balloon = true;
	for (unsigned looks = 1; looks <= 4; looks++) {
		domain(bench, "carrel-d7");
		fake.guest_mib = fake.target_mib = 512;
		fake.vanishes = looks;
		assert_string_equal(resize(bench, 7, 256, 5000), "not-found");
	}
	domain(bench, "carrel-d7");
	fake.fail_call = "memory_look";
	fake.fail_code = VIRT_ERROR_UNREACHABLE;
	assert_string_equal(resize(bench, 7, 256, 5000), "unreachable");
}

static void hung_hypervisor_holds_up_only_its_own(void **state)
{
	struct bench *bench = *state;
	struct worker *worker = bench->worker;

	fake.balloon = true;
	g_mutex_lock(&fake.hung);
	for (uint64_t desktop = 7; desktop <= 10; desktop++) {
		g_autofree char *name = domain_name(desktop);

		domain(bench, name);
		resize_begin(bench, desktop, 256, 1);
	}
	/* Not a second one of the same VM, and not many at once; the other lanes go on. */
	assert_string_equal(resize(bench, 7, 256, 1), "busy");
	assert_string_equal(resize(bench, 11, 256, 1), "busy");
	assert_string_equal(ask(bench, control_handle, "{\"id\":1,\"op\":\"desktop-list\"}"), "ok");
	for (uint64_t desktop = 7; desktop <= 10; desktop++) {
		json_t *answer = resize_answer(bench, desktop);
		const char *code = json_string_value(json_object_get(answer, "code"));

		assert_string_equal(code, "timeout");
		json_decref(answer);
	}
	assert_string_equal(resize(bench, 7, 256, 1), "busy");
	/* When it goes on, nothing is changed any more, and nothing is answered twice. */
	fake.gives_mib = 512;
	g_mutex_unlock(&fake.hung);
	for (bool over = false; !over; g_thread_yield()) {
		g_mutex_lock(&worker->lock);
		over = worker->resizes->len == 0;
		g_mutex_unlock(&worker->lock);
	}
	assert_null(packet(bench));
	assert_int_equal(fake.guest_mib, 512);
	assert_string_equal(resize(bench, 7, 256, 5000), "ok");
}

static void assert_event(struct bench *bench, const char *name)
{
	json_t *event = packet(bench);

	if (!name)
		assert_null(event);
	else
		assert_string_equal(json_string_value(json_object_get(event, "event")), name);
	json_decref(event);
}

static void server_is_up_when_both_connections_are(void **state)
{
	struct bench *bench = *state;
	struct worker *worker = bench->worker;
	json_t *answer;

	worker_lane_down(worker, LANE_CONTROL, "no route");
	assert_event(bench, "server-down");
	worker_lane_down(worker, LANE_WATCH, "no route");
	assert_event(bench, NULL);
	worker_lane_up(worker, LANE_WATCH);
	assert_event(bench, NULL);
	worker_request(worker, json_loads("{\"id\":8,\"op\":\"desktop-list\"}", 0, NULL));
	answer = packet(bench);
	assert_string_equal(json_string_value(json_object_get(answer, "code")), "unreachable");
	assert_non_null(strstr(json_string_value(json_object_get(answer, "message")), "no route"));
	json_decref(answer);
	worker_request(worker, json_loads("{\"id\":9,\"op\":\"ping\"}", 0, NULL));
	answer = packet(bench);
	assert_true(json_is_true(json_object_get(answer, "ok")));
	json_decref(answer);
	worker_lane_up(worker, LANE_CONTROL);
	assert_event(bench, "server-up");
	worker_request(worker, json_loads("{\"id\":10,\"op\":\"ping\"}", 0, NULL));
	struct job *job = worker_next(worker, LANE_CONTROL, 0);
	assert_int_equal(job->request->op, REQUEST_PING);
	job_free(job);
	worker_lane_down(worker, LANE_WATCH, "lost");
	assert_event(bench, "server-down");
	worker_lane_down(worker, LANE_CONTROL, "lost");
	assert_event(bench, NULL);
}

static void waits_between_attempts_are_bounded(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 40; i++) {
		assert_in_range(worker_backoff_ms(i), 500, 10000);
		assert_true(worker_backoff_ms(i + 1) >= worker_backoff_ms(i));
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(volume_is_made_once),
		TEST(half_made_volume_is_replaced),
		TEST(used_volume_is_never_replaced),
		TEST(attach_is_certain),
		TEST(detach_waits_for_the_guest),
		TEST(destroy_is_told_to_the_watch_lane),
		TEST(image_is_whole_or_unused),
		TEST(failed_start_leaves_no_vm),
		TEST(tickets),
		TEST(kvm_is_tried),
		TEST(memory_is_given_back),
		TEST(what_is_not_given_back_is_restored),
		TEST(what_programs_use_is_not_taken),
		TEST(vm_that_vanishes_is_not_found),
		TEST(hung_hypervisor_holds_up_only_its_own),
		TEST(server_is_up_when_both_connections_are),
		TEST(waits_between_attempts_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
