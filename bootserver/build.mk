# SPDX-License-Identifier: GPL-2.0-or-later
BOOTSERVER_SRC := $(addprefix bootserver/,check.c commands.c nfs.c pe.c render.c template.c tree.c uki.c wish.c)
BOOTSERVER_PKGS := glib-2.0 gio-2.0 gio-unix-2.0 jansson

$(call library,bootserver,$(BOOTSERVER_SRC))
$(call program,carrel-bootconf,bootserver/bootconf.c,bootserver imagestore shared,$(BOOTSERVER_PKGS) gnutls,$(SBINDIR))
$(foreach t,$(sort $(wildcard bootserver/templates/*.in)),$(call install_file,$(t),$(DATADIR)/bootserver,644))
$(call install_file,broker/man/carrel-bootconf.8,$(MANDIR)/man8,644)

$(call unit_test,test_boot_render,tests/unit/test_boot_render.c,bootserver imagestore shared client,$(BOOTSERVER_PKGS) gnutls)
$(call unit_test,test_boot_pe,tests/unit/test_boot_pe.c,bootserver,$(BOOTSERVER_PKGS))
$(call fuzz_target,boot_pe,tests/fuzz/boot_pe.c bootserver/pe.c,glib-2.0)
