/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * carrel-virtd: one process for one virtualization server. Its threads, each with a queue:
 *
 *   main     reads requests from carreld and gives them to the lanes; ends the process with carreld
 *   control  the control connection: what is quick and is asked for in order
 *   watch    the events connection: domains that come and go, detaches; and the agents connection:
 *            their channels, apart because it breaks more easily (watch.c)
 *   images   a connection for each image-ensure (minutes)
 *   volumes  a connection for each volume-create, and for looks at volumes (seconds)
 *   storage  a connection for each work on a volume: snapshots, checks, ... (minutes)
 *   sizes    a thread and a connection for each desktop-resize (seconds; as long as its VM hangs)
 *   events   libvirt's event loop (driver_libvirt.c): only posts to the queues
 *
 * A lane alone uses its connections and its state; what they share is below and under `lock`.
 */
#ifndef CARREL_VIRT_WORKER_H
#define CARREL_VIRT_WORKER_H

#include "broker/shared/conf.h"
#include "broker/virt/request.h"
#include "broker/virt/virt.h"
#include "images/store/image.h"

enum worker_lane {
	LANE_CONTROL,
	LANE_WATCH,
	LANE_IMAGES,
	LANE_VOLUMES,
	LANE_STORAGE,
	LANE_SIZES,
	LANE_COUNT
};

enum job_kind {
	JOB_REQUEST,       /* request */
	JOB_CLOSED,        /* text: the lane's connection is said to be closed */
	JOB_AGENTS_CLOSED, /* watch: text: its agents connection is said to be closed */
	JOB_LEAVING, /* watch: number=desktop that is destroyed from now on; 0 = that is over */
	JOB_UP,      /* watch: the server is up and announced */
	JOB_DOMAIN,  /* watch: name, flag=running, text=reason */
	JOB_REMOVED, /* watch: name, text=alias */
	JOB_CHANNEL, /* watch: number=channel, what */
	JOB_DETACH,  /* watch: request, name, text=alias: answer it when the disk is out */
	JOB_DETACH_FAILED, /* watch: number=request id, error: answer it now */
};

struct job {
	enum job_kind kind;
	struct request *request; /* owned */
	char *name, *text;       /* owned */
	GError *error;           /* owned */
	uintptr_t number;
	int what;
	bool flag;
};

struct worker {
	const struct virt_driver *driver;           /* borrowed */
	const struct virt_storage_driver *storage;  /* borrowed */
	const struct virt_memory_driver *memory;    /* borrowed */
	const struct virt_channel_driver *channels; /* borrowed */
	struct conf *conf;                          /* owned */
	char *name, *uri;                           /* owned */
	int fd;                                     /* owned: to carreld */
	GAsyncQueue *queues[LANE_COUNT];            /* owned, of owned struct job */
	GMutex lock;
	GCond trial_over;
	/* under lock */
	bool up[LANE_COUNT];                 /* of control and watch: connected */
	bool announced;                      /* server-up was the last that carreld heard */
	char *down_reason;                   /* owned; last one told, or NULL */
	struct virt_host host;               /* as told in server-up */
	char *trial_name;                    /* owned; the trial that control waits for, or NULL */
	char *trial_reason;                  /* owned; why it ended, or NULL */
	gint64 connecting_since[LANE_COUNT]; /* g_get_monotonic_time; 0 = not inside driver->open */
	GPtrArray *resizes;                  /* owned, of borrowed struct resize: under way */
	GPtrArray *storing; /* owned, of borrowed struct request: works that can be called off */
	/* of the control lane alone */
	bool kvm_known, kvm;
};

/* Takes `conf` and `fd`; copies the strings. */
struct worker *worker_new(const struct virt_driver *driver,
	const struct virt_storage_driver *storage, const struct virt_memory_driver *memory,
	const struct virt_channel_driver *channels, struct conf *conf, const char *name,
	const char *uri, int fd);
/* For tests: the lanes must have no thread. */
void worker_free(struct worker *worker);

/* Gives a job to a lane; takes the struct's owned members. */
void worker_post(struct worker *worker, enum worker_lane lane, struct job job);
/* The next job of a lane, or NULL at `deadline` (monotonic, us; -1 = wait for ever). Free it. */
struct job *worker_next(struct worker *worker, enum worker_lane lane, gint64 deadline);
void job_free(struct job *job);

/* Answers. `more` (stolen, may be NULL) has the further members. */
void worker_ok(struct worker *worker, const struct request *request, json_t *more);
void worker_error(struct worker *worker, const struct request *request, const GError *error);
/* One of the two, and the end of the request, which is freed. FALSE: the connection that it was for
 * is of no use any more. */
gboolean worker_finish(struct worker *worker, struct request *request, gboolean good, json_t *more,
	const GError *error);
/* A lane with a connection for each request, so that none is idle for hours; never returns. */
void worker_lane_run(struct worker *worker, enum worker_lane lane,
	gboolean (*handle)(struct worker *, struct virt_conn *, struct request *));
/* Sends an event; steals it. */
void worker_event(struct worker *worker, json_t *event);

/* driver->open that main's watch over stuck connects knows of. */
struct virt_conn *worker_connect(struct worker *worker, enum worker_lane lane,
	const struct virt_callbacks *callbacks, GError **error);
/* Milliseconds that the oldest connect under way takes already; 0 = there is none. */
gint64 worker_connecting_ms(struct worker *worker);

/*
 * The lane (control or watch) has, or has lost, its connection. carreld is told of the server when
 * both have theirs, when one is lost, and when the reason of being down changes.
 */
void worker_lane_up(struct worker *worker, enum worker_lane lane);
void worker_lane_down(struct worker *worker, enum worker_lane lane, const char *reason);
bool worker_is_up(struct worker *worker);

/* Waits between attempts, ms: attempt 0, 1, 2, ... */
gint64 worker_backoff_ms(unsigned attempt);

/*
 * Works on volumes that are called off, storage_cancel.c. `admit`: from here on this one can be; of
 * `begin` FALSE says that it was, while it waited, and is answered; `leave`: it cannot be any more,
 * and of it FALSE says that it is answered. One that is under way ends by itself, with CANCELLED,
 * where it looks at request->cancel.
 */
void storage_cancel_admit(struct worker *worker, struct request *request);
gboolean storage_cancel_begin(struct worker *worker, struct request *request);
gboolean storage_cancel_leave(struct worker *worker, struct request *request);
/* All of a volume; takes no connection. */
void storage_cancel(struct worker *worker, uint64_t volume);
/* TRUE with CANCELLED when it was called off. */
gboolean storage_cancelled(const struct request *request, GError **error);

/* Routes one request of carreld to its lane, or answers it at once; takes the reference. */
void worker_request(struct worker *worker, json_t *json);

/* The lanes: thread functions; data is the worker. They never return. */
gpointer control_run(gpointer data);
gpointer watch_run(gpointer data);
gpointer images_run(gpointer data);
gpointer volumes_run(gpointer data);
gpointer storage_run(gpointer data);
gpointer sizes_run(gpointer data);

/*
 * One request of a lane on an open connection, answered when this returns; the tests call them.
 * FALSE: the connection is of no use any more.
 */
gboolean control_handle(struct worker *worker, struct virt_conn *conn, struct request *request);
gboolean images_handle(struct worker *worker, struct virt_conn *conn, struct request *request);
gboolean volumes_handle(struct worker *worker, struct virt_conn *conn, struct request *request);
gboolean storage_handle(struct worker *worker, struct virt_conn *conn, struct request *request);

/* One desktop-resize, begun and answered on its own thread, or refused at once; takes both. */
void sizes_begin(struct worker *worker, struct virt_conn *conn, struct request *request);
/* Answers those whose time is over and whose hypervisor hangs. The next look is due after so many
 * ms; -1 = none is under way. */
gint64 sizes_overdue(struct worker *worker);

/* Whether a guest really runs with KVM there: tried once in a process. */
bool control_kvm_works(struct worker *worker, struct virt_conn *conn, const struct virt_host *host);

/* A desktop image ("name@version"), its signature checked; NULL with VIRT_ERROR_NO_IMAGE. */
struct image *worker_image(struct worker *worker, const char *image, GError **error);

/* "home-7.complete", "NAME@VERSION.complete": the empty volume that is written last. What has no
 * such mark beside it is half-made and never used. */
#define MARK_SUFFIX ".complete"

#endif
