/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Prints carrel.conf(5): standard input, with the line `@KEYS@` replaced by the table of keys, so
 * that the manual page cannot differ from the program.
 */
#include "broker/shared/conf.h"

#include <stdio.h>
#include <string.h>

/* Text for mdoc: no backslash acts, and no line begins with a control character. */
static void put_text(const char *text)
{
	if (*text == '.' || *text == '\'')
		fputs("\\&", stdout);
	for (; *text; text++) {
		if (*text == '\\')
			fputs("\\e", stdout);
		else
			putchar(*text);
	}
}

static void put_allowed(const struct conf_key *key)
{
	g_auto(GStrv) choices = g_strsplit(key->choices ? key->choices : "", "|", -1);
	g_autofree char *list = g_strjoinv(", ", choices);

	switch (key->type) {
	case CONF_STRING:
		puts("Text.");
		break;
	case CONF_NAME:
		puts("One word: a name.");
		break;
	case CONF_INTERFACE:
		puts("The name of a network interface.");
		break;
	case CONF_INT:
		printf("A whole number from %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT ".\n",
			key->min, key->max);
		break;
	case CONF_TIME:
		puts("A time of the day, as 03:00.");
		break;
	case CONF_ENUM:
		printf("One of: %s.\n", list);
		break;
	case CONF_ENUM_TIME:
		printf("One of: %s; or a time of the day, as 22:30.\n", list);
		break;
	case CONF_CIDR:
		puts("An IPv4 address with the length of the prefix.");
		break;
	case CONF_RANGE:
		puts("Two IPv4 addresses with a dash between them.");
		break;
	case CONF_PATH:
		puts("An absolute path.");
		break;
	case CONF_COMMAND:
		puts("The absolute path of a program and its words.\n"
		     "Quotes work as in a shell, nothing else does; a backslash is written twice.");
		break;
	}
}

static void put_keys(void)
{
	const char *group = "";

	for (int id = 0; id < CONF_COUNT; id++) {
		const struct conf_key *key = &conf_table[id];

		if (strcmp(group, key->group) != 0) {
			printf("%s.Ss [%s]\n.Bl -tag -width Ds\n", *group ? ".El\n" : "",
				key->group);
			group = key->group;
		}
		printf(".It Li %s\n", key->key);
		put_text(key->help);
		putchar('\n');
		put_allowed(key);
		if (*key->default_value) {
			printf("The default is\n.Dq ");
			put_text(key->default_value);
			puts(" .");
		} else {
			puts("There is none by default.");
		}
	}
	puts(".El");
}

int main(void)
{
	char line[1024];
	int found = 0;

	while (fgets(line, sizeof(line), stdin)) {
		if (strcmp(line, "@KEYS@\n") != 0) {
			fputs(line, stdout);
			continue;
		}
		put_keys();
		found++;
	}
	return found == 1 && fflush(stdout) == 0 ? 0 : 1;
}
