/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What carrel-virtd needs of a hypervisor, as small tables. driver_libvirt.c is the real one
 * and the only file that includes libvirt's headers; tests/unit/virt_fake.c is the one in memory.
 *
 * A connection is used by one thread at a time (its lane), so that at most one call is in flight on
 * it. Callbacks come from the driver's own event thread: they must only post to a queue and return.
 */
#ifndef CARREL_VIRT_H
#define CARREL_VIRT_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* The port of the desktop's agent on its virtio-serial controller. */
#define VIRT_AGENT_PORT "org.carrel.agent.0"
/* The port on which QEMU's guest agent listens in the guest. libvirt keeps a channel of that name
 * to itself, so only QEMU is told this one: to libvirt it is VIRT_AGENT_PORT too. */
#define VIRT_GUEST_AGENT_PORT "org.qemu.guest_agent.0"

#define VIRT_ERROR (virt_error_quark())
GQuark virt_error_quark(void);
/* The codes of docs/protocols.md, in the order of the table in worker.c. */
enum virt_error {
	VIRT_ERROR_UNREACHABLE,
	VIRT_ERROR_NO_IMAGE,
	VIRT_ERROR_NO_MEMORY,
	VIRT_ERROR_EXISTS,
	VIRT_ERROR_NOT_FOUND,
	VIRT_ERROR_BUSY,
	VIRT_ERROR_TIMEOUT,
	VIRT_ERROR_STORAGE,
	VIRT_ERROR_LIBVIRT,
	VIRT_ERROR_BAD_REQUEST,
	VIRT_ERROR_NOT_SUPPORTED,
	VIRT_ERROR_CANCELLED,
	VIRT_ERROR_COUNT
};

/* The word of the protocol for an error of this domain; "libvirt" for one of another domain. */
const char *virt_error_code(const GError *error);

struct virt_conn;
struct virt_channel;

/* From the driver's event thread; strings are borrowed for the time of the call. */
struct virt_callbacks {
	void (*closed)(void *user, const char *reason);
	/* running: it was started; else it is off and `reason` says why. */
	void (*domain)(void *user, const char *name, bool running, const char *reason);
	void (*device_removed)(void *user, const char *name, const char *alias);
	void *user; /* borrowed; lives as long as the process */
};

struct virt_host {
	uint32_t memory_mib, cpus;
	bool kvm; /* the hypervisor claims KVM; whether a guest runs on it is tried by the worker */
};

struct virt_volume {
	char *path; /* owned, on the server */
	uint64_t capacity;
	uint64_t allocation; /* bytes that it takes of the storage */
};

struct virt_pool {
	uint64_t capacity, available; /* bytes */
};

/* A source of a volume's bytes, read in order. */
struct virt_source {
	int fd;        /* borrowed, at offset 0 */
	uint64_t size; /* bytes */
	bool sparse;   /* send holes as holes */
	/* After each piece that was sent; false ends the upload with an error. May be NULL. */
	bool (*sent)(void *user, const void *data, size_t length, GError **error);
	void *user;
};

/* Where a volume's bytes go, in order. */
struct virt_sink {
	int fd; /* borrowed, an empty file at offset 0; holes become holes */
	/* After each piece; false ends it with an error. May be NULL. */
	bool (*got)(void *user, size_t length, GError **error);
	void *user;
};

enum virt_change {
	VIRT_ATTACH, /* text is the device's XML */
	VIRT_UPDATE, /* the same */
	VIRT_DETACH, /* text is its alias; only asks, device_removed says when it is out */
};

/*
 * All calls block and give errors of VIRT_ERROR; UNREACHABLE means that the connection is of no use
 * any more. `name` is the name of a domain or a volume, `pool` that of a storage pool.
 */
struct virt_driver {
	/* callbacks may be NULL (no events wanted). The result is owned by the caller. */
	struct virt_conn *(*open)(
		const char *uri, const struct virt_callbacks *callbacks, GError **error);
	void (*close)(struct virt_conn *conn); /* NULL-safe; no callback comes after it */
	gboolean (*host)(struct virt_conn *conn, struct virt_host *host, GError **error);
	/* Starts a transient domain. */
	gboolean (*domain_create)(struct virt_conn *conn, const char *xml, GError **error);
	/* Off and undefined when TRUE is returned; a domain that is not there is no error. */
	gboolean (*domain_destroy)(struct virt_conn *conn, const char *name, GError **error);
	/* The domain's live XML, owned by the caller; NOT_FOUND when there is none. */
	char *(*domain_xml)(struct virt_conn *conn, const char *name, GError **error);
	/* The live XML of every domain there is: owned array of owned strings. */
	GPtrArray *(*domain_list)(struct virt_conn *conn, GError **error);
	gboolean (*device_change)(struct virt_conn *conn, const char *name, enum virt_change change,
		const char *text, GError **error);
	/* Looks again at the storage before it says NOT_FOUND. volume->path is owned by the caller.
	 */
	gboolean (*volume_get)(struct virt_conn *conn, const char *pool, const char *name,
		struct virt_volume *volume, GError **error);
	/* Makes a raw volume of source->size bytes and fills it; EXISTS when there is one of that
	 * name. When it fails after it was made, what is there is left half-made. */
	gboolean (*volume_put)(struct virt_conn *conn, const char *pool, const char *name,
		const struct virt_source *source, GError **error);
	/* The first `length` bytes (fewer if it is smaller); returns how many, or -1. */
	gssize (*volume_head)(struct virt_conn *conn, const char *pool, const char *name,
		void *buffer, size_t length, GError **error);
	gboolean (*volume_delete)(
		struct virt_conn *conn, const char *pool, const char *name, GError **error);
};

/* What is done to volumes beside handing them out. */
struct virt_storage_driver {
	/* Looks at the storage itself, not at what was known of it. */
	gboolean (*pool)(
		struct virt_conn *conn, const char *pool, struct virt_pool *out, GError **error);
	/* The names of all volumes, as they are now: owned array of owned strings. */
	GPtrArray *(*list)(struct virt_conn *conn, const char *pool, GError **error);
	/* Makes `name` with the bytes of `from`, on the server; the blocks are shared where the
	 * storage can. What fails may leave a half-made `name`. */
	gboolean (*copy)(struct virt_conn *conn, const char *pool, const char *from,
		const char *name, GError **error);
	/* Makes `name`, a qcow2 volume of `size` bytes for who uses it, with nothing in it, that
	 * shows what the qcow2 volume `base` has and leaves that as it is. */
	gboolean (*overlay)(struct virt_conn *conn, const char *pool, const char *base,
		const char *name, uint64_t size, GError **error);
	/* How long the volume's file is, in bytes; virt_volume says what the disk in it has. */
	gboolean (*length)(struct virt_conn *conn, const char *pool, const char *name,
		uint64_t *length, GError **error);
	/* Smaller only where that is said. */
	gboolean (*resize)(struct virt_conn *conn, const char *pool, const char *name,
		uint64_t size, bool smaller, GError **error);
	/* Makes a raw volume of `size` bytes with nothing in it. */
	gboolean (*make)(struct virt_conn *conn, const char *pool, const char *name, uint64_t size,
		GError **error);
	/* Writes the source's bytes over those of the volume from `offset` on; when TRUE is
	 * returned the server has them. */
	gboolean (*patch)(struct virt_conn *conn, const char *pool, const char *name,
		uint64_t offset, const struct virt_source *source, GError **error);
	/* Gives every byte of the volume, in order, to `got`; FALSE from it ends that. */
	gboolean (*read)(struct virt_conn *conn, const char *pool, const char *name,
		bool (*got)(void *user, const void *data, size_t length), void *user,
		GError **error);
	/* All of the volume into the sink, whose file is as long as the volume afterwards. */
	gboolean (*fetch)(struct virt_conn *conn, const char *pool, const char *name,
		const struct virt_sink *sink, GError **error);
};

struct virt_memory {
	uint32_t guest_mib;    /* what the guest has now */
	uint32_t resident_mib; /* what the hypervisor's process holds of the host, rounded up */
	uint32_t usable_mib;   /* what the guest said that it can do without: free and page cache */
	int64_t said;          /* when, seconds since the epoch, server's clock; 0 = never */
};

/*
 * The memory of a running domain that has a balloon. These calls hang for as long as the
 * hypervisor's process does (virt_driver's give up): only for a connection that nothing else needs.
 */
struct virt_memory_driver {
	gboolean (*look)(struct virt_conn *conn, const char *name, struct virt_memory *memory,
		GError **error);
	/* Asks the guest to get along with so much; `look` says how far it is. */
	gboolean (*set)(struct virt_conn *conn, const char *name, uint32_t mib, GError **error);
	/* Has the guest say usable_mib every so many seconds; 0 = no more. */
	gboolean (*listen)(
		struct virt_conn *conn, const char *name, unsigned seconds, GError **error);
};

enum virt_channel_ready { VIRT_CAN_READ = 1, VIRT_CAN_WRITE = 2, VIRT_BROKEN = 4 };

/* The way to a desktop's agent. Nothing here blocks but open. */
struct virt_channel_driver {
	/* `ready` comes from the event thread, once for each call of arm; `user` is an integer. */
	struct virt_channel *(*open)(struct virt_conn *conn, const char *domain,
		void (*ready)(uintptr_t user, int what), uintptr_t user, GError **error);
	/* Bytes read; 0 at the end; -1 broken; -2 nothing now. */
	gssize (*read)(struct virt_channel *channel, void *buffer, size_t length);
	/* Bytes written; -1 broken; -2 not now. */
	gssize (*write)(struct virt_channel *channel, const void *data, size_t length);
	/* Asks for the next `ready`, for reading and, if wanted, for writing. */
	void (*arm)(struct virt_channel *channel, bool write);
	void (*close)(struct virt_channel *channel); /* NULL-safe */
};

extern const struct virt_driver virt_libvirt;
extern const struct virt_storage_driver virt_libvirt_storage;
extern const struct virt_memory_driver virt_libvirt_memory;
extern const struct virt_channel_driver virt_libvirt_channel;

/* Starts the driver's event thread; once, before the first open. */
gboolean virt_libvirt_init(GError **error);

#endif
