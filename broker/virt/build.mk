# SPDX-License-Identifier: GPL-2.0-or-later
# carrel-virtd; all but main and the driver on libvirt is a library, which the tests drive with a fake.
VIRT_DRIVER := $(sort $(wildcard broker/virt/driver_libvirt*.c))
VIRT_SRC := $(filter-out broker/virt/main.c $(VIRT_DRIVER),$(sort $(wildcard broker/virt/*.c)))
VIRT_PKGS := glib-2.0 gio-2.0 gio-unix-2.0 jansson gnutls
$(call library,virt,$(VIRT_SRC))
$(call program,carrel-virtd,broker/virt/main.c $(VIRT_DRIVER),virt imagestore shared,$(VIRT_PKGS) libvirt,$(LIBEXECDIR))

# The first process of a lab server (tests/lab/lab-server).
$(call program,lab-reaper,tests/lab/reaper.c)

$(call unit_test,test_virt_text,tests/unit/test_virt_text.c,virt imagestore shared,$(VIRT_PKGS))
$(call unit_test,test_virt_worker,tests/unit/test_virt_worker.c tests/unit/test_virt_fake.c tests/unit/test_virt_image.c,virt imagestore shared,$(VIRT_PKGS))
$(call unit_test,test_virt_watch,tests/unit/test_virt_watch.c tests/unit/test_virt_fake.c,virt imagestore shared,$(VIRT_PKGS))
$(call unit_test,test_virt_storage,tests/unit/test_virt_storage.c tests/unit/test_virt_fake.c,virt imagestore shared,$(VIRT_PKGS))
$(call unit_test,test_virt_delivery,tests/unit/test_virt_delivery.c tests/unit/test_virt_fake.c tests/unit/test_virt_image.c,virt imagestore shared,$(VIRT_PKGS))

$(call unit_test,test_virt_guest,tests/unit/test_virt_guest.c,virt imagestore shared,$(VIRT_PKGS))
$(call unit_test,test_virt_overlay,tests/unit/test_virt_overlay.c tests/unit/test_virt_fake.c tests/unit/test_virt_image.c,virt imagestore shared,$(VIRT_PKGS))

VIRT_FUZZ := broker/virt/worker.c $(filter-out broker/virt/worker.c,$(VIRT_SRC)) images/store/image.c images/store/signature.c $(SHARED_SRC)
$(call fuzz_target,virt_lines,tests/fuzz/virt_lines.c broker/virt/lines.c,$(VIRT_PKGS))
$(call fuzz_target,virt_domain,tests/fuzz/virt_domain.c $(VIRT_FUZZ),$(VIRT_PKGS))
$(call fuzz_target,virt_volume,tests/fuzz/virt_volume.c $(VIRT_FUZZ),$(VIRT_PKGS))
$(call fuzz_target,virt_request,tests/fuzz/virt_request.c $(VIRT_FUZZ),$(VIRT_PKGS))
$(call fuzz_target,virt_guest,tests/fuzz/virt_guest.c broker/virt/guest_agent.c broker/virt/lines.c,glib-2.0 jansson)

$(call install_file,scripts/prepare-server,$(SBINDIR),755)
$(call install_file,scripts/carrel-pki,$(SBINDIR),755)
VIRT_TEMPLATES := $(sort $(wildcard scripts/prepare-server.d/*))
$(foreach f,$(VIRT_TEMPLATES),$(call install_file,$(f),$(DATADIR)/prepare-server.d,644))
$(foreach m,carrel-virtd prepare-server carrel-pki,$(call install_file,broker/man/$(m).8,$(MANDIR)/man8,644))
