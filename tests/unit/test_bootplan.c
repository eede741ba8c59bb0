/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The boot plan: what is written is read as it was; what should not be in it is refused. */
#include "images/store/bootplan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define A "52:54:00:77:00:01"
#define B "52:54:00:77:00:02"
#define C "52:54:00:77:00:03"

static void add(struct bootplan *plan, const char *mac, guint version, const char *kernel)
{
	struct bootplan_seat seat = {.version = version};

	g_strlcpy(seat.mac, mac, sizeof(seat.mac));
	g_strlcpy(seat.kernel, kernel, sizeof(seat.kernel));
	g_array_append_val(plan->seats, seat);
}

static void test_there_and_back(void **state)
{
	struct bootplan *plan = bootplan_new("client", "20260301.1"), *again;

	(void)state;
	g_ptr_array_add(plan->versions, g_strdup("20260401.1"));
	add(plan, C, 1, "");
	add(plan, A, 0, "nomodeset video=HDMI-A-1:1920x1080@60");
	add(plan, B, 1, "");
	g_autofree char *text = bootplan_text(plan);
	again = bootplan_parse(text, strlen(text), NULL);
	assert_non_null(again);
	g_autofree char *second = bootplan_text(again);
	assert_string_equal(text, second);
	assert_int_equal(again->seats->len, 3);
	assert_string_equal(g_array_index(again->seats, struct bootplan_seat, 0).mac, A);
	g_autoptr(GArray) variants = bootplan_variants(again);
	assert_int_equal(variants->len, 2);
	for (guint i = 0; i < 3; i++)
		assert_int_equal(bootplan_variant_of(variants,
					 &g_array_index(again->seats, struct bootplan_seat, i)),
			i ? 1 : 0);
	assert_int_equal(bootplan_variant_of(variants, &(struct bootplan_seat){.mac = A}), -1);
	bootplan_free(again);
	bootplan_free(plan);
	bootplan_free(NULL);
}

static void test_options(void **state)
{
	static const char *const good[] = {"", "nomodeset", "acpi=off pci=noacpi,nommconf",
		"video=DP-1:1920x1080@60 i915.enable_psr=0", "libata.force=1.5Gbps", "vga=791",
		"acpi_osi=!Windows", "usbhid.quirks=0x1:0x2:0x4"};
	static const char *const bad[] = {"root=/dev/sda", "carrel.sha256=0", "ip=dhcp",
		"init=/bin/sh", "rdinit=/x", "nomodeset=1", "acpi", "acpi=", " nomodeset",
		"nomodeset ", "nomodeset  quiet", "acpi=\"off\"", "acpi=a\tb", "i915.=1", "i915.x",
		"dm_verity.x=1", "i915.a-b=1", "BOOTIF=01", "--", "systemd.unit=x", "acpi=o\n",
		"quiet quiet quiet quiet quiet quiet quiet quiet quiet"};
	g_autofree char *longest = g_strnfill(BOOTPLAN_KERNEL_MAX, 'a');

	(void)state;
	for (gsize i = 0; i < G_N_ELEMENTS(good); i++)
		assert_true(bootplan_kernel_check(good[i], NULL));
	for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
		g_autoptr(GError) error = NULL;

		assert_false(bootplan_kernel_check(bad[i], &error));
		assert_true(g_error_matches(error, BOOTPLAN_ERROR, BOOTPLAN_ERROR_INVALID));
		assert_non_null(strstr(error->message, "allowed are"));
	}
	assert_false(bootplan_kernel_check(longest, NULL));
}

#define HEAD "{\"image\":\"client\",\"versions\":[\"20260301.1\"],\"seats\":["
#define SEAT(mac, version, kernel)                                                                 \
	"{\"mac\":\"" mac "\",\"version\":\"" version "\",\"kernel\":\"" kernel "\"}"
#define FOOT "]}"

static void test_refused(void **state)
{
	static const char *const bad[] = {"", "[]", "null", HEAD, HEAD FOOT "x",
		HEAD SEAT("52:54:00:77:00:0A", "20260301.1", "") FOOT,
		HEAD SEAT("52:54:00:77:00:01/..", "20260301.1", "") FOOT,
		HEAD SEAT(A, "20260301.2", "") FOOT, HEAD SEAT(A, "20260301.1", "init=/x") FOOT,
		HEAD SEAT(A, "20260301.1", "a\\u0000b") FOOT,
		HEAD SEAT(B, "20260301.1", "") "," SEAT(A, "20260301.1", "") FOOT,
		HEAD SEAT(A, "20260301.1", "") "," SEAT(A, "20260301.1", "") FOOT,
		HEAD "{\"mac\":\"" A "\"}" FOOT, HEAD "1" FOOT,
		"{\"image\":\"client\",\"versions\":[],\"seats\":[]}",
		"{\"image\":\"client\",\"versions\":[\"../x\"],\"seats\":[]}",
		"{\"image\":\"client\",\"versions\":[\"20260301.1\",\"20260301.1\"],\"seats\":[]}",
		"{\"image\":\"client\",\"versions\":[\"20260301.1\",\"20260301.2\",\"20260301.3\"],"
		"\"seats\":[]}",
		"{\"image\":\"../x\",\"versions\":[\"20260301.1\"],\"seats\":[]}",
		"{\"image\":\"client\",\"versions\":[\"20260301.1\"],\"seats\":[],\"more\":1}"};

	(void)state;
	for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
		g_autoptr(GError) error = NULL;

		assert_null(bootplan_parse(bad[i], strlen(bad[i]), &error));
		assert_non_null(error);
	}
	struct bootplan *plan = bootplan_parse(HEAD FOOT, strlen(HEAD FOOT), NULL);
	assert_non_null(plan);
	bootplan_free(plan);
}

/* More boot programs than the boot server is to make. */
static void test_too_many_variants(void **state)
{
	(void)state;
	for (guint count = 8; count <= 18; count += 10) {
		struct bootplan *plan = bootplan_new("client", "20260301.1");

		for (guint i = 0; i < count; i++) {
			g_autofree char *mac = g_strdup_printf("52:54:00:77:00:%02x", i);
			g_autofree char *kernel = g_strdup_printf("loglevel=%u", i);

			add(plan, mac, 0, kernel);
		}
		g_autofree char *text = bootplan_text(plan);
		struct bootplan *read = bootplan_parse(text, strlen(text), NULL);
		assert_int_equal(read != NULL, count == 8);
		bootplan_free(read);
		bootplan_free(plan);
	}
}

static void test_answer(void **state)
{
	g_autofree char *good = bootplan_answer("ab12", ""),
			*bad = bootplan_answer("ab12", "one\ntwo");

	(void)state;
	assert_string_equal(good, "ab12 \n");
	assert_string_equal(bad, "ab12 one two\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_options), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_too_many_variants), cmocka_unit_test(test_answer)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
