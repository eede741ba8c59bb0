/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The commands of carrel(1) are one table; help, the manual page's check and the dispatch read it.
 * A command returns the exit status: 0 done, 1 refused or not reachable, 2 wrong use.
 */
#ifndef CARREL_COMMAND_H
#define CARREL_COMMAND_H

#include <glib.h>
#include <jansson.h>

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* What was said on the command line beside the command's own words; all borrowed. */
struct context {
	const char *conf_path;
	gboolean json, password_stdin, off, force;
	const char *full_name;            /* NULL: not given */
	const struct plan_args *plan;     /* options of plan and simulate */
	const struct policy_args *policy; /* of the group and reservation commands */
	const struct move_args *move;     /* of the session, desktop, server and volume commands */
	const struct image_args *image;   /* of the image commands */
	const struct seat_args *seat;     /* of the seat commands */
	char **args;                      /* after the command's words, NULL at the end */
};

struct command {
	const char *words; /* "session end" */
	const char *args;  /* for help: "ID" */
	int least, most;   /* number of arguments */
	const char *help;
	int (*run)(const struct context *context);
};

extern const struct command commands[];
extern const size_t commands_count;

/*
 * The command that begins `words` (a NULL-terminated list); `used` is how many of the words it is.
 * NULL when there is none.
 */
const struct command *command_find(char **words, int *used);

/* The command's first word on a whole command line, before its options are known; or NULL. */
const char *command_first_word(char *const *argv);

/* Which options of a family, as bits, a command has. */
struct command_options {
	const char *command; /* its words */
	unsigned options;
};

/* The name of the first option `given` that `command` does not have by `table`; NULL: it has all.
 * Bit i is names[i]. */
const char *command_stray(const char *command, const struct command_options *table, size_t rows,
	const char *const *names, size_t count, unsigned given);

/*
 * Becomes one of Carrel's own programs for root: the admin's PATH may lead to another one, which he
 * is testing; else the installed one. `argv` ends with NULL; argv[0] is filled in. Returns only
 * when that fails: EXIT_FAILED, and it is said why.
 */
int command_become(const char *name, const char **argv);

/* A line for each command, for --help; the caller frees it. */
char *command_list(void);

int command_status(const struct context *context);
int command_session_list(const struct context *context);
int command_session_end(const struct context *context);
int command_session_move(const struct context *context);
int command_user_add(const struct context *context);
int command_user_passwd(const struct context *context);
int command_user_del(const struct context *context);
int command_user_list(const struct context *context);
int command_server_add(const struct context *context);
int command_server_list(const struct context *context);
int command_server_drain(const struct context *context);
int command_server_lost(const struct context *context);
int command_server_remove(const struct context *context);
int command_desktop_list(const struct context *context);
int command_desktop_show(const struct context *context);
int command_desktop_move(const struct context *context);
int command_desktop_resize(const struct context *context);
int command_desktop_destroy(const struct context *context);
int command_image_status(const struct context *context);
int command_image_publish(const struct context *context);
int command_image_try(const struct context *context);
int command_image_promote(const struct context *context);
int command_image_rollback(const struct context *context);
int command_image_cancel(const struct context *context);
int command_volume_list(const struct context *context);
int command_volume_show(const struct context *context);
int command_volume_snapshot(const struct context *context);
int command_volume_restore(const struct context *context);
int command_volume_drop(const struct context *context);
int command_volume_check(const struct context *context);
int command_volume_grow(const struct context *context);
int command_volume_export(const struct context *context);
int command_volume_import(const struct context *context);
int command_volume_cancel(const struct context *context);
int command_volume_delete(const struct context *context);
int command_seat_list(const struct context *context);
int command_seat_show(const struct context *context);
int command_seat_name(const struct context *context);
int command_seat_move(const struct context *context);
int command_seat_approve(const struct context *context);
int command_seat_forget(const struct context *context);
int command_seat_set(const struct context *context);
int command_seat_poweroff(const struct context *context);
int command_seat_reboot(const struct context *context);
int command_seat_wake(const struct context *context);
int command_seat_import(const struct context *context);
int command_seat_export(const struct context *context);
int command_ledger(const struct context *context);
int command_reload(const struct context *context);
int command_queue_list(const struct context *context);
int command_group_add(const struct context *context);
int command_group_list(const struct context *context);
int command_group_show(const struct context *context);
int command_group_remove(const struct context *context);
int command_reservation_add(const struct context *context);
int command_reservation_list(const struct context *context);
int command_reservation_show(const struct context *context);
int command_reservation_remove(const struct context *context);
int command_image_list(const struct context *context);
int command_image_show(const struct context *context);
int command_image_diff(const struct context *context);
int command_image_log(const struct context *context);
int command_image_verify(const struct context *context);
int command_image_pin(const struct context *context);
int command_image_unpin(const struct context *context);
int command_image_gc(const struct context *context);
int command_image_export(const struct context *context);
int command_image_import(const struct context *context);
int command_image_build(const struct context *context);
int command_boot_key_make(const struct context *context);
int command_boot_key_show(const struct context *context);
int command_plan(const struct context *context);
int command_simulate(const struct context *context);
int command_config_check(const struct context *context);
int command_config_show(const struct context *context);

#endif
