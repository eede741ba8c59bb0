/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Seats: how they are written, and the list of them with a real store. */
#include "broker/daemon/seats_internal.h"
#include "broker/daemon/wake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>
#include <glib/gstdio.h>

static void test_mac_addresses(void **state)
{
	static const struct {
		const char *text, *mac; /* NULL: it is none */
	} cases[] = {
		{"52:54:00:77:00:01", "52:54:00:77:00:01"},
		{"52-54-00-AB-CD-EF", "52:54:00:ab:cd:ef"},
		{"52:54:00:77:00", NULL},
		{"52:54:00:77:00:01:02", NULL},
		{"52:54:00:77:00-01", NULL},
		{"52-54:00:77:00:01", NULL},
		{"52:54:00:77:00:0g", NULL},
		{"5254.0077.0001", NULL},
		{"", NULL},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		char mac[SEAT_MAC_MAX];
		gboolean good = seat_mac_read(cases[i].text, mac);

		assert_int_equal(good, cases[i].mac != NULL);
		if (good)
			assert_string_equal(mac, cases[i].mac);
	}
}

static void test_names(void **state)
{
	static const struct {
		const char *text, *problem; /* NULL: it is one */
	} cases[] = {
		{"room-301/4", NULL},
		{"R/x.y_z-1", NULL},
		{"301호/창가-1", NULL},
		{"room/pc-1-4", NULL},
		{"room/1-x", NULL},
		{"room/1-4", "a range"},
		{"room", "cannot be"},
		{"room/", "cannot be"},
		{"/4", "cannot be"},
		{"room/4/5", "cannot be"},
		{"room/-4", "cannot be"},
		{"room/.", "cannot be"},
		{"room/a b", "cannot be"},
		{"room/a*", "cannot be"},
		{"room/a:b", "cannot be"},
		{"room/\xff", "cannot be"},
		{"room/0123456789012345678901234567890123456789", NULL},
		{"room/01234567890123456789012345678901234567890", "at most 40 bytes"},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		char name[SEAT_NAME_MAX];
		g_autofree char *problem = seat_name_read(cases[i].text, name);

		if (!cases[i].problem && problem)
			fail_msg("%s: %s", cases[i].text, problem);
		if (cases[i].problem && (!problem || !strstr(problem, cases[i].problem)))
			fail_msg("%s: %s", cases[i].text, problem);
	}
}

static void test_references(void **state)
{
	static const struct {
		const char *text, *fits; /* names, with blanks around each */
	} cases[] = {
		{"room/2", " room/2 "},
		{"room/1-3", " room/1 room/2 room/03 "},
		{"room/10-10", " room/10 "},
		{"room/*", " room/1 room/2 room/03 room/10 room/window "},
		{"r*/1", " room/1 roof/1 "},
		{"room/?", " room/1 room/2 "},
		{"52-54-00-77-00-01", " room/window "},
		{"52:54:00:77:00:02", " "},
	};
	static const char *const names[] = {
		"room/1", "room/2", "room/03", "room/10", "room/window", "roof/1", ""};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct seat_ref ref;
		g_autofree char *problem = seat_ref_read(cases[i].text, &ref);

		assert_null(problem);
		for (size_t k = 0; k < G_N_ELEMENTS(names); k++) {
			g_autofree char *word = g_strdup_printf(" %s ", names[k]);
			const char *mac = strcmp(names[k], "room/window") ? "52:54:00:77:00:99"
									  : "52:54:00:77:00:01";

			if (seat_ref_fits(&ref, mac, names[k]) !=
				(*names[k] && strstr(cases[i].fits, word)))
				fail_msg("%s and %s", cases[i].text, names[k]);
		}
	}
	static const char *const bad[] = {
		"room", "alice", "52:54", "room/4-1", "", "room/a b", "*"};
	for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
		struct seat_ref ref;
		g_autofree char *problem = seat_ref_read(bad[i], &ref);

		assert_non_null(problem);
	}
}

static void test_magic_packet(void **state)
{
	guint8 packet[WAKE_PACKET];
	static const guint8 mac[] = {0x52, 0x54, 0x00, 0xab, 0xcd, 0x0f};

	(void)state;
	wake_packet("52:54:00:ab:cd:0f", packet);
	for (size_t i = 0; i < 6; i++)
		assert_int_equal(packet[i], 0xff);
	for (size_t i = 0; i < 16; i++)
		assert_memory_equal(packet + 6 + 6 * i, mac, 6);
}

/* --- the list --- */

struct fixture {
	char *folder, *conf; /* owned */
	struct broker *broker;
};

static void open_broker(struct fixture *f)
{
	g_autoptr(GError) error = NULL;

	f->broker = broker_new(f->conf, &error);
	if (!f->broker)
		fail_msg("%s", error->message);
}

static void reopen(struct fixture *f)
{
	broker_free(f->broker);
	open_broker(f);
}

/* The configuration with such a line in [seats]. */
static void put_conf(const struct fixture *f, const char *key, const char *value)
{
	g_autofree char *text = g_strdup_printf("[network]\nclient_address = 10.77.0.1/24\n"
						"[paths]\nstate = %s\nrun = %s\n[seats]\n%s = %s\n",
		f->folder, f->folder, key, value);

	assert_true(g_file_set_contents(f->conf, text, -1, NULL));
}

static int setup(void **state)
{
	struct fixture *f = g_new0(struct fixture, 1);

	f->folder = g_dir_make_tmp("carrel-seats-XXXXXX", NULL);
	f->conf = g_build_filename(f->folder, "carrel.conf", NULL);
	put_conf(f, "unknown", "hold");
	open_broker(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	static const char *const files[] = {
		"carrel.conf", "carrel.db", "carrel.db-wal", "carrel.db-shm"};

	broker_free(f->broker);
	for (size_t i = 0; i < G_N_ELEMENTS(files); i++) {
		g_autofree char *path = g_build_filename(f->folder, files[i], NULL);

		g_unlink(path);
	}
	g_rmdir(f->folder);
	g_free(f->folder);
	g_free(f->conf);
	g_free(f);
	return 0;
}

/* The seats that a reference means, "MAC=NAME:STATE", with blanks between; or the error. */
static char *seen(struct fixture *f, const char *reference)
{
	g_autoptr(GError) error = NULL;
	json_t *references = reference ? json_pack("[s]", reference) : NULL;
	json_t *list = seats_json(f->broker->seats, references, &error);
	GString *text = g_string_new(NULL);
	size_t i;
	const json_t *item;

	json_decref(references);
	json_array_foreach (list, i, item)
		g_string_append_printf(text, "%s%s=%s:%s", i ? " " : "",
			json_string_value(json_object_get(item, "mac")) + 15,
			json_string_value(json_object_get(item, "name")),
			json_string_value(json_object_get(item, "state")));
	if (!list)
		g_string_append(text, error->message);
	json_decref(list);
	return g_string_free(text, FALSE);
}

#define assert_seen(f, reference, expected)                                                        \
	do {                                                                                       \
		g_autofree char *text_ = seen(f, reference);                                       \
		assert_string_equal(text_, expected);                                              \
	} while (0)

#define MAC(n) "52:54:00:77:00:0" #n

static void done(json_t *answer)
{
	assert_non_null(answer);
	json_decref(answer);
}

static void refused(json_t *answer, GError **error, const char *why)
{
	assert_null(answer);
	if (!strstr((*error)->message, why))
		fail_msg("%s", (*error)->message);
	g_clear_error(error);
}

static void test_named_moved_forgotten(void **state)
{
	struct fixture *f = *state;
	struct seats *s = f->broker->seats;
	GError *error = NULL;

	seats_seen(s, MAC(1), "10.77.0.101", TRUE);
	seats_seen(s, MAC(1), "10.77.0.102", FALSE);
	done(seats_name(s, MAC(1), "room/10", NULL));
	done(seats_name(s, MAC(2), "room/2", NULL));
	seats_seen(s, MAC(3), "10.77.0.103", TRUE);
	assert_seen(f, NULL, "02=room/2:known 01=room/10:known 03=:held");
	refused(seats_name(s, MAC(3), "room/2", &error), &error, "carrel seat move " MAC(3));
	refused(seats_name(s, "room/1-9", "room/7", &error), &error, "can be several");
	refused(seats_name(s, "room/77", "room/7", &error), &error, "no seat room/77");
	/* The PC was replaced: the name goes over, the former one is known still. */
	done(seats_move(s, MAC(3), "room/2", NULL));
	assert_seen(f, NULL, "03=room/2:known 01=room/10:known 02=:known");
	/* Names change places. */
	done(seats_move(s, "room/10", "room/2", NULL));
	done(seats_name(s, MAC(3), "room/10", NULL));
	assert_seen(f, NULL, "01=room/2:known 03=room/10:known 02=:known");
	/* A name that became free can be given again. */
	done(seats_name(s, "room/2", "room/5", NULL));
	done(seats_name(s, MAC(2), "room/2", NULL));
	reopen(f);
	assert_seen(f, NULL, "02=room/2:known 01=room/5:known 03=room/10:known");
	assert_seen(f, "room/1-5", "02=room/2:known 01=room/5:known");
	json_t *gone = json_pack("[s, s]", "room/5", "room/10");
	done(seats_forget(f->broker->seats, gone, NULL));
	json_decref(gone);
	assert_seen(f, "room/5", "there is no seat room/5; \"carrel seat list\" shows them");
	reopen(f);
	assert_seen(f, NULL, "02=room/2:known");
	json_t *list = seats_json(f->broker->seats, NULL, NULL);
	assert_string_equal(
		json_string_value(json_object_get(json_array_get(list, 0), "last_seen")), "");
	json_decref(list);
}

static void test_what_is_seen_is_kept(void **state)
{
	struct fixture *f = *state;

	seats_seen(f->broker->seats, MAC(1), "10.77.0.101", TRUE);
	seats_seen(f->broker->seats, MAC(1), "10.77.0.104", TRUE);
	reopen(f);
	json_t *list = seats_json(f->broker->seats, NULL, NULL);
	const json_t *seat = json_array_get(list, 0);
	assert_string_equal(json_string_value(json_object_get(seat, "address")), "10.77.0.104");
	assert_int_equal(json_integer_value(json_object_get(seat, "boots")), 2);
	assert_int_equal(json_string_length(json_object_get(seat, "first_seen")), 20);
	json_decref(list);
}

static void test_approval(void **state)
{
	struct fixture *f = *state;
	struct seats *s = f->broker->seats;
	json_t *one = json_pack("[s]", MAC(1));

	g_autofree char *stranger = seats_refusal(s, MAC(1), "10.77.0.101");
	assert_non_null(strstr(stranger, MAC(1) ", 10.77.0.101"));
	g_autofree char *nobody = seats_refusal(s, "", "10.77.0.101");
	assert_non_null(nobody);
	seats_seen(s, MAC(1), "10.77.0.101", TRUE);
	g_autofree char *waiting = seats_refusal(s, MAC(1), "10.77.0.101");
	assert_non_null(waiting);
	done(seats_approve(s, one, NULL));
	assert_null(seats_refusal(s, MAC(1), "10.77.0.101"));
	done(seats_name(s, MAC(2), "room/2", NULL));
	assert_null(seats_refusal(s, MAC(2), "10.77.0.102"));
	reopen(f);
	assert_null(seats_refusal(f->broker->seats, MAC(1), "10.77.0.101"));
	json_decref(one);
}

static json_t *one(const char *reference)
{
	return json_pack("[s]", reference);
}

static void test_orders_to_switch_off(void **state)
{
	struct fixture *f = *state;
	struct seats *s = f->broker->seats;
	json_t *first = one(MAC(1)), *nobody = one("room/7");
	GError *error = NULL;

	seats_seen(s, MAC(1), "10.77.0.101", TRUE);
	seats_seen(s, MAC(2), "10.77.0.102", TRUE);
	assert_int_equal(seats_power_wanted(s, MAC(1)), SEATS_POWER_STAY);
	assert_int_equal(seats_power_wanted(s, MAC(9)), SEATS_POWER_STAY);
	done(seats_power(s, first, SEATS_POWER_REBOOT, NULL));
	assert_int_equal(seats_power_wanted(s, MAC(1)), SEATS_POWER_REBOOT);
	assert_int_equal(seats_power_wanted(s, MAC(2)), SEATS_POWER_STAY);
	/* It asks again while it goes; once it has booted it has done so. */
	seats_seen(s, MAC(1), "10.77.0.101", FALSE);
	assert_int_equal(seats_power_wanted(s, MAC(1)), SEATS_POWER_REBOOT);
	seats_seen(s, MAC(1), "10.77.0.101", TRUE);
	assert_int_equal(seats_power_wanted(s, MAC(1)), SEATS_POWER_STAY);
	refused(seats_power(s, nobody, SEATS_POWER_OFF, &error), &error, "no seat room/7");
	/* The policy here is "never". */
	seats_session_ended(s, MAC(1));
	assert_int_equal(seats_power_wanted(s, MAC(1)), SEATS_POWER_STAY);
	json_decref(first);
	json_decref(nobody);
}

/* At the time of the day that the policy names, as the clock comes past it. */
static void test_the_night(void **state)
{
	struct fixture *f = *state;
	g_autoptr(GDateTime) now = g_date_time_new_now_local();
	g_autoptr(GDateTime) soon = g_date_time_add_hours(now, 2);
	g_autofree char *later = g_date_time_format(soon, "%H:%M");
	g_autofree char *past_time = g_date_time_format(now, "%H:%M");
	const char *const times[] = {later, past_time};
	struct seats *s = f->broker->seats;

	seats_seen(s, MAC(1), "10.77.0.101", TRUE);
	for (int past = 0; past < 2; past++) {
		put_conf(f, "power_off", times[past]);
		assert_true(broker_reload(f->broker, NULL));
		/* The clock was looked at an hour ago, and is now. */
		s->looked = g_date_time_to_unix(now) - 3600;
		assert_true(seats_on_clock(s));
		assert_int_equal(
			seats_power_wanted(s, MAC(1)), past ? SEATS_POWER_OFF : SEATS_POWER_STAY);
	}
	seats_seen(s, MAC(1), "10.77.0.101", TRUE);
	seats_on_clock(s);
	assert_int_equal(seats_power_wanted(s, MAC(1)), SEATS_POWER_STAY);
}

/* Invented addresses push each other out, and nothing else, also on the disk. */
static void test_a_flood_of_addresses(void **state)
{
	struct fixture *f = *state;
	char mac[SEAT_MAC_MAX];

	done(seats_name(f->broker->seats, MAC(1), "room/1", NULL));
	for (unsigned i = 0; i < 3 * SEATS_UNKNOWN; i++) {
		g_snprintf(mac, sizeof(mac), "02:00:00:00:%02x:%02x", i >> 8, i & 255);
		seats_seen(f->broker->seats, mac, "10.77.0.200", TRUE);
	}
	for (int again = 0; again < 2; again++) {
		json_t *list = seats_json(f->broker->seats, NULL, NULL);

		assert_int_equal(json_array_size(list), 1 + SEATS_UNKNOWN);
		json_decref(list);
		assert_seen(f, MAC(1), "01=room/1:known");
		assert_seen(f, mac, "ff=:held");
		reopen(f);
	}
	/* Those that are on the disk go from there too. */
	for (unsigned i = 0; i < SEATS_UNKNOWN; i++) {
		g_snprintf(mac, sizeof(mac), "02:00:00:01:%02x:%02x", i >> 8, i & 255);
		seats_seen(f->broker->seats, mac, "10.77.0.200", TRUE);
	}
	reopen(f);
	json_t *list = seats_json(f->broker->seats, NULL, NULL);
	assert_int_equal(json_array_size(list), 1 + SEATS_UNKNOWN);
	json_decref(list);
	assert_seen(f, "02:00:00:00:0b:ff",
		"there is no seat 02:00:00:00:0b:ff; \"carrel seat list\" shows them");
}

static json_t *import(struct fixture *f, gboolean dry_run, const char *rows, GError **error)
{
	json_t *list = json_loads(rows, 0, NULL);
	json_t *answer = seats_import(f->broker->seats, list, dry_run, error);

	assert_non_null(list);
	json_decref(list);
	return answer;
}

static void test_import(void **state)
{
	struct fixture *f = *state;
	static const char rows[] = "[{\"line\":2,\"mac\":\"" MAC(
		1) "\",\"name\":\"room/1\"},"
		   " {\"line\":3,\"mac\":\"52-54-00-77-00-02\",\"name\":\"room/2\"}]";
	static const char swapped[] = "[{\"line\":2,\"mac\":\"" MAC(
		1) "\",\"name\":\"room/2\"},"
		   " {\"line\":3,\"mac\":\"" MAC(2) "\",\"name\":\"room/1\"}]";
	static const struct {
		const char *rows, *why;
	} bad[] = {
		{"[{\"line\":2,\"mac\":\"" MAC(
			 3) "\",\"name\":\"room/3\"},"
			    " {\"line\":7,\"mac\":\"zz\",\"name\":\"room/4\"}]",
			"line 7: \"zz\" is no MAC address"},
		{"[{\"line\":2,\"mac\":\"" MAC(3) "\",\"name\":\"room 3\"}]",
			"line 2: \"room 3\" cannot be"},
		{"[{\"line\":2,\"mac\":\"" MAC(3) "\",\"name\":\"room/3\"},"
						  " {\"line\":3,\"mac\":\"" MAC(
							  3) "\",\"name\":\"room/4\"}]",
			"line 3: " MAC(3) " is in line 2 already"},
		{"[{\"mac\":\"" MAC(3) "\",\"name\":\"room/3\"},"
				       " {\"mac\":\"" MAC(4) "\",\"name\":\"room/3\"}]",
			"line 2: room/3 is in line 1 already"},
		{"[{\"line\":5,\"mac\":\"" MAC(3) "\",\"name\":\"room/1\"}]",
			"line 5: room/1 is the name of " MAC(2) ", which is not in the file"},
		{"[7]", "line 1: \"\" is no MAC address"},
	};

	done(import(f, TRUE, rows, NULL));
	assert_seen(f, NULL, "");
	json_t *answer = import(f, FALSE, rows, NULL);
	assert_int_equal(json_integer_value(json_object_get(answer, "added")), 2);
	json_decref(answer);
	assert_seen(f, NULL, "01=room/1:known 02=room/2:known");
	done(import(f, FALSE, swapped, NULL));
	assert_seen(f, NULL, "02=room/1:known 01=room/2:known");
	for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
		GError *error = NULL;

		refused(import(f, FALSE, bad[i].rows, &error), &error, bad[i].why);
		assert_seen(f, NULL, "02=room/1:known 01=room/2:known");
	}
}

static void test_members_are_found_by_name(void **state)
{
	struct fixture *f = *state;
	json_t *members = json_pack("[s, s, s, s]", "alice", "52:54:*", "room/1-9", "room/1");
	json_t *resolved;

	done(seats_name(f->broker->seats, MAC(1), "room/1", NULL));
	done(seats_name(f->broker->seats, MAC(2), "hall/1", NULL));
	resolved = seats_resolve(f->broker->seats, members);
	json_t *expected = json_pack("[s, s, s]", "alice", "52:54:*", MAC(1));
	assert_true(json_equal(resolved, expected));
	json_decref(resolved);
	json_decref(expected);
	json_decref(members);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mac_addresses),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_references),
		cmocka_unit_test(test_magic_packet),
		cmocka_unit_test_setup_teardown(test_named_moved_forgotten, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_is_seen_is_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(test_approval, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_flood_of_addresses, setup, teardown),
		cmocka_unit_test_setup_teardown(test_orders_to_switch_off, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_night, setup, teardown),
		cmocka_unit_test_setup_teardown(test_import, setup, teardown),
		cmocka_unit_test_setup_teardown(test_members_are_found_by_name, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
