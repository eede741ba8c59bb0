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

void tree_insert(struct tree *tree, struct tree_node *node, uint64_t key, uint64_t tie)
{
	struct tree_node **link = &tree->root, **left = &node->left, **right = &node->right;

	node->key = key;
	node->tie = tie;
	node->priority = hash(tie);
	node->linked = true;
	while (*link && (*link)->priority >= node->priority)
		link = less(node, *link) ? &(*link)->left : &(*link)->right;
	/* What was here is split by the new key and hangs below the new node. */
	struct tree_node *rest = *link;
	*link = node;
	while (rest) {
		if (less(rest, node)) {
			*left = rest;
			left = &rest->right;
			rest = rest->right;
		} else {
			*right = rest;
			right = &rest->left;
			rest = rest->left;
		}
	}
	*left = *right = NULL;
}

void tree_remove(struct tree *tree, struct tree_node *node)
{
	struct tree_node **link = &tree->root, *a = node->left, *b = node->right;

	if (!node->linked)
		return;
	while (*link != node)
		link = less(node, *link) ? &(*link)->left : &(*link)->right;
	while (a && b) {
		if (a->priority >= b->priority) {
			*link = a;
			link = &a->right;
			a = a->right;
		} else {
			*link = b;
			link = &b->left;
			b = b->left;
		}
	}
	*link = a ? a : b;
	node->left = node->right = NULL;
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
