#define _GNU_SOURCE
#include "common.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

void append(struct bytes *to, const void *data, size_t size) {
  if (to->size + size > to->room) {
    to->room = (to->size + size) * 2;
    to->data = realloc(to->data, to->room);
    if (!to->data)
      die("out of memory");
  }
  if (size)
    memcpy(to->data + to->size, data, size);
  to->size += size;
}

void drop_front(struct bytes *from, size_t size) {
  from->size -= size;
  if (from->size)
    memmove(from->data, from->data + size, from->size);
}

struct bytes read_file(const char *path) {
  struct bytes content = {0};
  char block[65536];
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    die("%s: %s", path, strerror(errno));
  for (ssize_t got; (got = read(fd, block, sizeof block)) != 0;) {
    if (got < 0)
      die("%s: %s", path, strerror(errno));
    append(&content, block, (size_t)got);
  }
  close(fd);
  return content;
}

uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void die(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  fputc('\n', stderr);
  exit(1);
}

void die_with_parent(void) { prctl(PR_SET_PDEATHSIG, SIGKILL); }

void ignore_broken_pipes(void) { signal(SIGPIPE, SIG_IGN); }

void set_nonblocking(int fd) { fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK); }

void set_nodelay(int fd) {
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}
