# SPDX-License-Identifier: GPL-2.0-or-later
$(call library,auth,broker/auth/name.c broker/auth/password.c broker/auth/users.c broker/auth/pam.c broker/auth/request.c broker/auth/job.c)
AUTH_PKGS := $(SHARED_PKGS) pam libcrypt
$(call program,carrel-authd,broker/auth/authd.c,auth shared,$(AUTH_PKGS),$(SBINDIR))
# The service file has the name that [auth] pam_service has by default.
$(call install_file,broker/auth/pam.d/carrel,$(SYSCONFDIR)/pam.d,644)
$(call unit_test,test_auth,tests/unit/test_auth.c,auth shared,$(AUTH_PKGS))
AUTH_FUZZED := broker/auth/name.c broker/auth/password.c broker/auth/users.c broker/auth/pam.c broker/auth/request.c
$(call fuzz_target,authd_request,tests/fuzz/authd_request.c $(AUTH_FUZZED) $(SHARED_SRC),$(AUTH_PKGS))
$(call fuzz_target,authd_users,tests/fuzz/authd_users.c broker/auth/users.c broker/auth/name.c,glib-2.0)
$(call install_file,broker/man/carrel-authd.8,$(MANDIR)/man8,644)
