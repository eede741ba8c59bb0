/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sections of EFI programs, good ones and such as lie about where they are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "bootserver/pe.h"

#define PE 0x80
#define OPTIONAL (PE + 24)
#define OPTIONAL_SIZE 240
#define SECTIONS (OPTIONAL + OPTIONAL_SIZE)
#define CONTENTS 0x200

static guint8 program[CONTENTS + 64];

static void put(gsize at, guint64 value, int bytes)
{
	for (int i = 0; i < bytes; i++)
		program[at + (gsize)i] = (guint8)(value >> 8 * i);
}

static void put_section(int i, const char *name, guint64 address, guint64 used, guint64 in_file)
{
	gsize at = SECTIONS + (gsize)i * 40;
	memset(program + at, 0, 40);
	memcpy(program + at, name, strlen(name));
	put(at + 8, used, 4);
	put(at + 12, address, 4);
	put(at + 16, in_file, 4);
	put(at + 20, CONTENTS, 4);
}

/* Two sections; the first in the table is the last in memory. */
static int make(void **state)
{
	(void)state;
	memset(program, 0, sizeof program);
	memcpy(program, "MZ", 2);
	put(0x3c, PE, 4);
	memcpy(program + PE, "PE\0\0", 4);
	put(PE + 4, 0x8664, 2);
	put(PE + 6, 2, 2);
	put(PE + 20, OPTIONAL_SIZE, 2);
	put(OPTIONAL, 0x20b, 2);
	put(OPTIONAL + 24, 0x140000000, 8);
	put(OPTIONAL + 32, 0x1000, 4);
	put_section(0, ".sdmagic", 0x7000, 9, 64);
	put_section(1, ".text", 0x1000, 0x5000, 64);
	memcpy(program + CONTENTS, "the magic", 9);
	return 0;
}

static void test_good(void **state)
{
	guint64 address, alignment;
	gsize size;
	(void)state;
	assert_true(pe_free_address(program, sizeof program, &address, &alignment));
	assert_int_equal(address, 0x140007000 + 64);
	assert_int_equal(alignment, 0x1000);
	const guint8 *found = pe_section(program, sizeof program, ".sdmagic", &size);
	assert_ptr_equal(found, program + CONTENTS);
	assert_int_equal(size, 9);
	assert_null(pe_section(program, sizeof program, ".sdmagi", &size));
	assert_null(pe_section(program, sizeof program, ".sdmagic1", &size));
	assert_null(pe_section(program, sizeof program, ".linux", &size));
}

/* What says that it is longer than the file is not believed. */
static void test_sections_beyond_the_file(void **state)
{
	gsize size;
	(void)state;
	assert_null(
		pe_section(program, sizeof program, ".text", &size)); /* more than in the file */
	put_section(1, ".text", 0x1000, 65, 65);
	assert_null(pe_section(program, sizeof program, ".text", &size));
	put_section(1, ".text", 0x1000, 64, 64);
	assert_non_null(pe_section(program, sizeof program, ".text", &size));
	put(SECTIONS + 40 + 20, 0xffffffff, 4);
	assert_null(pe_section(program, sizeof program, ".text", &size));
}

static void test_other_programs(void **state)
{
	static const struct {
		gsize at;
		guint64 value;
		int bytes;
	} spoilt[] = {{0, 'X', 1}, {0x3c, 0xffffffff, 4}, {0x3c, CONTENTS, 4}, {PE, 0, 1},
		{PE + 4, 0xaa64, 2}, {PE + 6, 0xffff, 2}, {PE + 20, 0xffff, 2},
		{OPTIONAL, 0x10b, 2}, {OPTIONAL + 24, G_MAXUINT64, 8}, {OPTIONAL + 32, 0, 4},
		{OPTIONAL + 32, 0x1800, 4}};
	guint64 address, alignment;
	gsize size;
	(void)state;
	for (gsize i = 0; i < G_N_ELEMENTS(spoilt); i++) {
		make(NULL);
		put(spoilt[i].at, spoilt[i].value, spoilt[i].bytes);
		assert_false(pe_free_address(program, sizeof program, &address, &alignment));
		assert_null(pe_section(program, sizeof program, ".sdmagic", &size));
	}
	make(NULL);
	put(PE + 6, 0, 2);
	assert_false(pe_free_address(program, sizeof program, &address, &alignment));
	for (gsize length = 0; length < SECTIONS + 80; length++) {
		make(NULL);
		assert_false(pe_free_address(program, length, &address, &alignment));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test_setup(test_good, make),
		cmocka_unit_test_setup(test_sections_beyond_the_file, make),
		cmocka_unit_test_setup(test_other_programs, make)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
