/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is whole in a pool. libvirt cannot rename a volume, so that nothing can be written under
 * another name and then put in its place. Instead an empty volume NAME.complete, the mark, is made
 * last; whatever has no mark is half-made: it is never used (control.c asks for the mark too) and
 * may be replaced. What has its mark is never overwritten.
 */
#ifndef CARREL_VIRT_MARKS_H
#define CARREL_VIRT_MARKS_H

#include "broker/virt/worker.h"

enum mark { MARK_ERROR = -1, MARK_MISSING, MARK_THERE };

enum mark mark_look(struct worker *worker, struct virt_conn *conn, const char *pool,
	const char *name, GError **error);
gboolean mark_make(struct worker *worker, struct virt_conn *conn, const char *pool,
	const char *name, GError **error);
/* Deletes a half-made volume; one that is not there is no error. */
gboolean marks_delete(struct worker *worker, struct virt_conn *conn, const char *pool,
	const char *name, GError **error);
/* Deletes a whole one: its mark first, so that at no moment a part of it counts as whole. */
gboolean marks_delete_whole(struct worker *worker, struct virt_conn *conn, const char *pool,
	const char *name, GError **error);

#endif
