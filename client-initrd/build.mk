# SPDX-License-Identifier: GPL-2.0-or-later
# The two programs of a client, static: neither the initramfs nor a broken root image has libraries.
CLIENT_COMMON := $(addprefix client-initrd/,ask.c boot.c dhcp.c dhcpc.c http.c modules.c net.c params.c report.c \
	screen.c sha256.c uevent.c util.c) images/verity/verity.c
CLIENT_STATIC := $(if $(SAN),,-static-pie)
CLIENT_DIR := $(DATADIR)/client-initrd

$(call library,client,$(CLIENT_COMMON))
$(call program,carrel-init,$(addprefix client-initrd/,init.c fetch.c root.c),client,,$(LIBEXECDIR),$(CLIENT_STATIC))
$(call program,carrel-root-init,$(addprefix client-initrd/,root-init.c display.c drivers.c firmware.c viewer.c),client,libzstd,$(LIBEXECDIR),$(CLIENT_STATIC))
# what carrel-image-build (images/build/client.sh) makes the PCs' image with
$(foreach f,build copy-modules list-firmware,$(call install_file,client-initrd/$(f),$(CLIENT_DIR),755))

$(call unit_test,test_boot_params,tests/unit/test_boot_params.c,client,)
$(call unit_test,test_boot_dhcp,tests/unit/test_boot_dhcp.c,client,)
$(call unit_test,test_boot_http,tests/unit/test_boot_http.c,client,)
$(call unit_test,test_boot_files,tests/unit/test_boot_files.c,client,)
$(call unit_test,test_boot_fetch,tests/unit/test_boot_fetch.c client-initrd/fetch.c,client,)

$(call unit_test,test_drivers,tests/unit/test_drivers.c client-initrd/drivers.c client-initrd/firmware.c,client,libzstd)

$(call fuzz_target,boot_params,tests/fuzz/boot_params.c client-initrd/params.c client-initrd/util.c images/verity/verity.c,)
$(call fuzz_target,boot_dhcp,tests/fuzz/boot_dhcp.c client-initrd/dhcp.c,)
$(call fuzz_target,boot_http,tests/fuzz/boot_http.c client-initrd/http.c client-initrd/util.c,)
