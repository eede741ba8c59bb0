/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An ordered set whose nodes live inside the caller's structs: nothing is allocated. It is a treap
 * (a search tree by key, a heap by a priority that is a hash of the key's second part), so every
 * operation takes O(log n) expected time and the shape depends on nothing but the contents. A node
 * knows its parent, so that taking one out needs no way down to it: O(1) expected.
 */
#ifndef CARREL_CORE_TREE_H
#define CARREL_CORE_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tree_node {
	struct tree_node *left, *right, *parent; /* borrowed: other nodes of the same tree */
	uint64_t key, tie; /* ordered by key, then by tie; the pair is unique in a tree */
	uint32_t priority;
	bool linked;
};

struct tree {
	struct tree_node *root;
};

/* The struct of type `type` whose member `member` is `node`; node must not be NULL. */
#define TREE_ENTRY(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

/* Puts a node that is in no tree into this one. */
void tree_insert(struct tree *tree, struct tree_node *node, uint64_t key, uint64_t tie);
/* Takes a node out; nothing happens when it is in none. It must not be in another tree. */
void tree_remove(struct tree *tree, struct tree_node *node);

/* NULL when there is none. */
struct tree_node *tree_first(const struct tree *tree);
struct tree_node *tree_last(const struct tree *tree);
/* The least node whose key is `key` or more. */
struct tree_node *tree_at_least(const struct tree *tree, uint64_t key);

#endif
