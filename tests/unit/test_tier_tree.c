/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The ordered set beneath the allocator, beside a sorted array. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "broker/core/tree.h"

#define NODES 200
#define KEYS 40 /* fewer than nodes: ties */
#define STEPS 20000

static struct tree_node nodes[NODES];

static uint64_t random_next(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static bool less(const struct tree_node *a, const struct tree_node *b)
{
	return a->key != b->key ? a->key < b->key : a->tie < b->tie;
}

/* Order, heap and parents, below a node; returns how many nodes. */
static size_t check(const struct tree_node *node, const struct tree_node *parent)
{
	if (!node)
		return 0;
	assert_true(node->linked);
	assert_ptr_equal(node->parent, parent);
	if (parent)
		assert_true(parent->priority >= node->priority);
	if (node->left)
		assert_true(less(node->left, node));
	if (node->right)
		assert_true(less(node, node->right));
	return check(node->left, node) + 1 + check(node->right, node);
}

/* The least, or greatest, linked node with at least that key: by looking at all. */
static struct tree_node *look(uint64_t key, bool greatest)
{
	struct tree_node *best = NULL;

	for (size_t i = 0; i < NODES; i++) {
		struct tree_node *n = &nodes[i];
		if (n->linked && n->key >= key &&
			(!best || (greatest ? less(best, n) : less(n, best))))
			best = n;
	}
	return best;
}

static void test_beside_an_array(void **state)
{
	struct tree tree = {0};
	uint64_t seed = 88172645463325252u;
	size_t count = 0;

	(void)state;
	for (unsigned step = 0; step < STEPS; step++) {
		size_t i = random_next(&seed) % NODES;
		uint64_t key = random_next(&seed) % KEYS;
		if (nodes[i].linked) {
			tree_remove(&tree, &nodes[i]);
			tree_remove(&tree, &nodes[i]); /* the second time nothing happens */
			count--;
		} else {
			tree_insert(&tree, &nodes[i], key, i);
			count++;
		}
		assert_int_equal(check(tree.root, NULL), count);
		assert_ptr_equal(tree_first(&tree), look(0, false));
		assert_ptr_equal(tree_last(&tree), look(0, true));
		assert_ptr_equal(tree_at_least(&tree, key), look(key, false));
	}
}

/* The same nodes, however they came in, make the same tree. */
static void test_shape_depends_on_contents_only(void **state)
{
	static struct tree_node others[NODES];
	struct tree tree = {0}, other = {0};

	(void)state;
	for (size_t i = 0; i < NODES; i++)
		nodes[i] = others[i] = (struct tree_node){0};
	for (size_t i = 0; i < NODES; i++) {
		tree_insert(&tree, &nodes[i], i % KEYS, i);
		tree_insert(&other, &others[NODES - 1 - i], (NODES - 1 - i) % KEYS, NODES - 1 - i);
	}
	for (size_t i = 0; i < NODES; i += 3) {
		tree_remove(&other, &others[i]);
		tree_insert(&other, &others[i], i % KEYS, i);
	}
	for (size_t i = 0; i < NODES; i++) {
		assert_int_equal(nodes[i].left ? nodes[i].left->tie : NODES,
			others[i].left ? others[i].left->tie : NODES);
		assert_int_equal(nodes[i].right ? nodes[i].right->tie : NODES,
			others[i].right ? others[i].right->tie : NODES);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_beside_an_array),
		cmocka_unit_test(test_shape_depends_on_contents_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
