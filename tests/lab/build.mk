# SPDX-License-Identifier: GPL-2.0-or-later
# The demo: a diskless PC is powered on, and a login lands on a desktop. ONCE=1 stops it at the end.
demo:
	scripts/demo $(if $(ONCE),--once)

.PHONY: demo
