/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What each PC is to boot: which version of the PCs' image, and with which further words on the
 * kernel's command line. carreld, which knows the seats, writes it as a small file;
 * carrel-bootconf, which alone may write what PCs start, makes boot configuration of it ("The boot
 * plan" in docs/protocols.md). So carreld needs no right to the boot tree, and what it writes is
 * checked again, word by word, by who has that right and the key with which all is signed.
 */
#ifndef CARREL_IMAGES_BOOTPLAN_H
#define CARREL_IMAGES_BOOTPLAN_H

#include <glib.h>

#define BOOTPLAN_FILE "bootplan.json" /* below [paths] state; carreld's */
#define BOOTPLAN_ANSWER "boot/answer" /* below [paths] state; carrel-bootconf's */

#define BOOTPLAN_MAC_MAX 18
#define BOOTPLAN_KERNEL_MAX 161 /* bytes of a seat's kernel options with the terminator */
#define BOOTPLAN_KERNELS_MAX 8  /* different ones; each is a boot program of 20 MB for UEFI PCs */
#define BOOTPLAN_VERSIONS_MAX 2 /* the stable and the testing one */
#define BOOTPLAN_SEATS_MAX 8192
#define BOOTPLAN_BYTES_MAX 4194304 /* of the file */

#define BOOTPLAN_ERROR (bootplan_error_quark())
GQuark bootplan_error_quark(void);
enum bootplan_error { BOOTPLAN_ERROR_INVALID };

/* A PC that boots other than the rest. */
struct bootplan_seat {
	char mac[BOOTPLAN_MAC_MAX]; /* lower case, with ':' */
	guint version;              /* index */
	char kernel[BOOTPLAN_KERNEL_MAX];
};

struct bootplan {
	char *image;         /* owned; its name */
	GPtrArray *versions; /* of owned texts; all PCs boot the first but those in `seats` */
	GArray *seats;       /* of struct bootplan_seat, by MAC address */
};

/* What differs from what all PCs boot: each pair once, in order of version and options. */
struct bootplan_variant {
	guint version;
	char kernel[BOOTPLAN_KERNEL_MAX];
};

struct bootplan *bootplan_new(const char *image, const char *version);
void bootplan_free(struct bootplan *plan); /* NULL is allowed */

/* Its text; the caller frees it. Seats are put in order, so the same plan is the same text. */
char *bootplan_text(struct bootplan *plan);
/* Reads such a text and checks all of it. NULL with BOOTPLAN_ERROR. */
struct bootplan *bootplan_parse(const char *text, gsize length, GError **error);

/* A new array of struct bootplan_variant, without what all PCs boot. */
GArray *bootplan_variants(const struct bootplan *plan);
/* The seat's index in it, or -1: it boots what all do. */
int bootplan_variant_of(const GArray *variants, const struct bootplan_seat *seat);

/*
 * Are these options that a seat may have: up to eight words with a blank between them, of a list of
 * parameters that make hardware work and touch neither what is booted nor what is checked?
 */
gboolean bootplan_kernel_check(const char *options, GError **error);

/* What carrel-bootconf has made of a plan, in `$state/boot/answer`: "SHA256 PROBLEM" or "SHA256 ",
 * one line; the sum is the plan's text's. */
char *bootplan_answer(const char *sum, const char *problem);

#endif
