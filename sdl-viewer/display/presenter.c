/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sdl-viewer/display/presenter.h"

void presenter_close(struct presenter *presenter)
{
	if (presenter)
		presenter->ops->close(presenter);
}
