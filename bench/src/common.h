/* Common code of the upstream and the client: growing buffers, the clock, files, markers. */
#ifndef BENCH_COMMON_H
#define BENCH_COMMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The text of each chunk contains a marker: the number of the chunk and the time of sending. */
#define MARKER_FORMAT "#%05u@%016llx"
#define MARKER_SIZE 23

struct bytes {
  char *data;
  size_t size;
  size_t room;
};

/* Appends bytes; exits if there is no memory. */
void append(struct bytes *to, const void *data, size_t size);
void drop_front(struct bytes *from, size_t size);
struct bytes read_file(const char *path);

/* CLOCK_MONOTONIC in nanoseconds; the same in every process of a machine. */
uint64_t now_ns(void);

/* Ends the process with a line on standard error. */
void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* Ends this process with the one that started it. */
void die_with_parent(void);

/* Makes writing to a closed connection fail without a signal. */
void ignore_broken_pipes(void);

void set_nonblocking(int fd);
void set_nodelay(int fd);

#endif
