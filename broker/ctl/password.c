/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/ctl/password.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define PASSWORD_MAX 1024

static char *read_line(FILE *in)
{
	char buffer[PASSWORD_MAX + 2];
	char *line = NULL;

	/* No buffer of the library's own keeps a copy. */
	setvbuf(in, NULL, _IONBF, 0);
	if (fgets(buffer, sizeof(buffer), in)) {
		buffer[strcspn(buffer, "\r\n")] = 0;
		line = g_strdup(buffer);
	}
	explicit_bzero(buffer, sizeof(buffer));
	return line;
}

void password_free(char *password)
{
	if (password)
		explicit_bzero(password, strlen(password));
	g_free(password);
}

static char *ask(FILE *terminal, const char *prompt)
{
	struct termios old, silent;
	char *line;

	if (tcgetattr(fileno(terminal), &old) < 0)
		return NULL;
	silent = old;
	silent.c_lflag &= ~(tcflag_t)ECHO;
	tcsetattr(fileno(terminal), TCSAFLUSH, &silent);
	fputs(prompt, terminal);
	fflush(terminal);
	line = read_line(terminal);
	tcsetattr(fileno(terminal), TCSAFLUSH, &old);
	fputs("\n", terminal);
	return line;
}

static char *ask_twice(const char *user, GError **error)
{
	FILE *terminal = fopen("/dev/tty", "r+e");
	g_autofree char *prompt = g_strdup_printf("New password of %s: ", user);
	char *first, *second;

	if (!terminal) {
		g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED,
			"there is no terminal to ask for the password; give it on standard input "
			"with --password-stdin");
		return NULL;
	}
	first = ask(terminal, prompt);
	second = first ? ask(terminal, "The same again: ") : NULL;
	fclose(terminal);
	if (!first || !second || strcmp(first, second) != 0) {
		g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED,
			"the two are not the same; nothing is changed");
		password_free(first);
		first = NULL;
	}
	password_free(second);
	return first;
}

char *password_read(gboolean from_stdin, const char *user, GError **error)
{
	char *password;

	if (!from_stdin)
		return ask_twice(user, error);
	password = read_line(stdin);
	if (!password)
		g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED,
			"there is no password on standard input");
	return password;
}
