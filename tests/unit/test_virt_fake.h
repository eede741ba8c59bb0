/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A hypervisor in memory, behind the same tables as the real one. */
#ifndef CARREL_TEST_VIRT_FAKE_H
#define CARREL_TEST_VIRT_FAKE_H

#include "broker/virt/worker.h"

struct fake {
	GHashTable *domains; /* name -> GPtrArray of "path|alias|target" of its disks */
	GHashTable *volumes; /* "pool/name" -> GByteArray */
	/* The next call of this name fails with this code; its effect happens when `after` is set.
	 */
	const char *fail_call;
	enum virt_error fail_code;
	bool fail_after;
	/* During the next call of this name this worker's works on volume 3 are called off. */
	const char *cancel_call;
	struct worker *cancel_worker; /* borrowed */
	bool trial_ends;              /* a guest that only runs its firmware ends by itself */
	bool no_vnc;                  /* started domains have no VNC port */
	char *last_screen;            /* owned: the last VIRT_UPDATE */
	char *last_detach;            /* owned: "domain alias" of the last VIRT_DETACH */
	/* Memory, of every domain. A guest gives back `gives_mib` at each look, and its process as
	 * much less `keeps_mib` of it in all. */
	bool balloon, silent; /* silent: the guest says nothing */
	uint32_t guest_mib, target_mib, used_mib, gives_mib, keeps_mib;
	int64_t said;
	/* Calls of memory_look before the domain vanishes, or before the guest needs all it has; 0
	 * = never. */
	unsigned vanishes, starves;
	/* A look hangs while this is locked by the test. */
	GMutex hung;
	uint64_t available;              /* bytes in the pool */
	uint64_t sent;                   /* bytes that were patched into volumes */
	unsigned patches_before_failure; /* so many go well before fail_call "patch" holds */
	struct virt_callbacks callbacks;
};

extern struct fake fake;
extern const struct virt_driver fake_driver;
extern const struct virt_storage_driver fake_storage;
extern const struct virt_memory_driver fake_memory;

void fake_reset(void);
/* The worker of server s1 on this hypervisor, without channels, which has `folder` for images, keys
 * and state; *fd is carreld's end of its socket, which does not block. The caller frees both. */
struct worker *fake_worker(const char *folder, int *fd);
void fake_volume(const char *pool, const char *name, const void *data, size_t length);
/* NULL when there is none. */
const GByteArray *fake_volume_look(const char *pool, const char *name);
/* The disk with that alias leaves the domain, as when the guest lets it go. */
void fake_disk_out(const char *domain, const char *alias);

#endif
