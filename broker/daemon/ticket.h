/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Secrets that carreld makes: a ticket opens one desktop's VNC server once (VNC passwords have at
 * most 8 characters; 62^8 is 47 bits, with a life of seconds); a token is a viewer's right to its
 * login (256 bits). Neither is ever logged or stored; a token's hash may be.
 */
#ifndef CARREL_TICKET_H
#define CARREL_TICKET_H

#include <glib.h>

#define TICKET_LENGTH 8
#define TOKEN_LENGTH 64 /* hexadecimal */

/* Each letter or digit equally likely. Ends the program when the kernel has no randomness. */
void ticket_make(char ticket[TICKET_LENGTH + 1]);
void token_make(char token[TOKEN_LENGTH + 1]);
/* SHA-256 in hexadecimal of `token`. */
void token_hash(const char *token, char hash[65]);
/* In constant time for equal lengths. */
gboolean token_equal(const char *a, const char *b);

/* Wipes and frees a string; NULL is allowed. */
void secret_free(char *secret);
/* Session id (guint64, owned key) -> ticket (owned, wiped). */
GHashTable *ticket_table_new(void);
void ticket_table_put(GHashTable *table, guint64 session, const char *ticket);
/* Takes the ticket out: it is used at most once. The caller gives it to secret_free. */
char *ticket_table_take(GHashTable *table, guint64 session);

#endif
