/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/core/tree.h"

/* The finalizer of splitmix64: neighbouring ids get priorities that look independent. */
static uint32_t hash(uint64_t x)
{
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return (uint32_t)(x >> 32);
}

static bool less(const struct tree_node *a, const struct tree_node *b)
{
	return a->key != b->key ? a->key < b->key : a->tie < b->tie;
}

/* Hangs a node, or nothing, at a place below `parent`. */
static void hang(struct tree_node **link, struct tree_node *node, struct tree_node *parent)
{
	*link = node;
	if (node)
		node->parent = parent;
}

void tree_insert(struct tree *tree, struct tree_node *node, uint64_t key, uint64_t tie)
{
	struct tree_node **link = &tree->root, **left = &node->left, **right = &node->right;
	struct tree_node *parent = NULL, *left_parent = node, *right_parent = node;

	node->key = key;
	node->tie = tie;
	node->priority = hash(tie);
	node->linked = true;
	while (*link && (*link)->priority >= node->priority) {
		parent = *link;
		link = less(node, parent) ? &parent->left : &parent->right;
	}
	/* What was here is split by the new key and hangs below the new node. */
	struct tree_node *rest = *link;
	hang(link, node, parent);
	while (rest) {
		if (less(rest, node)) {
			hang(left, rest, left_parent);
			left_parent = rest;
			left = &rest->right;
			rest = rest->right;
		} else {
			hang(right, rest, right_parent);
			right_parent = rest;
			right = &rest->left;
			rest = rest->left;
		}
	}
	*left = *right = NULL;
}

void tree_remove(struct tree *tree, struct tree_node *node)
{
	struct tree_node *parent = node->parent, *a = node->left, *b = node->right;
	struct tree_node **link = &tree->root;

	if (!node->linked)
		return;
	if (parent)
		link = parent->left == node ? &parent->left : &parent->right;
	while (a && b) {
		if (a->priority >= b->priority) {
			hang(link, a, parent);
			parent = a;
			link = &a->right;
			a = a->right;
		} else {
			hang(link, b, parent);
			parent = b;
			link = &b->left;
			b = b->left;
		}
	}
	hang(link, a ? a : b, parent);
	node->left = node->right = node->parent = NULL;
	node->linked = false;
}

struct tree_node *tree_first(const struct tree *tree)
{
	struct tree_node *node = tree->root;

	while (node && node->left)
		node = node->left;
	return node;
}

struct tree_node *tree_last(const struct tree *tree)
{
	struct tree_node *node = tree->root;

	while (node && node->right)
		node = node->right;
	return node;
}

struct tree_node *tree_at_least(const struct tree *tree, uint64_t key)
{
	struct tree_node *node = tree->root, *best = NULL;

	while (node) {
		if (node->key >= key) {
			best = node;
			node = node->left;
		} else {
			node = node->right;
		}
	}
	return best;
}
