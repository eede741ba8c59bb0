/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is decided about versions of images, and what is read of them, without a disk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "images/store/gc.h"
#include "images/store/guest_file.h"
#include "images/store/image.h"
#include "images/store/packages.h"
#include "images/store/pins.h"
#include "images/store/tar.h"
#include "images/store/versions.h"

#define SUM "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define OTHER "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"

static void test_order_of_versions(void **state)
{
	static const char *const rising[] = {
		"20251231.9999", "20260101.1", "20260101.2", "20260101.10", "20260102.1"};

	(void)state;
	for (int a = 0; a < (int)G_N_ELEMENTS(rising); a++)
		for (int b = 0; b < (int)G_N_ELEMENTS(rising); b++) {
			int order = version_compare(rising[a], rising[b]);

			assert_int_equal((order > 0) - (order < 0), (a > b) - (a < b));
		}
}

static void test_names_of_versions(void **state)
{
	static const char *const bad[] = {"", "@", "a@", "@20260101.1", "a@b", "../a", "a/b",
		"a@20260101.1@", "a@20260101.1/..", "A", "a@current", "a@20260101.1\n"};
	char *name, *version;

	(void)state;
	assert_true(version_split("desktop-lite", &name, &version, NULL));
	assert_string_equal(name, "desktop-lite");
	assert_null(version);
	g_free(name);
	assert_true(version_split("a@20260101.12", &name, &version, NULL));
	assert_string_equal(name, "a");
	assert_string_equal(version, "20260101.12");
	g_free(name);
	g_free(version);
	for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
		g_autoptr(GError) error = NULL;

		assert_false(version_split(bad[i], &name, &version, &error));
		assert_non_null(strstr(error->message, "NAME@YYYYMMDD.N"));
		assert_null(name);
		assert_null(version);
	}
}

static GPtrArray *packages(const char *text, GError **error)
{
	return packages_parse(text, strlen(text), error);
}

static void test_lock(void **state)
{
	static const char text[] =
		SUM " 120 zlib1g_1%3a1.2.13.dfsg-1_amd64.deb http://deb/z.deb\n" OTHER
		    " 7 libstdc++6_12.2.0-14+deb12u1_amd64.deb http://deb/l.deb\n";
	g_autoptr(GError) error = NULL;
	g_autoptr(GPtrArray) list = packages(text, &error);
	const struct package *package;

	(void)state;
	assert_non_null(list);
	assert_int_equal(list->len, 2);
	package = list->pdata[0];
	assert_string_equal(package->name, "libstdc++6");
	assert_string_equal(package->version, "12.2.0-14+deb12u1");
	assert_string_equal(package->arch, "amd64");
	assert_string_equal(package->sha256, OTHER);
	assert_int_equal(package->size, 7);
	package = list->pdata[1];
	assert_string_equal(package->version, "1:1.2.13.dfsg-1");
	g_autoptr(GPtrArray) none = packages("", &error);
	assert_int_equal(none->len, 0);
}

static void test_bad_locks(void **state)
{
	static const char good[] = SUM " 1 a_1_all.deb file:a\n";
	static const char *const bad[] = {"\n", SUM "\n", SUM " 1 a_1_all.deb\n",
		SUM " 1 a_1_all.deb file:a b\n", SUM " 0 a_1_all.deb file:a\n",
		SUM " -1 a_1_all.deb file:a\n", SUM " 1 a_1.deb file:a\n",
		SUM " 1 a_1_all file:a\n", SUM " 1 a_1_all_x.deb file:a\n",
		SUM " 1 ../a_1_all.deb file:a\n", SUM " 1 a_%0a_all.deb file:a\n",
		SUM " 1 a_1%00_all.deb file:a\n", SUM " 1 a_1%zz_all.deb file:a\n",
		SUM " 1 A_1_all.deb file:a\n", SUM "0 1 a_1_all.deb file:a\n",
		SUM " 99999999999999999999 a_1_all.deb file:a\n"};

	(void)state;
	for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
		g_autofree char *text = g_strconcat(good, bad[i], NULL);
		g_autoptr(GError) error = NULL;

		assert_null(packages(text, &error));
		assert_int_equal(error->code, IMAGE_ERROR_BAD);
		assert_non_null(strstr(error->message, "line 2"));
	}
	g_autoptr(GError) error = NULL;
	g_autofree char *twice = g_strconcat(good, good, NULL);
	assert_null(packages(twice, &error));
	assert_non_null(strstr(error->message, "twice"));
	assert_null(packages_parse("a\0b\n", 4, NULL));
}

static void test_changes_of_packages(void **state)
{
	g_autoptr(GPtrArray) before =
		packages(SUM " 1 a_1_all.deb f:\n" SUM " 1 gone_1_all.deb f:\n" SUM
			     " 1 new_1_all.deb f:\n" SUM " 1 same_1_all.deb f:\n",
			NULL);
	g_autoptr(GPtrArray) after =
		packages(SUM " 1 same_1_all.deb f:\n" OTHER " 1 new_1_all.deb f:\n" OTHER
			     " 1 a_2_all.deb f:\n" SUM " 1 z_1_all.deb f:\n",
			NULL);
	g_autoptr(GArray) changes = packages_compare(before, after);
	static const char *const expected[][2] = {
		{"a", "a"}, {"gone", NULL}, {"new", "new"}, {NULL, "z"}};

	(void)state;
	assert_int_equal(changes->len, G_N_ELEMENTS(expected));
	for (guint i = 0; i < changes->len; i++) {
		const struct package_change *change =
			&g_array_index(changes, struct package_change, i);

		assert_int_equal(
			g_strcmp0(change->before ? change->before->name : NULL, expected[i][0]), 0);
		assert_int_equal(
			g_strcmp0(change->after ? change->after->name : NULL, expected[i][1]), 0);
	}
	g_autoptr(GArray) none = packages_compare(after, after);
	assert_int_equal(none->len, 0);
}

static void test_usage(void **state)
{
	static const char *const bad[] = {"{}", "{\"keep\":[]}", "{\"channels\":{}}",
		"{\"keep\":{},\"channels\":{}}", "{\"keep\":[],\"channels\":[]}", "[]"};
	json_t *answer =
		json_loads("{\"keep\":[\"a@20260101.1\",\"a@20260101.2\"],"
			   "\"channels\":{\"stable\":\"a@20260101.2\",\"testing\":\"\","
			   "\"previous\":\"a@20260101.3\"},\"clients\":{\"channels\":{\"stable\":"
			   "\"c@20260101.1\",\"testing\":\"\",\"previous\":\"\"},"
			   "\"rollout\":{\"image\":\"c@20260101.2\"}}}",
			0, NULL);
	g_autoptr(GHashTable) usage = gc_usage(answer, NULL);

	(void)state;
	json_decref(answer);
	assert_int_equal(g_hash_table_size(usage), 5);
	assert_string_equal(g_hash_table_lookup(usage, "c@20260101.1"), "stable");
	assert_string_equal(g_hash_table_lookup(usage, "c@20260101.2"), "in use");
	assert_string_equal(g_hash_table_lookup(usage, "a@20260101.1"), "in use");
	assert_string_equal(g_hash_table_lookup(usage, "a@20260101.2"), "stable");
	assert_string_equal(g_hash_table_lookup(usage, "a@20260101.3"), "previous");
	for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
		g_autoptr(GError) error = NULL;

		answer = json_loads(bad[i], 0, NULL);
		assert_null(gc_usage(answer, &error));
		assert_non_null(error);
		json_decref(answer);
	}
}

/* Each line: version, current, pinned; and why it stays with `keep`, in use being 20260101.1. */
static void test_decision(void **state)
{
	static const struct {
		guint keep;
		gboolean known;
		const char *why[6];
	} cases[] = {
		{3, TRUE, {"in use", NULL, "pinned", "current", "newest", "newest"}},
		{3, FALSE, {NULL, NULL, "pinned", "current", "newest", "newest"}},
		{1, TRUE, {"in use", NULL, "pinned", "current", NULL, "newest"}},
		{0, TRUE, {"in use", NULL, "pinned", "current", NULL, NULL}},
		{9, FALSE, {"newest", "newest", "pinned", "current", "newest", "newest"}},
	};
	g_autoptr(GHashTable) usage = g_hash_table_new(g_str_hash, g_str_equal);

	(void)state;
	g_hash_table_insert(usage, (char *)"a@20260101.1", (char *)"in use");
	for (gsize c = 0; c < G_N_ELEMENTS(cases); c++) {
		struct gc_version own[7] = {{(char *)"a", (char *)"20260101.1", 0, 0, 1, NULL},
			{(char *)"a", (char *)"20260101.2", 0, 0, 1, NULL},
			{(char *)"a", (char *)"20260101.3", 0, 1, 1, NULL},
			{(char *)"a", (char *)"20260101.4", 1, 0, 1, NULL},
			{(char *)"a", (char *)"20260101.9", 0, 0, 1, NULL},
			{(char *)"a", (char *)"20260101.10", 0, 0, 1, NULL},
			/* another image's versions have ranks of their own */
			{(char *)"b", (char *)"20250101.1", 0, 0, 1, NULL}};
		struct gc_version *list[7];

		for (int i = 0; i < 7; i++)
			list[6 - i] = &own[i];
		gc_decide(list, 7, cases[c].known ? usage : NULL, cases[c].keep);
		for (int i = 0; i < 6; i++)
			assert_int_equal(g_strcmp0(own[i].why, cases[c].why[i]), 0);
		assert_int_equal(g_strcmp0(own[6].why, cases[c].keep ? "newest" : NULL), 0);
	}
}

static void test_pins(void **state)
{
	static const char good[] = "{\"20260101.1\":{\"reason\":\"exam\",\"since\":\"x\"}}";
	static const char *const bad[] = {"", "[]", "{", "{\"a\":{\"reason\":\"\"}}",
		"{\"20260101.1\":{}}", "{\"20260101.1\":\"exam\"}", "{\"20260101.1\":null}"};
	json_t *pins = pins_parse(good, strlen(good), NULL);

	(void)state;
	assert_non_null(json_object_get(pins, "20260101.1"));
	json_decref(pins);
	for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
		g_autoptr(GError) error = NULL;

		assert_null(pins_parse(bad[i], strlen(bad[i]), &error));
		assert_non_null(error);
	}
}

static void test_tar_round(void **state)
{
	static const guint64 sizes[] = {0, 1, 511, 512, 8589934591, 8589934592, G_MAXINT64 / 2};
	struct tar_member member;
	guint8 block[TAR_BLOCK];

	(void)state;
	for (gsize i = 0; i < G_N_ELEMENTS(sizes); i++) {
		tar_header(block, "root.erofs", sizes[i]);
		assert_false(tar_is_end(block));
		assert_true(tar_read(block, &member, NULL));
		assert_string_equal(member.name, "root.erofs");
		assert_int_equal(member.size, sizes[i]);
		assert_int_equal((sizes[i] + tar_padding(sizes[i])) % TAR_BLOCK, 0);
	}
	memset(block, 0, sizeof(block));
	assert_true(tar_is_end(block));
	assert_false(tar_read(block, &member, NULL));
}

/* Every bit of a header counts for something, or the checksum has it. */
static void test_tar_flips(void **state)
{
	guint8 block[TAR_BLOCK];
	struct tar_member member;

	(void)state;
	tar_header(block, "initrd", 4711);
	for (guint bit = 0; bit < TAR_BLOCK * 8; bit++) {
		block[bit / 8] ^= (guint8)(1 << bit % 8);
		if (tar_read(block, &member, NULL)) {
			/* leading blanks or the end of the checksum's own field */
			assert_true(bit / 8 >= 148 && bit / 8 < 156);
			assert_string_equal(member.name, "initrd");
			assert_int_equal(member.size, 4711);
		}
		block[bit / 8] ^= (guint8)(1 << bit % 8);
	}
}

static void resum(guint8 *block)
{
	guint sum = 0;

	memset(block + 148, ' ', 8);
	for (guint i = 0; i < TAR_BLOCK; i++)
		sum += block[i];
	g_snprintf((char *)block + 148, 8, "%06o", sum);
}

static void test_tar_refuses(void **state)
{
	static const struct {
		guint at;
		const char *text, *word;
	} bad[] = {{0, "../initrd", "unsafe"}, {0, "/initrd", "unsafe"}, {0, ".hidden", "unsafe"},
		{0, "a/b", "unsafe"}, {0, "a\nb", "unsafe"}, {156, "1", "no plain file"},
		{156, "2", "no plain file"}, {156, "5", "no plain file"},
		{156, "L", "no plain file"}, {156, "x", "no plain file"},
		{157, "/etc/passwd", "no plain file"}, {345, "etc", "unsafe"},
		{124, "-0000000001", "size"}, {124, "99999999999", "size"},
		{124, "\200\1", "size"}};

	(void)state;
	for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
		guint8 block[TAR_BLOCK];
		struct tar_member member;
		g_autoptr(GError) error = NULL;

		tar_header(block, "initrd", 4711);
		memcpy(block + bad[i].at, bad[i].text, strlen(bad[i].text));
		resum(block);
		assert_false(tar_read(block, &member, &error));
		assert_non_null(strstr(error->message, bad[i].word));
	}
}

/* What each format can name of other files, or is not; `at` and `bytes` change a good head. */
static void test_heads_of_guests(void **state)
{
	static const struct {
		enum guest_format format;
		int at, byte;
		const char *word; /* NULL: it is good */
	} heads[] = {{GUEST_QCOW2, -1, 0, NULL}, {GUEST_QCOW2, 0, 'X', "no qcow2"},
		{GUEST_QCOW2, 7, 4, "version 2 or 3"}, {GUEST_QCOW2, 15, 1, "backing file"},
		{GUEST_QCOW2, 8, 1, "backing file"}, {GUEST_QCOW2, 35, 2, "encrypted"},
		{GUEST_QCOW2, 79, 4, "external data"}, {GUEST_QCOW2, 79, 2, "damaged"},
		{GUEST_QCOW2, 79, 1, NULL}, {GUEST_VMDK, -1, 0, NULL},
		{GUEST_VMDK, 12, 0, "other files"}, {GUEST_VMDK, 0, 'C', "one piece"},
		{GUEST_VHDX, -1, 0, NULL}, {GUEST_VHDX, 3, 0, "no VHDX"}, {GUEST_RAW, -1, 0, NULL}};

	(void)state;
	for (gsize i = 0; i < G_N_ELEMENTS(heads); i++) {
		static const char *const begins[] = {"MZ", "QFI\xfb\0\0\0\3", "KDMV", "vhdxfile"};
		guint8 head[GUEST_HEAD] = {0};
		g_autoptr(GError) error = NULL;

		memcpy(head, begins[heads[i].format],
			heads[i].format == GUEST_RAW    ? 2
			: heads[i].format == GUEST_VMDK ? 4
							: 8);
		if (heads[i].format == GUEST_VMDK)
			head[12] = 1;
		if (heads[i].at >= 0)
			head[heads[i].at] = (guint8)heads[i].byte;
		assert_int_equal(guest_head_check(heads[i].format, head, sizeof(head), &error),
			!heads[i].word);
		assert_true(!error == !heads[i].word &&
			    (!error || strstr(error->message, heads[i].word)));
		/* a raw disk is none of the others */
		if (heads[i].format != GUEST_RAW && heads[i].at < 0)
			assert_false(guest_head_check(GUEST_RAW, head, sizeof(head), NULL));
		assert_false(guest_head_check(heads[i].format, head, 7, NULL));
	}
}

static void test_words_of_qemu_img(void **state)
{
	static const struct {
		const char *text, *word;
	} answers[] = {{"{\"format\":\"qcow2\",\"virtual-size\":1024}", NULL},
		{"[]", "nothing of use"},
		{"{\"format\":\"raw\",\"virtual-size\":1024}", "another format"},
		{"{\"format\":\"qcow2\",\"virtual-size\":0}", "empty"},
		{"{\"format\":\"qcow2\",\"virtual-size\":4398046511105}", "4 TiB"},
		{"{\"format\":\"qcow2\",\"virtual-size\":1,\"backing-filename\":\"x\"}", "backing"},
		{"{\"format\":\"qcow2\",\"virtual-size\":1,\"encrypted\":true}", "encrypted"},
		{"{\"format\":\"qcow2\",\"virtual-size\":1,\"format-specific\":{\"data\":"
		 "{\"data-file\":\"x\"}}}",
			"external data"},
		{"{\"format\":\"qcow2\",\"virtual-size\":1,\"format-specific\":{\"data\":"
		 "{\"corrupt\":true}}}",
			"damaged"}};

	(void)state;
	for (gsize i = 0; i < G_N_ELEMENTS(answers); i++) {
		g_autoptr(GError) error = NULL;
		guint64 size = 0;

		assert_int_equal(guest_info_check(GUEST_QCOW2, answers[i].text,
					 strlen(answers[i].text), &size, &error),
			!answers[i].word);
		assert_true(error ? strstr(error->message, answers[i].word) != NULL : size == 1024);
	}
	assert_int_equal(guest_format_of("/x/Win.QCOW2"), GUEST_QCOW2);
	assert_int_equal(guest_format_of("win.tar"), GUEST_FORMAT_COUNT);
	assert_int_equal(guest_format_of("raw"), GUEST_FORMAT_COUNT);
	assert_true(guest_percent("    (0.00/100%)\r    (12.50/100%)\r    (13.") == 12.5);
	assert_true(guest_percent("") == -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order_of_versions),
		cmocka_unit_test(test_names_of_versions),
		cmocka_unit_test(test_lock),
		cmocka_unit_test(test_bad_locks),
		cmocka_unit_test(test_changes_of_packages),
		cmocka_unit_test(test_usage),
		cmocka_unit_test(test_decision),
		cmocka_unit_test(test_pins),
		cmocka_unit_test(test_tar_round),
		cmocka_unit_test(test_tar_flips),
		cmocka_unit_test(test_tar_refuses),
		cmocka_unit_test(test_heads_of_guests),
		cmocka_unit_test(test_words_of_qemu_img),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
