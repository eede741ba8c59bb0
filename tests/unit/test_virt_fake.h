/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A hypervisor in memory, behind the same tables as the real one. */
#ifndef CARREL_TEST_VIRT_FAKE_H
#define CARREL_TEST_VIRT_FAKE_H

#include "broker/virt/virt.h"

struct fake {
	GHashTable *domains; /* name -> GPtrArray of "path|alias|target" of its disks */
	GHashTable *volumes; /* "pool/name" -> GByteArray */
	/* The next call of this name fails with this code; its effect happens when `after` is set.
	 */
	const char *fail_call;
	enum virt_error fail_code;
	bool fail_after;
	bool trial_ends;   /* a guest that only runs its firmware ends by itself */
	bool no_vnc;       /* started domains have no VNC port */
	char *last_screen; /* owned: the last VIRT_UPDATE */
	char *last_detach; /* owned: "domain alias" of the last VIRT_DETACH */
	struct virt_callbacks callbacks;
};

extern struct fake fake;
extern const struct virt_driver fake_driver;

void fake_reset(void);
void fake_volume(const char *pool, const char *name, const void *data, size_t length);
/* NULL when there is none. */
const GByteArray *fake_volume_look(const char *pool, const char *name);
/* The disk with that alias leaves the domain, as when the guest lets it go. */
void fake_disk_out(const char *domain, const char *alias);

#endif
