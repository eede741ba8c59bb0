# SPDX-License-Identifier: GPL-2.0-or-later
# The desktop's programs, what its VM's initramfs runs, and the builder of images.
AGENT_MAIN := images/agent/agent.c images/agent/waitscreen.c images/agent/ximwait.c
AGENT_SRC := $(filter-out $(AGENT_MAIN),$(sort $(wildcard images/agent/*.c)))
$(call library,agent,$(AGENT_SRC))
$(call program,carrel-agent,images/agent/agent.c,agent shared,jansson xcb xcb-screensaver,$(LIBEXECDIR))
$(call program,carrel-waitscreen,images/agent/waitscreen.c,,xft x11,$(LIBEXECDIR))
$(call program,carrel-ximwait,images/agent/ximwait.c,,x11,$(LIBEXECDIR))

# /init of an initramfs links to nothing. It is made apart: -static and PIE do not go together, nor
# does the address sanitizer with being the first process.
INIT_SRC := images/desktop-initrd/init.c images/verity/verity.c
INIT_CC = $(CC) $(CPPFLAGS) -std=gnu11 -Os $(WARN) -static
$(B)/carrel-desktop-init: $(INIT_SRC) images/verity/verity.h
	@mkdir -p $(@D)
	@echo "  CC $@"
	$(Q)$(INIT_CC) -o $@ $(INIT_SRC)
PROGRAMS += $(B)/carrel-desktop-init
INSTALL_PROGRAMS += carrel-desktop-init>$(LIBEXECDIR)

$(call unit_test,test_agent_msg,tests/unit/test_agent_msg.c,agent shared,jansson)
$(call unit_test,test_agent_disk,tests/unit/test_agent_disk.c,agent,jansson)
$(call unit_test,test_agent_claim,tests/unit/test_agent_claim.c,agent shared,jansson xcb xcb-screensaver)
$(call unit_test,test_agent_user,tests/unit/test_agent_user.c,agent,jansson)
$(call unit_test,test_agent_port,tests/unit/test_agent_port.c,agent shared,jansson)
$(call unit_test,test_agent_verity,tests/unit/test_agent_verity.c images/verity/verity.c,,)
$(call fuzz_target,agent,tests/fuzz/agent.c images/agent/agent_msg.c broker/shared/keyboard.c,jansson)

# Versions of images on disk: read by all that use them.
STORE_SRC := images/store/image.c images/store/signature.c images/store/bootplan.c
STORE_PKGS := glib-2.0 jansson gnutls
$(call library,imagestore,$(STORE_SRC))
$(call program,carrel-image-sign,images/store/sign.c,imagestore,$(STORE_PKGS),$(LIBEXECDIR))
$(call unit_test,test_image,tests/unit/test_image.c,imagestore,$(STORE_PKGS))
$(call fuzz_target,image,tests/fuzz/image.c $(STORE_SRC),$(STORE_PKGS))
$(call unit_test,test_bootplan,tests/unit/test_bootplan.c,imagestore,$(STORE_PKGS))
$(call fuzz_target,bootplan,tests/fuzz/bootplan.c $(STORE_SRC),$(STORE_PKGS))
# What an admin does with them: a part of carrel(1).
KEEP_SRC := $(addprefix images/store/,versions.c disk.c pins.c packages.c check.c gc.c tar.c export.c arrival.c import.c guest.c guest_file.c erofs.c files.c)
$(call library,imagekeep,$(KEEP_SRC))
$(call unit_test,test_image_keep,tests/unit/test_image_keep.c,imagekeep imagestore,$(STORE_PKGS))
$(call fuzz_target,image_keep,tests/fuzz/image_keep.c $(KEEP_SRC) $(STORE_SRC),$(STORE_PKGS))
$(call install_file,broker/man/carrel-image-sign.8,$(MANDIR)/man8,644)

IMAGE_SHARE := $(DATADIR)/images
$(call install_file,images/build/carrel-image-build,$(SBINDIR),755)
$(foreach f,$(wildcard images/build/*.sh),$(call install_file,$(f),$(IMAGE_SHARE)/build,644))
$(foreach f,$(shell find images/recipes -type f),$(call install_file,$(f),$(IMAGE_SHARE)/$(patsubst images/%/,%,$(dir $(f))),$(if $(shell test -x $(f) && echo x),755,644)))
$(foreach f,$(wildcard images/guests/*/*),$(call install_file,$(f),$(IMAGE_SHARE)/$(patsubst images/%/,%,$(dir $(f))),$(if $(shell test -x $(f) && echo x),755,644)))
$(call install_file,broker/man/carrel-agent.8,$(MANDIR)/man8,644)
$(call install_file,broker/man/carrel-image-build.8,$(MANDIR)/man8,644)

# images/client/ has a build.mk of its own
include $(sort $(wildcard images/*/build.mk))
