/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/daemon/ticket.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

static void random_bytes(unsigned char *bytes, size_t size)
{
	/* Requests up to 256 bytes are never cut short once the pool is ready. */
	if (getrandom(bytes, size, 0) != (ssize_t)size)
		g_error("the kernel gave no random bytes");
}

void ticket_make(char ticket[TICKET_LENGTH + 1])
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	unsigned char byte;

	for (int i = 0; i < TICKET_LENGTH;) {
		random_bytes(&byte, 1);
		/* 248 = 4 * 62: the rest is thrown away, else some letters were likelier. */
		if (byte < 248)
			ticket[i++] = alphabet[byte % 62];
	}
	ticket[TICKET_LENGTH] = 0;
}

void token_make(char token[TOKEN_LENGTH + 1])
{
	unsigned char bytes[TOKEN_LENGTH / 2];

	random_bytes(bytes, sizeof(bytes));
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(token + 2 * i, 3, "%02x", bytes[i]);
	explicit_bzero(bytes, sizeof(bytes));
}

void token_hash(const char *token, char hash[65])
{
	g_autofree char *digest = g_compute_checksum_for_string(G_CHECKSUM_SHA256, token, -1);

	g_strlcpy(hash, digest, 65);
}

gboolean token_equal(const char *a, const char *b)
{
	size_t length = strlen(a);
	unsigned difference = 0;

	if (strlen(b) != length)
		return FALSE;
	for (size_t i = 0; i < length; i++)
		difference |= (unsigned)(unsigned char)a[i] ^ (unsigned)(unsigned char)b[i];
	return difference == 0;
}

void secret_free(char *secret)
{
	if (secret)
		explicit_bzero(secret, strlen(secret));
	g_free(secret);
}

GHashTable *ticket_table_new(void)
{
	return g_hash_table_new_full(
		g_int64_hash, g_int64_equal, g_free, (GDestroyNotify)secret_free);
}

void ticket_table_put(GHashTable *table, guint64 session, const char *ticket)
{
	g_hash_table_replace(table, g_memdup2(&session, sizeof(session)), g_strdup(ticket));
}

char *ticket_table_take(GHashTable *table, guint64 session)
{
	gpointer key = NULL, ticket = NULL;

	if (!g_hash_table_steal_extended(table, &session, &key, &ticket))
		return NULL;
	g_free(key);
	return ticket;
}
