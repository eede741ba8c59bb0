# SPDX-License-Identifier: GPL-2.0-or-later
$(call library,auth,broker/auth/name.c broker/auth/password.c broker/auth/users.c broker/auth/pam.c broker/auth/request.c broker/auth/job.c)
AUTH_PKGS := $(SHARED_PKGS) pam libcrypt
$(call program,carrel-authd,broker/auth/authd.c,auth shared,$(AUTH_PKGS),$(SBINDIR))
