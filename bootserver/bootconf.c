/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * carrel-bootconf: renders, from carrel.conf, carreld's boot plan and the client images that it
 * names, all that dnsmasq, PXELINUX, nginx and the NFS server need. A rendering is a new folder
 * that is checked as a whole and then put in use by one symbolic link; the one before it is kept
 * for --rollback. The program starts and stops no daemon: --commands says how they are run.
 */
#include <glib.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "bootserver/check.h"
#include "bootserver/commands.h"
#include "bootserver/error.h"
#include "bootserver/nfs.h"
#include "bootserver/render.h"
#include "bootserver/tree.h"
#include "bootserver/uki.h"
#include "bootserver/wish.h"

#define PXELINUX_FOLDERS "/usr/lib/PXELINUX:/usr/lib/syslinux/modules/bios"
#define SHIM_FOLDERS "/usr/lib/shim:/usr/lib/grub/x86_64-efi-signed"

struct options {
	char *config, *templates, *pxelinux, *shim, *stub; /* owned */
	gboolean check, dry_run, rollback, print_nfs, commands, version;
};

/* What a rendering is made of, and where. */
struct work {
	const struct site *site;
	const struct options *options;
	const struct wish *wish;
	const char *folder;  /* the generation */
	const char *scratch; /* NULL: the boot tree itself is written */
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
		{"shim", 0, 0, G_OPTION_ARG_STRING, &options->shim,
			"Folders of shimx64.efi.signed and grubnetx64.efi.signed", "DIR:DIR"},
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
 * Makes the EFI program of UEFI PCs that boot `image` with `kernel`, in the boot tree or, with
 * `scratch`, in that folder, and the link to it in `served` of the generation `folder`. `words`
 * (owned by the caller): who vouches for it.
 */
static gboolean make_efi(const struct work *work, const struct image *image, const char *kernel,
	const char *served, char **words, GError **error)
{
	struct uki uki;
	gboolean good = uki_init(&uki, work->site, image, kernel, work->options->stub, error);
	g_autofree char *name = good ? uki_name(&uki, error) : NULL;
	if (name) {
		g_autofree char *path =
			work->scratch ? g_build_filename(work->scratch, name, NULL)
				      : tree_efi_path(work->site->boot, image->version, name);
		good = uki_put(&uki, path, error) &&
		       tree_link_efi(work->folder, served, image->version, name, error);
		if (words)
			*words = uki_words(&uki);
	}
	uki_clear(&uki);
	return good && name;
}

static struct tree_programs programs_of(const struct work *work)
{
	return (struct tree_programs){.pxelinux = work->options->pxelinux,
		.shim = render_has_shim(work->site->conf) ? work->options->shim : NULL};
}

static gboolean make_variant(const struct work *work, guint index, GError **error)
{
	const struct bootplan_variant *variant =
		&g_array_index(work->wish->variants, struct bootplan_variant, index);
	const struct image *image = work->wish->images->pdata[variant->version];
	g_autofree char *served = tree_variant(index + 1);
	const struct tree_programs programs = programs_of(work);
	struct tree_menus menus;
	gboolean good = render_menus(work->site, image, variant->kernel, &menus, error) &&
			tree_write_variant(work->folder, served, &menus, &programs, error) &&
			make_efi(work, image, variant->kernel, served, NULL, error);
	tree_menus_clear(&menus);
	return good;
}

/* What some PCs have of their own. */
static gboolean make_variants(const struct work *work, GError **error)
{
	const struct bootplan *plan = work->wish->plan;
	for (guint i = 0; i < work->wish->variants->len; i++)
		if (!make_variant(work, i, error))
			return FALSE;
	for (guint i = 0; i < plan->seats->len; i++) {
		const struct bootplan_seat *seat =
			&g_array_index(plan->seats, struct bootplan_seat, i);
		int index = bootplan_variant_of(work->wish->variants, seat);
		g_autofree char *served = tree_variant((guint)index + 1);
		if (index >= 0 && !tree_link_seat(work->folder, seat->mac, served, error))
			return FALSE;
	}
	if (plan->seats->len)
		printf("%u PCs boot other than the rest, in %u ways\n", plan->seats->len,
			work->wish->variants->len);
	return TRUE;
}

/* Makes the whole generation, and checks it. */
static gboolean make_all(const struct work *work, GError **error)
{
	const struct image *image = wish_image(work->wish);
	g_autoptr(GHashTable) texts = render_all(work->site, image, error);
	g_autofree char *words = NULL;
	const struct tree_programs programs = programs_of(work);
	if (texts)
		g_hash_table_insert(texts, g_strdup(COMMANDS_FILE), commands_text(work->site));
	gboolean good =
		texts &&
		tree_write(work->folder, texts, &programs, work->wish->plan->versions, error) &&
		make_efi(work, image, "", TREE_TFTP, &words, error) && make_variants(work, error) &&
		check_generation(work->site, image, work->folder, error);
	if (words)
		printf("%s\n", words);
	return good;
}

/* Rendered and checked in a scratch folder; nothing that is in use is touched. */
static gboolean try_out(struct work *work, GError **error)
{
	g_autofree char *scratch = g_dir_make_tmp("carrel-bootconf-XXXXXX", error);
	if (!scratch)
		return FALSE;
	g_autofree char *folder = g_build_filename(scratch, "gen", NULL);
	g_chmod(scratch, 0755);
	work->folder = folder;
	work->scratch = scratch;
	gboolean good = make_all(work, error);
	const struct image *image = wish_image(work->wish);
	if (good && work->options->dry_run)
		show_changes(work->site->boot, folder);
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

static gboolean publish(const struct work *work, GError **error)
{
	for (guint i = 0; i < work->wish->images->len; i++)
		if (!tree_publish(work->site->boot, work->wish->images->pdata[i], error))
			return FALSE;
	return TRUE;
}

static gboolean render(struct work *work, GError **error)
{
	const char *boot = work->site->boot;
	g_autofree char *folder = g_build_filename(boot, "gen", "0.new", NULL);
	tree_remove(folder);
	work->folder = folder;
	gboolean good = publish(work, error) && make_all(work, error) &&
			put_in_use(work->site, folder, error);
	if (!good)
		tree_remove(folder);
	else
		tree_prune(boot);
	return good;
}

/* carreld, which waits for it, is told what became of its plan. */
static gboolean render_wish(const struct site *site, const struct options *options, GError **error)
{
	gboolean trying = options->check || options->dry_run;
	struct wish wish;
	struct work work = {.site = site, .options = options, .wish = &wish};
	GError *problem = NULL;
	/* What another one that is at work has read of the plan may be old by now. */
	if (!trying && (!tree_prepare(site->boot, TRUE, error) ||
			       !tree_check_reachable(site->boot, error)))
		return FALSE;
	gboolean good = wish_load(&wish, site->conf, &problem) && wish_check(&wish, &problem);
	if (good)
		printf("%s\n", wish.words);
	good = good && (trying ? try_out(&work, &problem) : render(&work, &problem));
	if (!trying && wish.sum &&
		!tree_answer(site->boot, wish.sum, problem ? problem->message : "",
			problem ? NULL : &problem))
		good = FALSE;
	wish_clear(&wish);
	if (problem)
		g_propagate_error(error, problem);
	return good;
}

static gboolean roll_back(const struct site *site, GError **error)
{
	if (!tree_prepare(site->boot, FALSE, error))
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
	g_auto(GStrv) versions = tree_versions(site->boot, name);
	printf("back at generation %s, image version %s; restart dnsmasq, nginx and the NFS server "
	       "if their files changed\n",
		name, versions[0]);
	/* No plan has this sum: what carreld wishes is not what is in use. */
	return tree_answer(
		site->boot, "-", "the rendering before was put back in use by hand", error);
}

static gboolean print_commands(const struct site *site)
{
	g_autofree char *text = commands_text(site);
	fputs(text, stdout);
	return TRUE;
}

/* Those of the rendering in use; FALSE when there is none. */
static gboolean print_rendered_commands(const char *boot)
{
	g_autofree char *path = g_build_filename(boot, TREE_CURRENT, COMMANDS_FILE, NULL);
	g_autofree char *text = NULL;
	if (!g_file_get_contents(path, &text, NULL, NULL))
		return FALSE;
	fputs(text, stdout);
	return TRUE;
}

static gboolean run(const struct conf *conf, const struct options *options, GError **error)
{
	g_autofree char *boot = conf_path(conf, CONF_PATH_STATE, "boot");
	g_autofree char *why = NULL;
	struct nfs_host host;
	struct site site = {.conf = conf, .templates = options->templates, .boot = boot};
	if (options->commands && print_rendered_commands(boot))
		return TRUE;
	if (!render_check_site(&site, error))
		return FALSE;
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
	printf("%s\n", why);
	return render_wish(&site, options, error);
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
		if (!options.shim)
			options.shim = g_strdup(SHIM_FOLDERS);
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
	g_free(options.shim);
	g_free(options.stub);
	return status;
}
