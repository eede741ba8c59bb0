/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Works on volumes that nobody wants any more. The lane does one after the other: what waits for
 * another volume's work to end is answered here and passed over there, what is under way is told. A
 * copy on the server is one call of libvirt, which cannot be stopped: it is thrown away when it is
 * made. What a work makes has no mark before its end, so calling it off changes nothing.
 */
#include "broker/virt/worker.h"

/* A growth is one call, half a deletion is none, and what is swept is nobody's. */
static bool can_cancel(enum request_op op)
{
	switch (op) {
	case REQUEST_VOLUME_SNAPSHOT:
	case REQUEST_VOLUME_RESTORE:
	case REQUEST_VOLUME_CHECK:
	case REQUEST_VOLUME_REPAIR:
	case REQUEST_VOLUME_EXPORT:
	case REQUEST_VOLUME_IMPORT:
		return true;
	default:
		return false;
	}
}

void storage_cancel_admit(struct worker *worker, struct request *request)
{
	if (!can_cancel(request->op))
		return;
	request->cancel = g_cancellable_new();
	g_mutex_lock(&worker->lock);
	g_ptr_array_add(worker->storing, request);
	g_mutex_unlock(&worker->lock);
}

gboolean storage_cancel_begin(struct worker *worker, struct request *request)
{
	gboolean wanted;

	g_mutex_lock(&worker->lock);
	wanted = !request->answered;
	request->begun = wanted;
	g_mutex_unlock(&worker->lock);
	return wanted;
}

gboolean storage_cancel_leave(struct worker *worker, struct request *request)
{
	gboolean open;

	if (!request->cancel)
		return TRUE;
	g_mutex_lock(&worker->lock);
	g_ptr_array_remove(worker->storing, request);
	open = !request->answered;
	g_mutex_unlock(&worker->lock);
	return open;
}

gboolean storage_cancelled(const struct request *request, GError **error)
{
	if (!g_cancellable_is_cancelled(request->cancel))
		return FALSE;
	g_set_error(error, VIRT_ERROR, VIRT_ERROR_CANCELLED,
		"the work on volume %" G_GUINT64_FORMAT " was called off; it is as it was",
		request->volume);
	return TRUE;
}

void storage_cancel(struct worker *worker, uint64_t volume)
{
	g_mutex_lock(&worker->lock);
	for (guint i = 0; i < worker->storing->len; i++) {
		struct request *request = worker->storing->pdata[i];
		g_autoptr(GError) error = NULL;

		if (request->volume != volume || request->answered)
			continue;
		g_cancellable_cancel(request->cancel);
		if (request->begun || !storage_cancelled(request, &error))
			continue;
		request->answered = true;
		worker_error(worker, request, error);
	}
	g_mutex_unlock(&worker->lock);
}
