/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sdl-viewer/input/hangul.h"

#include <stddef.h>

/* Initials 0..18 in Unicode's order, as compatibility letters (what stands alone on the screen). */
static const uint16_t initial_letters[] = {0x3131, 0x3132, 0x3134, 0x3137, 0x3138, 0x3139, 0x3141,
	0x3142, 0x3143, 0x3145, 0x3146, 0x3147, 0x3148, 0x3149, 0x314a, 0x314b, 0x314c, 0x314d,
	0x314e};

/* The final that an initial becomes below a vowel; -1 = none (tt, pp, jj). */
static const int8_t final_of_initial[] = {
	1, 2, 4, 7, -1, 8, 16, 17, -1, 19, 20, 21, 22, -1, 23, 24, 25, 26, 27};

/* What a key means: an initial 0..18, or 100 + a vowel 0..20. Index: letter - 'a'. */
#define V(vowel) (100 + (vowel))
static const uint8_t plain_keys[26] = {6, V(17), 14, 11, 3, 5, 18, V(8), V(2), V(4), V(0), V(20),
	V(18), V(13), V(1), V(5), 7, 0, 2, 9, V(6), 17, 12, 16, V(12), 15};

static int key_meaning(char letter)
{
	switch (letter) {
	case 'Q':
		return 8;
	case 'W':
		return 13;
	case 'E':
		return 4;
	case 'R':
		return 1;
	case 'T':
		return 10;
	case 'O':
		return V(3);
	case 'P':
		return V(7);
	default:
		break;
	}
	if (letter >= 'A' && letter <= 'Z')
		letter = (char)(letter - 'A' + 'a');
	return letter >= 'a' && letter <= 'z' ? plain_keys[letter - 'a'] : -1;
}

/* first + second = compound */
struct compound {
	int8_t first, second, both;
};

static const struct compound vowels[] = {
	{8, 0, 9}, {8, 1, 10}, {8, 20, 11}, {13, 4, 14}, {13, 5, 15}, {13, 20, 16}, {18, 20, 19}};
static const struct compound finals[] = {{1, 19, 3}, {4, 22, 5}, {4, 27, 6}, {8, 1, 9}, {8, 16, 10},
	{8, 17, 11}, {8, 19, 12}, {8, 25, 13}, {8, 26, 14}, {8, 27, 15}, {17, 19, 18}};

static int compose(const struct compound *list, size_t count, int first, int second)
{
	for (size_t i = 0; i < count; i++)
		if (list[i].first == first && list[i].second == second)
			return list[i].both;
	return -1;
}

#define COMPOSE(list, first, second) compose(list, sizeof(list) / sizeof((list)[0]), first, second)

static int initial_of_final(int final)
{
	for (size_t i = 0; i < sizeof(final_of_initial); i++)
		if (final_of_initial[i] == final)
			return (int)i;
	return -1;
}

void hangul_reset(struct hangul *hangul)
{
	*hangul = (struct hangul){-1, -1, -1, -1, -1};
}

bool hangul_is_empty(const struct hangul *hangul)
{
	return hangul->initial < 0 && hangul->vowel < 0;
}

uint32_t hangul_preview(const struct hangul *h)
{
	if (h->initial >= 0 && h->vowel >= 0)
		return 0xac00U + (uint32_t)((h->initial * 21 + h->vowel) * 28 +
					    (h->final > 0 ? h->final : 0));
	if (h->initial >= 0)
		return initial_letters[h->initial];
	if (h->vowel >= 0)
		return 0x314fU + (uint32_t)h->vowel;
	return 0;
}

uint32_t hangul_finish(struct hangul *hangul)
{
	uint32_t done = hangul_preview(hangul);

	hangul_reset(hangul);
	return done;
}

static uint32_t start_initial(struct hangul *h, int initial)
{
	uint32_t done = hangul_finish(h);

	h->initial = initial;
	return done;
}

static uint32_t type_consonant(struct hangul *h, int initial)
{
	int final = final_of_initial[initial];

	if (h->initial >= 0 && h->vowel >= 0 && final > 0) {
		int both;

		if (h->final < 0) {
			h->final = final;
			return 0;
		}
		both = h->final_old < 0 ? COMPOSE(finals, h->final, final) : -1;
		if (both > 0) {
			h->final_old = h->final;
			h->final = both;
			return 0;
		}
	}
	return start_initial(h, initial);
}

static uint32_t type_vowel(struct hangul *h, int vowel)
{
	uint32_t done;
	int initial;

	if (h->vowel < 0) {
		h->vowel = vowel; /* below an initial, or alone */
		return 0;
	}
	if (h->final < 0) {
		int both = h->vowel_old < 0 ? COMPOSE(vowels, h->vowel, vowel) : -1;

		if (both >= 0) {
			h->vowel_old = h->vowel;
			h->vowel = both;
			return 0;
		}
		done = hangul_finish(h);
		h->vowel = vowel;
		return done;
	}
	/* The last consonant moves on to the new syllable. */
	if (h->final_old >= 0) {
		for (size_t i = 0; i < sizeof(finals) / sizeof(finals[0]); i++)
			if (finals[i].both == h->final) {
				initial = initial_of_final(finals[i].second);
				h->final = h->final_old;
				done = hangul_finish(h);
				h->initial = initial;
				h->vowel = vowel;
				return done;
			}
	}
	initial = initial_of_final(h->final);
	h->final = -1;
	done = hangul_finish(h);
	h->initial = initial;
	h->vowel = vowel;
	return done;
}

uint32_t hangul_type(struct hangul *hangul, char letter)
{
	int meaning = key_meaning(letter);

	if (meaning < 0)
		return 0;
	return meaning >= 100 ? type_vowel(hangul, meaning - 100) : type_consonant(hangul, meaning);
}

bool hangul_backspace(struct hangul *h)
{
	if (hangul_is_empty(h))
		return false;
	if (h->final >= 0) {
		h->final = h->final_old;
		h->final_old = -1;
	} else if (h->vowel >= 0) {
		h->vowel = h->vowel_old;
		h->vowel_old = -1;
	} else {
		h->initial = -1;
	}
	return true;
}
