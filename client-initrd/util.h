/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Small things that every part of the client's init needs. No allocation: PID 1 of a PC without a
 * shell must not be the one that runs out of heap.
 */
#ifndef CARREL_CLIENT_UTIL_H
#define CARREL_CLIENT_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Milliseconds since the kernel's start (CLOCK_BOOTTIME). */
int64_t util_now_ms(void);

/* A number from 0 to below - 1, by chance, so that PCs that fail together do not retry together. */
unsigned util_chance(unsigned below);

/* Waits so many seconds and, by chance, up to as many more, before another try. */
void util_back_off(unsigned seconds);

/* Reads at most size - 1 bytes and ends them with NUL; the length, or -errno. */
ssize_t util_read_file(const char *path, char *text, size_t size);

/* The same without a trailing line end; an empty text when the file cannot be read. */
void util_read_line(const char *path, char *text, size_t size);

/* Replaces the file atomically (a ".new" beside it, then rename); 0 or -errno. */
int util_write_file(const char *path, const char *text, size_t length);

/* Writes a file of the kernel (/proc, /sys), which takes what is written as it is. 0 or -errno. */
int util_set(const char *path, const char *text);

/* For a process that speaks with the network: nobody's rights, no group's. False: they stay. */
bool util_give_up_privilege(void);

/* Writes all of it; 0 or -errno. */
int util_write_all(int fd, const void *data, size_t length);

/*
 * A decimal number without sign; `end` gets the first byte behind it (NULL: the text must end
 * there). False when there is no digit or the number is above `max`.
 */
bool util_parse_u64(const char *text, uint64_t max, uint64_t *value, const char **end);

/* Appends printf-style text to a buffer of `size` bytes with `*used` in it; false when it is cut.
 */
bool util_append(char *buffer, size_t size, size_t *used, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/*
 * Connects a TCP socket within `timeout_ms` and sets it as the time limit of each later send and
 * receive. The descriptor (blocking, close-on-exec), or -errno.
 */
int util_connect(uint32_t address, uint16_t port, int timeout_ms);

#endif
