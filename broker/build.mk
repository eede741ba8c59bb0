# SPDX-License-Identifier: GPL-2.0-or-later
# Each of the broker's folders has a build.mk of its own; shared/ is first because all link it.
SHARED_SRC := $(sort $(filter-out broker/shared/conf_man.c,$(wildcard broker/shared/*.c)))
$(call library,shared,$(SHARED_SRC))
SHARED_PKGS := glib-2.0 gio-2.0 gio-unix-2.0 jansson
include $(sort $(wildcard broker/*/build.mk))
