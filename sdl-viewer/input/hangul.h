/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Korean by the standard two-set layout (2-beolsik, KS X 5002): keys give consonants and vowels,
 * which are put together to syllables of Unicode's block Hangul Syllables (Unicode Standard,
 * section 3.12: U+AC00 + (initial * 21 + vowel) * 28 + final).
 */
#ifndef CARREL_VIEWER_HANGUL_H
#define CARREL_VIEWER_HANGUL_H

#include <stdbool.h>
#include <stdint.h>

/* The syllable being made; all -1 = none. Indices are those of the Unicode formula. */
struct hangul {
	int initial;   /* 0..18 */
	int vowel;     /* 0..20 */
	int final;     /* 1..27, -1 = none yet */
	int vowel_old; /* the vowel before it became a compound, for backspace; -1 = is simple */
	int final_old; /* likewise */
};

void hangul_reset(struct hangul *hangul);
bool hangul_is_empty(const struct hangul *hangul);

/*
 * A letter of the US layout ('A' for shift + a) typed in Korean. Returns the character finished by
 * it, 0 for none. A letter always belongs to the layout; others are the caller's business.
 */
uint32_t hangul_type(struct hangul *hangul, char letter);

/* Takes back the last step; false when there was nothing to take back. */
bool hangul_backspace(struct hangul *hangul);

/* The character as far as it is made, 0 for none. */
uint32_t hangul_preview(const struct hangul *hangul);

/* Ends the syllable and returns it, 0 for none. */
uint32_t hangul_finish(struct hangul *hangul);

#endif
