# SPDX-License-Identifier: GPL-2.0-or-later
# systemd units for real hosts, with the folders of this build put in.
UNITS := $(patsubst scripts/systemd/%.in,%,$(sort $(wildcard scripts/systemd/*.service.in scripts/systemd/*.socket.in scripts/systemd/*.path.in)))
SYSTEMD := $(B)/systemd
SYSTEMD_FILES := $(addprefix $(SYSTEMD)/,$(UNITS) boot-run sysusers/carrel.conf tmpfiles/carrel.conf logrotate)
SYSTEMD_SED := $(foreach d,SBINDIR LIBEXECDIR RUNDIR LOCALSTATEDIR SYSCONFDIR,-e 's|@$(d)@|$($(d))|g')
# sysusers.d and tmpfiles.d lie beside the units' folder.
SYSTEMD_LIB := $(patsubst %/systemd/system,%,$(UNITDIR))

$(SYSTEMD)/sysusers/carrel.conf: scripts/systemd/carrel.sysusers.in
$(SYSTEMD)/tmpfiles/carrel.conf: scripts/systemd/carrel.tmpfiles.in
$(SYSTEMD)/logrotate: scripts/systemd/carrel.logrotate.in
$(SYSTEMD)/boot-run: scripts/systemd/boot-run.in
$(addprefix $(SYSTEMD)/,$(UNITS)): $(SYSTEMD)/%: scripts/systemd/%.in
$(SYSTEMD_FILES):
	@mkdir -p $(@D)
	$(Q)sed $(SYSTEMD_SED) $< >$@
$(SYSTEMD_FILES): $(FOLDERS_STAMP) scripts/build.mk

EXTRA += $(SYSTEMD_FILES)
$(foreach u,$(UNITS),$(call install_file,$(SYSTEMD)/$(u),$(UNITDIR),644))
$(call install_file,scripts/systemd/carrel.target,$(UNITDIR),644)
$(call install_file,$(SYSTEMD)/boot-run,$(LIBEXECDIR),755)
$(call install_file,$(SYSTEMD)/sysusers/carrel.conf,$(SYSTEMD_LIB)/sysusers.d,644)
$(call install_file,$(SYSTEMD)/tmpfiles/carrel.conf,$(SYSTEMD_LIB)/tmpfiles.d,644)
$(call install_file,$(SYSTEMD)/logrotate,$(SYSCONFDIR)/logrotate.d/carrel,644)
