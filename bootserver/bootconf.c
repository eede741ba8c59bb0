/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * carrel-bootconf: renders, from carrel.conf and the published client image, all that dnsmasq,
 * PXELINUX, nginx and the NFS server need. A rendering is a new folder that is checked as a whole
 * and then put in use by one symbolic link; the one before it is kept for --rollback. The program
 * starts and stops no daemon: --commands says how they are run.
 */
#include <glib.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "bootserver/check.h"
#include "bootserver/commands.h"
#include "bootserver/error.h"
#include "images/store/image.h"
#include "bootserver/nfs.h"
#include "bootserver/render.h"
#include "bootserver/tree.h"
#include "bootserver/uki.h"

#define PXELINUX_FOLDERS "/usr/lib/PXELINUX:/usr/lib/syslinux/modules/bios"

struct options {
	char *config, *templates, *pxelinux, *stub; /* owned */
	gboolean check, dry_run, rollback, print_nfs, commands, version;
};

static int fail(GError *error)
{
	gboolean ours = error->domain == BOOTCONF_ERROR;
	int status = ours                              ? error->code
		     : error->domain == IMAGE_ERROR    ? BOOTCONF_IMAGE
		     : error->domain == CONF_ERROR     ? BOOTCONF_CONFIG
		     : error->domain == G_OPTION_ERROR ? BOOTCONF_USAGE
						       : BOOTCONF_FAILED;
	fprintf(stderr, "carrel-bootconf: %s\n", error->message);
	g_error_free(error);
	return status;
}

static gboolean parse_options(int *argc, char ***argv, struct options *options, GError **error)
{
	const GOptionEntry entries[] = {{"config", 'c', 0, G_OPTION_ARG_FILENAME, &options->config,
						"Configuration (" CONF_DEFAULT_FILE ")", "FILE"},
		{"check", 0, 0, G_OPTION_ARG_NONE, &options->check,
			"Render and check, change nothing", NULL},
		{"dry-run", 'n', 0, G_OPTION_ARG_NONE, &options->dry_run,
			"Show what would change, change nothing", NULL},
		{"rollback", 0, 0, G_OPTION_ARG_NONE, &options->rollback,
			"Go back to the rendering before", NULL},
		{"print-nfs", 0, 0, G_OPTION_ARG_NONE, &options->print_nfs,
			"Print kernel, ganesha or off, and why", NULL},
		{"commands", 0, 0, G_OPTION_ARG_NONE, &options->commands,
			"Print the daemons' command lines", NULL},
		{"templates", 0, 0, G_OPTION_ARG_FILENAME, &options->templates,
			"Folder of the templates", "DIR"},
		{"pxelinux", 0, 0, G_OPTION_ARG_STRING, &options->pxelinux,
			"Folders of lpxelinux.0 and ldlinux.c32", "DIR:DIR"},
		{"efi-stub", 0, 0, G_OPTION_ARG_FILENAME, &options->stub,
			"systemd's EFI stub for kernels", "FILE"},
		{"version", 0, 0, G_OPTION_ARG_NONE, &options->version, "Print the version", NULL},
		{NULL, 0, 0, G_OPTION_ARG_NONE, NULL, NULL, NULL}};
	GOptionContext *context = g_option_context_new("- render the boot server");
	g_option_context_add_main_entries(context, entries, NULL);
	gboolean good = g_option_context_parse(context, argc, argv, error);
	g_option_context_free(context);
	if (good && *argc > 1) {
		g_set_error(error, BOOTCONF_ERROR, BOOTCONF_USAGE,
			"%s: no such argument; see carrel-bootconf --help", (*argv)[1]);
		good = FALSE;
	}
	return good;
}

static struct image *published(const struct conf *conf, GError **error)
{
	g_autofree char *key = conf_path(conf, CONF_PATH_PKI, IMAGE_PUBLIC_KEY);
	const char *name = conf_string(conf, CONF_BOOT_IMAGE);
	g_autoptr(GError) cause = NULL;
	struct image *image =
		image_load(conf_string(conf, CONF_PATH_IMAGES), name, "current", key, &cause);

	if (image && image->kind == IMAGE_CLIENT)
		return image;
	if (g_error_matches(cause, IMAGE_ERROR, IMAGE_ERROR_MISSING))
		g_set_error(error, BOOTCONF_ERROR, BOOTCONF_IMAGE,
			"no image `%s` is published: %s; build one with images/client/build", name,
			cause->message);
	else if (!image)
		g_propagate_error(error, g_steal_pointer(&cause));
	else
		g_set_error(error, BOOTCONF_ERROR, BOOTCONF_IMAGE,
			"%s is the image of a desktop, not of PCs; correct [boot] image", name);
	image_free(image);
	return NULL;
}

/* Shows with diff(1) what is different; no diff of a first rendering. */
static void show_changes(const char *boot, const char *folder)
{
	g_autofree char *current = g_build_filename(boot, TREE_CURRENT "/", NULL);
	g_autofree char *out = NULL;
	const char *const argv[] = {"diff", "-urN", "--no-dereference", current, folder, NULL};
	if (!g_file_test(current, G_FILE_TEST_IS_DIR)) {
		printf("nothing was rendered yet; all is new\n");
		return;
	}
	if (g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &out, NULL,
		    NULL, NULL))
		fputs(out && *out ? out : "no change\n", stdout);
}

/*
 * Makes the EFI program of UEFI PCs, in the boot tree or, with `scratch`, in that folder, and the
 * link to it in the generation `folder`.
 */
static gboolean make_efi(const struct site *site, const struct image *image,
	const struct options *options, const char *folder, const char *scratch, GError **error)
{
	struct uki uki;
	gboolean good = uki_init(&uki, site, image, options->stub, error);
	g_autofree char *name = good ? uki_name(&uki, error) : NULL;
	if (name) {
		g_autofree char *words = uki_words(&uki);
		g_autofree char *path = scratch ? g_build_filename(scratch, name, NULL)
						: tree_efi_path(site->boot, image->version, name);
		printf("%s\n", words);
		good = uki_put(&uki, path, error) &&
		       tree_link_efi(folder, image->version, name, error);
	}
	uki_clear(&uki);
	return good && name;
}

/* Rendered and checked in a scratch folder; nothing that is in use is touched. */
static gboolean try_out(const struct site *site, const struct image *image,
	const struct options *options, GError **error)
{
	g_autofree char *scratch = g_dir_make_tmp("carrel-bootconf-XXXXXX", error);
	if (!scratch)
		return FALSE;
	g_autofree char *folder = g_build_filename(scratch, "gen", NULL);
	g_chmod(scratch, 0755);
	g_autoptr(GHashTable) texts = render_all(site, image, error);
	gboolean good = texts &&
			tree_write(folder, texts, options->pxelinux, image->version, error) &&
			make_efi(site, image, options, folder, scratch, error) &&
			check_generation(site, image, folder, error);
	if (good && options->dry_run)
		show_changes(site->boot, folder);
	else if (good)
		printf("good: image %s@%s\n", image->name, image->version);
	tree_remove(scratch);
	return good;
}

static gboolean put_in_use(const struct site *site, const char *folder, GError **error)
{
	g_autofree char *current = g_build_filename(site->boot, TREE_CURRENT, NULL);
	g_autofree char *name = g_strdup_printf("%u", tree_next(site->boot));
	g_autofree char *target = g_build_filename(site->boot, "gen", name, NULL);
	if (tree_same(current, folder)) {
		tree_remove(folder);
		printf("unchanged: generation in use is the same\n");
		return TRUE;
	}
	if (g_rename(folder, target) < 0) {
		g_set_error(error, BOOTCONF_ERROR, BOOTCONF_FAILED, "%s: %s", target,
			g_strerror(errno));
		return FALSE;
	}
	if (!tree_switch(site->boot, name, error))
		return FALSE;
	printf("generation %s is in use; restart dnsmasq, nginx and the NFS server if their files "
	       "changed\n",
		name);
	return TRUE;
}

static gboolean render(const struct site *site, const struct image *image,
	const struct options *options, GError **error)
{
	g_autofree char *folder = g_build_filename(site->boot, "gen", "0.new", NULL);
	if (!tree_prepare(site->boot, error) || !tree_check_reachable(site->boot, error))
		return FALSE;
	tree_remove(folder);
	g_autoptr(GHashTable) texts = render_all(site, image, error);
	gboolean good =
		texts && tree_write(folder, texts, options->pxelinux, image->version, error) &&
		tree_publish(site->boot, image, error) &&
		make_efi(site, image, options, folder, NULL, error) &&
		check_generation(site, image, folder, error) && put_in_use(site, folder, error);
	if (!good)
		tree_remove(folder);
	else
		tree_prune(site->boot);
	return good;
}

static gboolean roll_back(const struct site *site, GError **error)
{
	if (!tree_prepare(site->boot, error))
		return FALSE;
	g_autofree char *name = tree_linked(site->boot, TREE_PREVIOUS);
	if (!name) {
		g_set_error(error, BOOTCONF_ERROR, BOOTCONF_FAILED,
			"%s/" TREE_PREVIOUS ": there is no rendering before this one", site->boot);
		return FALSE;
	}
	if (!tree_check_generation(site->boot, name, error) ||
		!tree_switch(site->boot, name, error))
		return FALSE;
	g_autofree char *version = tree_version(site->boot, name);
	printf("back at generation %s, image version %s; restart dnsmasq, nginx and the NFS server "
	       "if their files changed\n",
		name, version);
	return TRUE;
}

static gboolean print_commands(const struct site *site)
{
	g_autofree char *text = commands_text(site);
	fputs(text, stdout);
	return TRUE;
}

static gboolean run(const struct conf *conf, const struct options *options, GError **error)
{
	g_autofree char *boot = conf_path(conf, CONF_PATH_STATE, "boot");
	g_autofree char *why = NULL;
	struct nfs_host host;
	struct site site = {.conf = conf, .templates = options->templates, .boot = boot};
	g_autofree char *current = g_build_filename(boot, TREE_CURRENT, NULL);
	if (!render_check_site(&site, error))
		return FALSE;
	if (options->commands && nfs_rendered(current, &site.nfs))
		return print_commands(&site);
	nfs_look(boot, &host);
	if (!nfs_choose(conf_string(conf, CONF_BOOT_NFS), &host, &site.nfs, &why, error))
		return FALSE;
	if (options->print_nfs) {
		printf("%s\n%s\n", nfs_name(site.nfs), why);
		return TRUE;
	}
	if (options->commands)
		return print_commands(&site);
	if (options->rollback)
		return roll_back(&site, error);
	struct image *image = published(conf, error);
	gboolean good = image && image_check(image, error);
	if (good) {
		printf("%s\n", why);
		good = options->check || options->dry_run ? try_out(&site, image, options, error)
							  : render(&site, image, options, error);
	}
	image_free(image);
	return good;
}

int main(int argc, char **argv)
{
	struct options options = {0};
	GError *error = NULL;
	int status = 0;
	umask(022);
	if (!parse_options(&argc, &argv, &options, &error)) {
		status = fail(error);
	} else if (options.version) {
		printf("carrel-bootconf " CARREL_VERSION "\n");
	} else {
		if (!options.templates)
			options.templates = g_strdup(CARREL_DATADIR "/bootserver");
		if (!options.pxelinux)
			options.pxelinux = g_strdup(PXELINUX_FOLDERS);
		if (!options.stub)
			options.stub = g_strdup(UKI_STUB);
		struct conf *conf =
			conf_load(options.config ? options.config : CONF_DEFAULT_FILE, &error);
		if (!conf || !run(conf, &options, &error))
			status = fail(error);
		conf_free(conf);
	}
	g_free(options.config);
	g_free(options.templates);
	g_free(options.pxelinux);
	g_free(options.stub);
	return status;
}
