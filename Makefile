# SPDX-License-Identifier: GPL-2.0-or-later
#
# One make, no recursion: each folder has a build.mk that says which programs, libraries and tests
# it makes, with the four functions below. Everything made goes under $(B), so that `make clean`
# is one rm and the sanitizer build (SAN=1) lives beside the normal one.

VERSION := 0.1.0
PREFIX ?= /usr/local
DESTDIR ?=
SYSCONFDIR ?= /etc
LOCALSTATEDIR ?= /var
RUNDIR ?= /run
# Units go where systemd looks for files of packages; a prefix of one's own keeps them below it.
UNITDIR ?= $(if $(filter /usr /usr/local,$(PREFIX)),/lib/systemd/system,$(PREFIX)/lib/systemd/system)

BINDIR := $(PREFIX)/bin
SBINDIR := $(PREFIX)/sbin
LIBEXECDIR := $(PREFIX)/libexec/carrel
DATADIR := $(PREFIX)/share/carrel
MANDIR := $(PREFIX)/share/man

SAN ?=
B := build/$(if $(SAN),san,out)

CC := gcc
comma := ,
PKG_CONFIG := pkg-config
WARN := -Wall -Wextra -Wshadow -Wconversion -Wvla -Wmissing-prototypes -Wstrict-prototypes -Werror
OPT := $(if $(SAN),-O1 -fno-omit-frame-pointer -fsanitize=address$(comma)undefined -fno-sanitize-recover=undefined,-O2)
PKGS := glib-2.0 gio-2.0 gio-unix-2.0 jansson sqlite3 libmicrohttpd gnutls libvirt libnftables sdl2 SDL2_ttf \
	libvncclient libcurl libdrm libcap-ng libzstd cairo fontconfig
CPPFLAGS += -D_GNU_SOURCE -DCARREL_VERSION='"$(VERSION)"' -DCARREL_PREFIX='"$(PREFIX)"' \
	-DCARREL_SYSCONFDIR='"$(SYSCONFDIR)"' -DCARREL_LOCALSTATEDIR='"$(LOCALSTATEDIR)"' \
	-DCARREL_RUNDIR='"$(RUNDIR)"' -DCARREL_LIBEXECDIR='"$(LIBEXECDIR)"' -DCARREL_DATADIR='"$(DATADIR)"' -I.
PKG_CFLAGS := $(subst -I,-isystem ,$(shell $(PKG_CONFIG) --cflags $(PKGS) 2>/dev/null))
HARDEN := $(if $(SAN),,-D_FORTIFY_SOURCE=2) -fstack-protector-strong -fPIE
CFLAGS += -std=gnu11 -g $(OPT) $(WARN) $(HARDEN) $(PKG_CFLAGS)
LDFLAGS += -pie $(if $(SAN),-fsanitize=address$(comma)undefined,-Wl$(comma)-z$(comma)relro$(comma)-z$(comma)now)

# Folders are compiled in: what was built for others is built again.
FOLDERS := $(PREFIX) $(SYSCONFDIR) $(LOCALSTATEDIR) $(RUNDIR) $(UNITDIR)
FOLDERS_STAMP := $(B)/folders
ifneq ($(shell cat $(FOLDERS_STAMP) 2>/dev/null),$(FOLDERS))
$(shell mkdir -p $(B) && echo '$(FOLDERS)' >$(FOLDERS_STAMP))
endif

PROGRAMS :=
TESTS :=
EXTRA :=
CLEAN_HOOKS :=
FUZZERS :=
INSTALL_HOOKS :=

objs = $(patsubst %.c,$(B)/obj/%.o,$(1))
pkglibs = $(if $(1),$$$$($(PKG_CONFIG) --libs $(1)),)

# $(call library,NAME,SOURCES): $(B)/libNAME.a
define library_
$(B)/lib$(1).a: $(call objs,$(2))
	@mkdir -p $$(@D)
	$$(Q)rm -f $$@ && ar rcs $$@ $$^
ALL_OBJS += $(call objs,$(2))
endef
library = $(eval $(call library_,$(1),$(2)))

# $(call program,NAME,SOURCES,OWN LIBRARIES,PKG-CONFIG NAMES,INSTALL DIRECTORY[,OTHER LINK FLAGS])
define program_
$(B)/$(1): $(call objs,$(2)) $(patsubst %,$(B)/lib%.a,$(3))
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(LDFLAGS) -o $$@ $$^ $(call pkglibs,$(4)) $(6)
PROGRAMS += $(B)/$(1)
ALL_OBJS += $(call objs,$(2))
$(if $(5),INSTALL_PROGRAMS += $(1)>$(5))
endef
program = $(eval $(call program_,$(1),$(2),$(3),$(4),$(5),$(6)))

# $(call unit_test,NAME,SOURCES,OWN LIBRARIES,PKG-CONFIG NAMES[,OTHER LINK FLAGS]): a cmocka program,
# run by `make test`
define unit_test_
$(B)/tests/$(1): $(call objs,$(2)) $(patsubst %,$(B)/lib%.a,$(3))
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(LDFLAGS) -o $$@ $$^ $(call pkglibs,$(4) cmocka) $(5)
TESTS += $(B)/tests/$(1)
ALL_OBJS += $(call objs,$(2))
endef
unit_test = $(eval $(call unit_test_,$(1),$(2),$(3),$(4),$(5)))

# $(call fuzz_target,NAME,SOURCES,PKG-CONFIG NAMES): libFuzzer by clang; the corpus is tests/fuzz/corpus/NAME
define fuzz_target_
$(B)/fuzz/$(1): $(2) Makefile
	@mkdir -p $$(@D)
	$$(Q)clang $$(CPPFLAGS) -std=gnu11 -g -O1 $$(PKG_CFLAGS) -fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=undefined -o $$@ $(2) $(call pkglibs,$(3))
FUZZERS += $(B)/fuzz/$(1)
endef
fuzz_target = $(eval $(call fuzz_target_,$(1),$(2),$(3)))

# $(call install_file,FILE,DIRECTORY,MODE)
define install_file_
INSTALL_FILES += $(1)>$(2)>$(3)
endef
install_file = $(eval $(call install_file_,$(1),$(2),$(3)))

V ?=
Q := $(if $(V),,@)

.DEFAULT_GOAL := all
include $(sort $(wildcard */build.mk) $(wildcard tests/*/build.mk))

all: $(PROGRAMS) $(EXTRA)

$(B)/obj/%.o: %.c $(FOLDERS_STAMP)
	@mkdir -p $(@D)
	@echo "  CC $<"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

-include $(patsubst %.o,%.d,$(sort $(ALL_OBJS)))

install: all $(INSTALL_HOOKS)
	@set -e; for e in $(foreach p,$(INSTALL_PROGRAMS),'$(p)'); do \
		install -D -m 755 "$(B)/$${e%%>*}" "$(DESTDIR)$${e#*>}/$${e%%>*}"; done
	@set -e; for e in $(foreach f,$(INSTALL_FILES),'$(f)'); do \
		f=$${e%%>*}; r=$${e#*>}; install -D -m "$${r#*>}" "$$f" "$(DESTDIR)$${r%%>*}/$$(basename "$$f")"; done

clean: $(CLEAN_HOOKS)
	rm -rf build

format:
	clang-format -i $$(git ls-files '*.c' '*.h')

.PHONY: all install clean format
