# SPDX-License-Identifier: GPL-2.0-or-later
$(call library,store,broker/store/store.c)
$(call unit_test,test_store,tests/unit/test_store.c,store core shared,$(SHARED_PKGS) sqlite3)
