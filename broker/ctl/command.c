/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/ctl/command.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

const struct command commands[] = {
	{"status", "", 0, 0, "Users, memory tier, servers, and what needs attention.",
		command_status},
	{"session list", "", 0, 0, "Who is logged in, where, on which desktop.",
		command_session_list},
	{"session end", "ID|USER", 1, 1, "End a session; its desktop is put away in order.",
		command_session_end},
	{"session move", "ID|USER [--to SERVER] [--size MIB] [--wait [SECONDS]]", 1, 1,
		"Hand a running session off to another desktop.", command_session_move},
	{"user add", "NAME [--full-name TEXT] [--password-stdin]", 1, 1,
		"Add a user to carrel's own list.", command_user_add},
	{"user passwd", "NAME [--password-stdin]", 1, 1, "Give a user a new password.",
		command_user_passwd},
	{"user del", "NAME", 1, 1, "Remove a user from the list; the home stays.",
		command_user_del},
	{"user list", "", 0, 0, "The users of carrel's own list.", command_user_list},
	{"server add", "NAME URI", 2, 2,
		"Add a virtualization server, such as qemu+tls://NAME/system.", command_server_add},
	{"server list", "", 0, 0, "The virtualization servers and their memory.",
		command_server_list},
	{"server drain", "NAME [--off|--wait [SECONDS]]", 1, 1,
		"Start no more desktops on a server and move its users; --off takes it back.",
		command_server_drain},
	{"server lost", "NAME --yes", 1, 1,
		"Say that a server which is down is switched off: its users go on elsewhere.",
		command_server_lost},
	{"server remove", "NAME", 1, 1, "Forget a server that has no desktops.",
		command_server_remove},
	{"queue list", "", 0, 0, "Who waits for a desktop, at which position, for how long.",
		command_queue_list},
	{"group add", "NAME [MEMBER...] [--min MIB] [--max MIB]", 1, 4096,
		"Make a group of users or seats, or add to one; sizes of their desktops.",
		command_group_add},
	{"group list", "", 0, 0, "The groups.", command_group_list},
	{"group show", "NAME", 1, 1, "One group with all its members.", command_group_show},
	{"group remove", "NAME [MEMBER...]", 1, 4096, "Remove members of a group, or all of it.",
		command_group_remove},
	{"reservation add",
		"--group NAME|--users FILE --when TIME|--from DATE --until DATE --seats N "
		"[--min MIB]",
		0, 0, "Keep seats for a class at a time of the week, or once.",
		command_reservation_add},
	{"reservation list", "", 0, 0, "The reservations, and how many seats are taken.",
		command_reservation_list},
	{"reservation show", "ID", 1, 1, "One reservation with all its users.",
		command_reservation_show},
	{"reservation remove", "ID", 1, 1, "Forget a reservation.", command_reservation_remove},
	{"seat list", "[--room ROOM]", 0, 0, "The PCs: names, who sits there, when they were seen.",
		command_seat_list},
	{"seat show", "SEAT...", 1, 4096, "All that is known of some seats.", command_seat_show},
	{"seat name", "SEAT ROOM/NAME", 2, 2, "Give a PC a name that no other has.",
		command_seat_name},
	{"seat move", "SEAT ROOM/NAME", 2, 2,
		"Give a PC that name, and take it from the PC that has it.", command_seat_move},
	{"seat approve", "SEAT...", 1, 4096, "Let people log in at PCs that wait for approval.",
		command_seat_approve},
	{"seat forget", "SEAT...", 1, 4096, "Forget PCs that are gone.", command_seat_forget},
	{"seat set",
		"SEAT... [language=en|ko] [channel=stable|testing] [kernel=OPTIONS] "
		"[screen=WIDTHxHEIGHT[@HZ]|preferred] [keyboard=LAYOUT[(VARIANT)]]",
		2, 4096,
		"Give some seats a language, a keyboard, a mode of the screen, or what they boot.",
		command_seat_set},
	{"seat poweroff", "SEAT...", 1, 4096,
		"Have PCs at which nobody sits switch themselves off.", command_seat_poweroff},
	{"seat reboot", "SEAT...", 1, 4096, "Have PCs at which nobody sits boot again.",
		command_seat_reboot},
	{"seat wake", "SEAT...", 1, 4096, "Switch PCs on by Wake-on-LAN.", command_seat_wake},
	{"seat import", "FILE|- [--dry-run]", 1, 1,
		"Name many PCs by a CSV file: columns mac, name, and settings if wanted.",
		command_seat_import},
	{"seat export", "[ROOM]", 0, 1, "Write such a file to standard output.",
		command_seat_export},
	{"desktop list", "", 0, 0, "Every desktop and its state.", command_desktop_list},
	{"desktop show", "ID", 1, 1, "One desktop, and its hand-off.", command_desktop_show},
	{"desktop move", "ID [--to SERVER] [--wait [SECONDS]]", 1, 1,
		"Hand the desktop's session off to another desktop of its size.",
		command_desktop_move},
	{"desktop resize", "ID MIB [--wait [SECONDS]]", 2, 2,
		"Give the desktop's session another size.", command_desktop_resize},
	{"desktop destroy", "ID [--yes]", 1, 1,
		"Destroy a desktop; with --yes one that somebody uses.", command_desktop_destroy},
	{"image status", "", 0, 0,
		"Which versions of the desktops' and the PCs' image are in which channel, who "
		"tries one out, which servers have them.",
		command_image_status},
	{"image publish", "NAME@VERSION [--no-wait]", 1, 1,
		"Send a version to the servers, or to the boot server; it is the testing one then.",
		command_image_publish},
	{"image try", "NAME@VERSION [MEMBER...] [--seats SEAT,...] [--group NAME] [--none]", 1,
		4096, "Give the testing version to some users or seats.", command_image_try},
	{"image promote", "NAME@VERSION [--canary N] [--within MINUTES] [--no-wait]", 1, 1,
		"Give a version to all new sessions, or PCs that boot; it is taken back when it "
		"does not work.",
		command_image_promote},
	{"image rollback", "[NAME] [--reason TEXT]", 0, 1,
		"Give new sessions, or with the name of their image PCs, the version before again.",
		command_image_rollback},
	{"image cancel", "[NAME]", 0, 1,
		"Give up the version that is on its way to the servers, or to PCs.",
		command_image_cancel},
	{"image list", "[NAME]", 0, 1, "The versions of images on this machine's disk.",
		command_image_list},
	{"image show", "NAME[@VERSION]", 1, 1, "All that is known of a version.",
		command_image_show},
	{"image diff", "NAME[@VERSION] NAME[@VERSION] [--packages] [--files]", 2, 2,
		"What differs between two versions: packages, and files of the root image.",
		command_image_diff},
	{"image log", "NAME[@VERSION]", 1, 1, "What the build of a version said.",
		command_image_log},
	{"image verify", "[NAME[@VERSION]...]", 0, 4096,
		"Check signature, sums and dm-verity tree of versions, or of all.",
		command_image_verify},
	{"image pin", "NAME[@VERSION] [--reason TEXT]", 1, 1, "Keep a version, whatever gc says.",
		command_image_pin},
	{"image unpin", "NAME[@VERSION]", 1, 1, "Take a pin away.", command_image_unpin},
	{"image gc", "[--keep N] [--dry-run] [--offline --yes]", 0, 0,
		"Remove versions that nobody needs, and what killed builds have left.",
		command_image_gc},
	{"image export", "NAME[@VERSION] FILE|-", 2, 2, "Write a version as one tar file.",
		command_image_export},
	{"image import",
		"FILE|- [--trust PUBKEY] [--name NAME [--firmware bios|uefi] [--agent "
		"carrel|qemu-ga]]",
		1, 1,
		"Take a version from such a file, once it is known whom it is from; or make one "
		"of the disk of a guest, FILE.qcow2, .raw, .vmdk or .vhdx.",
		command_image_import},
	{"image build", "RECIPE [OPTION...]", 0, 0,
		"Build a version by carrel-image-build, whose options follow.",
		command_image_build},
	{"volume list", "", 0, 0, "The users' homes, and what is promised against what is there.",
		command_volume_list},
	{"volume show", "USER [--log]", 1, 1,
		"One home and its snapshots; --log: what its last check said.",
		command_volume_show},
	{"volume snapshot", "USER", 1, 1, "Keep a copy of a home that nobody uses.",
		command_volume_snapshot},
	{"volume restore", "USER SNAPSHOT --yes", 2, 2,
		"Give a home the contents of a snapshot, all of it or nothing.",
		command_volume_restore},
	{"volume drop", "USER SNAPSHOT", 2, 2, "Delete a snapshot.", command_volume_drop},
	{"volume check", "USER [--repair]", 1, 1,
		"Check a home's file system; --repair: mend it, and keep it as it was.",
		command_volume_check},
	{"volume grow", "USER --size SIZE", 1, 1, "Make a home larger; it is never made smaller.",
		command_volume_grow},
	{"volume export", "USER [FILE]", 1, 2,
		"Write a home to a file of the boot server, a raw image.", command_volume_export},
	{"volume import", "USER FILE --yes", 2, 2,
		"Give a home the contents of such a file, all of it or nothing.",
		command_volume_import},
	{"volume cancel", "USER", 1, 1,
		"Call off what is being done to a home; it stays as it was.",
		command_volume_cancel},
	{"volume delete", "USER --yes", 1, 1,
		"Delete a home and its snapshots; the next login makes a new one.",
		command_volume_delete},
	{"boot key make", "[--force]", 0, 0,
		"Make the key with which the site signs what UEFI PCs start, and what to enrol.",
		command_boot_key_make},
	{"boot key show", "", 0, 0, "Its fingerprint and end, and the files to enrol.",
		command_boot_key_show},
	{"ledger", "", 0, 0, "Where the time of the last logins went, ms.", command_ledger},
	{"reload", "", 0, 0, "Let carreld read carrel.conf again.", command_reload},
	{"plan",
		"--servers LIST|--live --max SIZE --min SIZE [--standby K] [--host-reserve SIZE] "
		"[--overhead SIZE] [--users N] [--fail NAME|INDEX] [--seats N] [--chart FILE]",
		0, 0,
		"What each number of users gets, and what if a server fails; see carrel-plan(1).",
		command_plan},
	{"simulate",
		"--servers LIST --max SIZE --min SIZE --trace FILE [--standby K] [--host-reserve "
		"SIZE] "
		"[--overhead SIZE]",
		0, 0, "Play a trace of arrivals, departures and losses; see carrel-simulate(1).",
		command_simulate},
	{"config check", "[FILE]", 0, 1, "Check a configuration; says FILE:LINE: and the mistake.",
		command_config_check},
	{"config show", "", 0, 0, "Every key with its value and where it comes from.",
		command_config_show},
};
const size_t commands_count = G_N_ELEMENTS(commands);

const struct command *command_find(char **words, int *used)
{
	for (size_t i = 0; i < commands_count; i++) {
		g_auto(GStrv) own = g_strsplit(commands[i].words, " ", -1);
		int n = 0;

		while (own[n] && words[n] && !strcmp(own[n], words[n]))
			n++;
		if (!own[n]) {
			*used = n;
			return &commands[i];
		}
	}
	return NULL;
}

int command_become(const char *name, const char **argv)
{
	g_autofree char *found = g_find_program_in_path(name);
	g_autofree char *installed = g_build_filename(CARREL_PREFIX "/sbin", name, NULL);

	argv[0] = found ? found : installed;
	if (!found && !g_file_test(installed, G_FILE_TEST_IS_EXECUTABLE)) {
		fprintf(stderr,
			"carrel: there is no %s in " CARREL_PREFIX
			"/sbin nor in PATH: install Carrel on this machine\n",
			name);
		return EXIT_FAILED;
	}
	execv(argv[0], (char **)argv);
	fprintf(stderr, "carrel: cannot run %s: %s\n", argv[0], g_strerror(errno));
	return EXIT_FAILED;
}

char *command_list(void)
{
	GString *out = g_string_new("Commands:\n");

	for (size_t i = 0; i < commands_count; i++) {
		g_autofree char *usage =
			g_strdup_printf("%s %s", commands[i].words, commands[i].args);

		g_string_append_printf(
			out, "  %s\n      %s\n", g_strchomp(usage), commands[i].help);
	}
	return g_string_free(out, FALSE);
}
