# SPDX-License-Identifier: GPL-2.0-or-later
# carrel-viewer, and the library of its parts that its tests link too.
VIEWER_DIRS := app rfb display input ui control
VIEWER_SRC := $(filter-out sdl-viewer/app/main.c,$(sort $(foreach d,$(VIEWER_DIRS),$(wildcard sdl-viewer/$(d)/*.c))))
VIEWER_PKGS := SDL2_ttf sdl2 xkbcommon libvncclient libcurl jansson libdrm gnutls
$(call library,viewer,$(VIEWER_SRC))
$(call program,carrel-viewer,sdl-viewer/app/main.c,viewer shared,$(VIEWER_PKGS),$(BINDIR))
$(call install_file,broker/man/carrel-viewer.1,$(MANDIR)/man1,644)

$(call unit_test,test_viewer_state,tests/unit/test_viewer_state.c,viewer shared,$(VIEWER_PKGS))
$(call unit_test,test_viewer_control,tests/unit/test_viewer_control.c,viewer shared,$(VIEWER_PKGS))
$(call unit_test,test_viewer_input,tests/unit/test_viewer_input.c,viewer shared,$(VIEWER_PKGS))
$(call unit_test,test_viewer_handoff,tests/unit/test_viewer_handoff.c,viewer shared,$(VIEWER_PKGS))
$(call unit_test,test_viewer_display,tests/unit/test_viewer_display.c,viewer shared,$(VIEWER_PKGS))

# What comes from the broker: the stream as bytes, its events and the answers as JSON.
$(call fuzz_target,viewer_sse,tests/fuzz/viewer_sse.c sdl-viewer/control/sse.c,)
$(call fuzz_target,viewer_decode,tests/fuzz/viewer_decode.c sdl-viewer/control/decode.c sdl-viewer/app/event.c sdl-viewer/app/utf8.c,jansson)
# What comes from a desktop, after the library below has decoded it.
$(call fuzz_target,viewer_picture,tests/fuzz/viewer_picture.c sdl-viewer/rfb/picture.c sdl-viewer/display/scale.c sdl-viewer/display/uevent.c,)
