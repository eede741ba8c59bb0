/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Keys, Korean, the form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "sdl-viewer/app/utf8.h"
#include "sdl-viewer/input/keys.h"
#include "sdl-viewer/input/typing.h"
#include "sdl-viewer/ui/form.h"

static void keys_are_named_once(void **unused)
{
	unsigned count;
	const struct key *keys = key_table(&count);

	(void)unused;
	for (unsigned i = 0; i < count; i++)
		for (unsigned j = i + 1; j < count; j++) {
			assert_int_not_equal(keys[i].evdev, keys[j].evdev);
			assert_int_not_equal(keys[i].scancode, keys[j].scancode);
			assert_int_not_equal(keys[i].number, keys[j].number);
		}
	/* The first rows of evdev codes are the PC XT codes themselves. */
	for (unsigned i = 0; i < count; i++)
		if (keys[i].evdev <= 0x53)
			assert_int_equal(keys[i].evdev, keys[i].number);
	assert_int_equal(key_by_evdev(122)->number, 0x72);
	assert_int_equal(key_by_evdev(123)->number, 0x71);
	assert_int_equal(key_by_scancode(SDL_SCANCODE_RALT)->number, 0xb8);
	assert_int_equal(key_by_scancode(SDL_SCANCODE_RCTRL)->number, 0x9d);
	assert_null(key_by_evdev(0x2ff));
}

static void layout_is_us(void **unused)
{
	(void)unused;
	assert_int_equal(key_character(SDL_SCANCODE_A, 0, 0), 'a');
	assert_int_equal(key_character(SDL_SCANCODE_A, MODIFIER_SHIFT, 0), 'A');
	assert_int_equal(key_character(SDL_SCANCODE_A, 0, 1), 'A');
	assert_int_equal(key_character(SDL_SCANCODE_A, MODIFIER_SHIFT, 1), 'a');
	assert_int_equal(key_character(SDL_SCANCODE_2, 0, 1), '2');
	assert_int_equal(key_character(SDL_SCANCODE_2, MODIFIER_SHIFT, 0), '@');
	assert_int_equal(key_character(SDL_SCANCODE_MINUS, MODIFIER_SHIFT, 0), '_');
	assert_int_equal(key_character(SDL_SCANCODE_KP_7, 0, 0), '7');
	assert_int_equal(key_character(SDL_SCANCODE_KP_MULTIPLY, 0, 0), '*');
	assert_int_equal(key_character(SDL_SCANCODE_SPACE, 0, 0), ' ');
	assert_int_equal(key_character(SDL_SCANCODE_RETURN, 0, 0), 0);
	assert_int_equal(key_character(SDL_SCANCODE_F1, 0, 0), 0);
}

/* Types letters in Korean; '<' is Backspace. */
static void type_korean(const char *letters, const char *expected)
{
	struct hangul hangul;
	char text[256] = "", one[5];

	hangul_reset(&hangul);
	for (const char *p = letters; *p; p++) {
		if (*p == '<') {
			if (!hangul_backspace(&hangul))
				text[utf8_prev(text, strlen(text))] = 0;
			continue;
		}
		utf8_write(hangul_type(&hangul, *p), one);
		strcat(text, one);
	}
	utf8_write(hangul_finish(&hangul), one);
	strcat(text, one);
	assert_string_equal(text, expected);
}

static void korean_syllables(void **unused)
{
	(void)unused;
	type_korean("gksrmf", "한글");
	type_korean("dkssudgktpdy", "안녕하세요");
	type_korean("rhkdwkd", "광장"); /* compound vowel, final */
	type_korean("ekfr", "닭");      /* compound final */
	type_korean("ekfrdl", "닭이");
	type_korean("ekfrl", "달기"); /* its last letter moves on */
	type_korean("dlTek", "있다"); /* doubled final by shift */
	type_korean("Qkd", "빵");
	type_korean("QkE", "빠ㄸ"); /* tt is never a final */
	type_korean("ghkfehd", "활동");
	type_korean("dmltk", "의사");
	type_korean("RRR", "ㄲㄲㄲ");
	type_korean("kkk", "ㅏㅏㅏ");
	type_korean("rkk", "가ㅏ");
	type_korean("hk", "ㅘ");
	type_korean("AKSF", "만ㄹ"); /* shift without a second meaning */
	type_korean("dnjfrmq", "월급");
	type_korean("dhOP", "오ㅒㅖ");
}

static void korean_backspace_by_steps(void **unused)
{
	(void)unused;
	type_korean("ekfr<", "달");
	type_korean("ekfr<<", "다");
	type_korean("ekfr<<<", "ㄷ");
	type_korean("ekfr<<<<", "");
	type_korean("rhk<", "고");
	type_korean("rkskek<<", "가나");
	type_korean("rkskek<<<", "가");
}

static void typing_switches(void **unused)
{
	struct typing typing = {.korean = false};
	struct typing_result result;

	(void)unused;
	typing_reset(&typing);
	typing_key(&typing, SDL_SCANCODE_A, 0, false, &result);
	assert_string_equal(result.text, "a");
	typing_key(&typing, SDL_SCANCODE_LANG1, 0, false, &result);
	assert_true(typing.korean && result.taken);
	typing_key(&typing, SDL_SCANCODE_R, 0, true, &result); /* caps lock is not shift here */
	assert_string_equal(result.text, "");
	assert_string_equal(result.preview, "ㄱ");
	typing_key(&typing, SDL_SCANCODE_K, 0, false, &result);
	assert_string_equal(result.preview, "가");
	typing_key(&typing, SDL_SCANCODE_1, 0, false, &result);
	assert_string_equal(result.text, "가1");
	assert_string_equal(result.preview, "");
	typing_key(&typing, SDL_SCANCODE_R, 0, false, &result);
	typing_key(&typing, SDL_SCANCODE_LSHIFT, MODIFIER_SHIFT, false, &result);
	assert_string_equal(result.preview, "ㄱ");
	typing_key(&typing, SDL_SCANCODE_RETURN, 0, false, &result);
	assert_string_equal(result.text, "ㄱ");
	assert_false(result.taken);
	typing_key(&typing, SDL_SCANCODE_SPACE, MODIFIER_SHIFT, false, &result);
	assert_false(typing.korean);
	typing_key(&typing, SDL_SCANCODE_C, MODIFIER_CTRL, false, &result);
	assert_string_equal(result.text, "");
}

/* A key that is pressed on a seat's keyboard. */
struct stroke {
	SDL_Scancode scancode;
	unsigned modifiers;
};

#define STROKES 12

/* Presses keys of a layout, and compares what comes into a field. */
static void type_on(const char *name, const struct stroke strokes[STROKES], const char *expected)
{
	struct keyboard keyboard;
	struct typing typing = {.korean = false};
	struct typing_result result;
	char text[256] = "";

	assert_true(keyboard_parse(name, &keyboard));
	typing.layout = layout_open(&keyboard);
	assert_non_null(typing.layout);
	typing_reset(&typing);
	for (int i = 0; i < STROKES && strokes[i].scancode; i++) {
		typing_key(&typing, strokes[i].scancode, strokes[i].modifiers, false, &result);
		assert_true(result.taken);
		strcat(text, result.text);
	}
	assert_string_equal(text, expected);
	layout_close(typing.layout);
}

#define KEY(name)                                                                                  \
	{                                                                                          \
		SDL_SCANCODE_##name, 0                                                             \
	}
#define SHIFT(name)                                                                                \
	{                                                                                          \
		SDL_SCANCODE_##name, MODIFIER_SHIFT                                                \
	}
#define ALTGR(name)                                                                                \
	{                                                                                          \
		SDL_SCANCODE_##name, MODIFIER_ALTGR                                                \
	}

/* What is printed on the keys of each country's keyboard. */
static void layouts_of_countries(void **unused)
{
	const struct stroke zy[STROKES] = {KEY(Z), KEY(Y), SHIFT(Z), SHIFT(Y)};
	const struct stroke row[STROKES] = {KEY(1), SHIFT(1), SHIFT(2), KEY(MINUS), SHIFT(MINUS)};
	const struct stroke pad[STROKES] = {KEY(KP_7), KEY(KP_0), KEY(KP_MULTIPLY)};

	(void)unused;
	type_on("us", zy, "zyZY");
	type_on("us", row, "1!@-_");
	type_on("us", pad, "70*");
	type_on("kr", zy, "zyZY");
	type_on("kr", row, "1!@-_");
	type_on("de", zy, "yzYZ");
	type_on("de", row, "1!\"ß?");
	type_on("de", pad, "70*");
	type_on("de",
		(const struct stroke[STROKES]){ALTGR(Q), ALTGR(7), ALTGR(E), KEY(LEFTBRACKET),
			SHIFT(SEMICOLON), KEY(NONUSBACKSLASH), SHIFT(NONUSBACKSLASH),
			ALTGR(NONUSBACKSLASH), KEY(BACKSLASH), SHIFT(7), SHIFT(0)},
		"@{€üÖ<>|#/=");
	type_on("fr",
		(const struct stroke[STROKES]){KEY(Q), KEY(A), KEY(W), KEY(SEMICOLON), KEY(M),
			KEY(1), SHIFT(1), KEY(2), ALTGR(0), ALTGR(3), KEY(SLASH)},
		"aqzm,&1é@#!");
	type_on("gb",
		(const struct stroke[STROKES]){SHIFT(2), SHIFT(3), SHIFT(APOSTROPHE),
			KEY(BACKSLASH), SHIFT(BACKSLASH), KEY(NONUSBACKSLASH), ALTGR(4)},
		"\"£@#~\\€");
	type_on("jp",
		(const struct stroke[STROKES]){SHIFT(2), SHIFT(7), KEY(LEFTBRACKET), KEY(EQUALS),
			KEY(APOSTROPHE), SHIFT(SEMICOLON), KEY(INTERNATIONAL3), KEY(INTERNATIONAL1),
			SHIFT(INTERNATIONAL1)},
		"\"'@^:+\\\\_");
	type_on("es",
		(const struct stroke[STROKES]){
			KEY(SEMICOLON), SHIFT(7), ALTGR(2), KEY(MINUS), SHIFT(MINUS), KEY(EQUALS)},
		"ñ/@'?¡");
	type_on("it",
		(const struct stroke[STROKES]){
			KEY(SEMICOLON), ALTGR(SEMICOLON), KEY(MINUS), SHIFT(2), KEY(LEFTBRACKET)},
		"ò@'\"è");
	type_on("us(dvorak)", (const struct stroke[STROKES]){KEY(S), KEY(D), KEY(Q)}, "oe'");
}

/* As in X: a dead key is seen with the letter behind it, alone with the space bar, and with a
 * letter that does not take it not at all. */
static void dead_keys(void **unused)
{
	struct keyboard keyboard = {"de", ""};
	struct typing typing = {.layout = layout_open(&keyboard)};
	struct typing_result result;

	(void)unused;
	type_on("de",
		(const struct stroke[STROKES]){KEY(GRAVE), KEY(E), KEY(EQUALS), SHIFT(E),
			KEY(GRAVE), KEY(SPACE), SHIFT(EQUALS), KEY(SPACE), KEY(GRAVE), KEY(X),
			KEY(A)},
		"êÉ^`a");
	type_on("de(nodeadkeys)", (const struct stroke[STROKES]){KEY(GRAVE), KEY(E), SHIFT(EQUALS)},
		"^e`");
	type_on("us(intl)",
		(const struct stroke[STROKES]){KEY(APOSTROPHE), KEY(E), SHIFT(GRAVE), KEY(N)},
		"éñ");
	/* Backspace takes it back, and no more; Enter goes to the form without it. */
	assert_non_null(typing.layout);
	typing_reset(&typing);
	typing_key(&typing, SDL_SCANCODE_GRAVE, 0, false, &result);
	assert_true(result.taken && !result.text[0]);
	typing_key(&typing, SDL_SCANCODE_LSHIFT, MODIFIER_SHIFT, false, &result);
	typing_key(&typing, SDL_SCANCODE_BACKSPACE, 0, false, &result);
	assert_true(result.taken);
	typing_key(&typing, SDL_SCANCODE_BACKSPACE, 0, false, &result);
	assert_false(result.taken);
	typing_key(&typing, SDL_SCANCODE_GRAVE, 0, false, &result);
	typing_key(&typing, SDL_SCANCODE_RETURN, 0, false, &result);
	assert_true(!result.taken && !result.text[0]);
	typing_key(&typing, SDL_SCANCODE_E, 0, false, &result);
	assert_string_equal(result.text, "e");
	layout_close(typing.layout);
}

static void layouts_know_modifiers(void **unused)
{
	struct keyboard keyboard = {"de", ""};
	struct typing typing = {.layout = layout_open(&keyboard)};
	struct typing_result result;

	(void)unused;
	assert_non_null(typing.layout);
	typing_reset(&typing);
	typing_key(&typing, SDL_SCANCODE_Y, 0, true, &result);
	assert_string_equal(result.text, "Z");
	typing_key(&typing, SDL_SCANCODE_Y, MODIFIER_SHIFT, true, &result);
	assert_string_equal(result.text, "z");
	typing_key(&typing, SDL_SCANCODE_U, MODIFIER_CTRL, false, &result);
	assert_true(!result.taken && !result.text[0]);
	typing_key(&typing, SDL_SCANCODE_U, MODIFIER_ALT, false, &result);
	assert_true(!result.taken && !result.text[0]);
	typing_key(&typing, SDL_SCANCODE_F1, 0, false, &result);
	assert_true(!result.taken && !result.text[0]);
	/* AltGr is no switch to Korean there, the Hangul key of another keyboard is. */
	typing_key(&typing, SDL_SCANCODE_RALT, MODIFIER_ALTGR, false, &result);
	assert_false(typing.korean);
	typing_key(&typing, SDL_SCANCODE_SPACE, MODIFIER_SHIFT, false, &result);
	assert_false(typing.korean);
	assert_string_equal(result.text, " ");
	typing_key(&typing, SDL_SCANCODE_LANG1, 0, false, &result);
	assert_true(typing.korean);
	layout_close(typing.layout);
}

/* The two keyboards of Korea: with a Hangul key, and with right Alt in its place. */
static void layouts_keep_korean(void **unused)
{
	static const struct {
		const char *layout, *variant;
		SDL_Scancode hangul;
	} keyboards[] = {{"kr", "", SDL_SCANCODE_LANG1}, {"kr", "", SDL_SCANCODE_RALT},
		{"kr", "kr104", SDL_SCANCODE_RALT}, {"us", "", SDL_SCANCODE_RALT}};

	(void)unused;
	for (size_t i = 0; i < sizeof(keyboards) / sizeof(keyboards[0]); i++) {
		struct keyboard keyboard = {0};
		struct typing typing = {.korean = false};
		struct typing_result result;

		strcpy(keyboard.layout, keyboards[i].layout);
		strcpy(keyboard.variant, keyboards[i].variant);
		typing.layout = layout_open(&keyboard);
		assert_non_null(typing.layout);
		typing_reset(&typing);
		typing_key(&typing, keyboards[i].hangul, key_modifier(keyboards[i].hangul), false,
			&result);
		assert_true(typing.korean && result.taken);
		typing_key(&typing, SDL_SCANCODE_R, 0, true, &result);
		typing_key(&typing, SDL_SCANCODE_K, 0, false, &result);
		assert_string_equal(result.preview, "가");
		typing_key(&typing, SDL_SCANCODE_SPACE, MODIFIER_SHIFT, false, &result);
		assert_false(typing.korean);
		assert_string_equal(result.text, "가");
		layout_close(typing.layout);
	}
}

static void layouts_that_are_none(void **unused)
{
	(void)unused;
	assert_null(layout_open(&(struct keyboard){"xx", ""}));
	assert_null(layout_open(&(struct keyboard){"de", "nosuchvariant"}));
	layout_close(NULL);
}

static void form_edits_whole_characters(void **unused)
{
	struct form form = {0};

	(void)unused;
	form_insert(&form, "김철수");
	form_press(&form, FORM_KEY_LEFT);
	form_press(&form, FORM_KEY_BACKSPACE);
	assert_string_equal(form.user, "김수");
	form_insert(&form, "영");
	assert_string_equal(form.user, "김영수");
	form_press(&form, FORM_KEY_HOME);
	form_press(&form, FORM_KEY_DELETE);
	assert_string_equal(form.user, "영수");
	form_press(&form, FORM_KEY_BACKSPACE);
	assert_string_equal(form.user, "영수");
	form_press(&form, FORM_KEY_END);
	form_insert(&form, "a\tb\x1b\xff"
			   "c"); /* ends at what is not text */
	assert_string_equal(form.user, "영수ab");
	for (int i = 0; i < 100; i++)
		form_insert(&form, "가");
	assert_true(strlen(form.user) < FORM_USER_MAX);
	assert_true(strlen(form.user) >= FORM_USER_MAX - 3);
	assert_int_equal(utf8_count(form.user), 4 + (FORM_USER_MAX - 1 - 8) / 3);
}

static void form_enter_goes_on(void **unused)
{
	struct form form = {0};

	(void)unused;
	assert_false(form_enter(&form));
	form_insert(&form, "alice");
	assert_false(form_enter(&form));
	assert_int_equal(form.focus, FORM_PASSWORD);
	form_insert(&form, "secret");
	assert_true(form_enter(&form));
	form_wipe_password(&form);
	for (size_t i = 0; i < sizeof(form.password); i++)
		assert_int_equal(form.password[i], 0);
	assert_string_equal(form.user, "alice");
	form_press(&form, FORM_KEY_NEXT);
	assert_int_equal(form.focus, FORM_USER);
	form_clear(&form);
	assert_string_equal(form.user, "");
}

/* What Backspace takes away is not left behind in memory. */
static void form_wipes_what_is_cut(void **unused)
{
	struct form form = {.focus = FORM_PASSWORD};

	(void)unused;
	form_insert(&form, "secret");
	for (int i = 0; i < 6; i++)
		form_press(&form, FORM_KEY_BACKSPACE);
	for (size_t i = 0; i < sizeof(form.password); i++)
		assert_int_equal(form.password[i], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_are_named_once),
		cmocka_unit_test(layout_is_us),
		cmocka_unit_test(korean_syllables),
		cmocka_unit_test(korean_backspace_by_steps),
		cmocka_unit_test(typing_switches),
		cmocka_unit_test(layouts_of_countries),
		cmocka_unit_test(dead_keys),
		cmocka_unit_test(layouts_know_modifiers),
		cmocka_unit_test(layouts_keep_korean),
		cmocka_unit_test(layouts_that_are_none),
		cmocka_unit_test(form_edits_whole_characters),
		cmocka_unit_test(form_enter_goes_on),
		cmocka_unit_test(form_wipes_what_is_cut),
	};

	return cmocka_run_group_tests_name("viewer input", tests, NULL, NULL);
}
