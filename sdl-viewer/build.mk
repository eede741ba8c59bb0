# SPDX-License-Identifier: GPL-2.0-or-later
# carrel-viewer, and the library of its parts that its tests link too.
VIEWER_DIRS := app rfb display input ui control
VIEWER_SRC := $(filter-out sdl-viewer/app/main.c,$(sort $(foreach d,$(VIEWER_DIRS),$(wildcard sdl-viewer/$(d)/*.c))))
VIEWER_PKGS := SDL2_ttf sdl2 libvncclient libcurl jansson libdrm gnutls
$(call library,viewer,$(VIEWER_SRC))
$(call program,carrel-viewer,sdl-viewer/app/main.c,viewer shared,$(VIEWER_PKGS),$(BINDIR))
