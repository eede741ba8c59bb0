/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The key pair of RFC 8032, 7.1, test 3, as OpenSSL writes keys. */
#ifndef CARREL_TEST_SIGNING_KEYS_H
#define CARREL_TEST_SIGNING_KEYS_H

static const char private_key[] =
	"-----BEGIN PRIVATE KEY-----\n"
	"MC4CAQAwBQYDK2VwBCIEIMWqjfQ/n4N77bdELzHct7Fm04U1B28JS4XOOi4LRFj3\n"
	"-----END PRIVATE KEY-----\n";
static const char public_key[] = "-----BEGIN PUBLIC KEY-----\n"
				 "MCowBQYDK2VwAyEA/FHNjmIYoaONpH7QAjDwWAgW7RO6MwOsXeuRFUiQgCU=\n"
				 "-----END PUBLIC KEY-----\n";

#endif
