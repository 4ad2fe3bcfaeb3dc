/* HTTP/1.1: one connection for each call in flight. */
#define _GNU_SOURCE
#include "client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <unistd.h>

enum reading { HEAD, SIZED, CHUNK_SIZE, CHUNK_DATA, CHUNK_END, DONE };

struct connection {
  struct ready ready;
  int fd;
  size_t sent;
  bool wants_write, closes;
  enum reading reading;
  int status;
  size_t left;
  size_t counted; /* of the body: where the last event ended */
  struct bytes in;
  struct call call;
};

static struct bytes request;
static struct connection *connections;

static void open_connection(struct connection *c);

static void build_request(void) {
  char head[600];
  int size = snprintf(head, sizeof head,
                      "POST %s HTTP/1.1\r\nhost: 127.0.0.1:%d\r\naccept: */*\r\n"
                      "authorization: Bearer sk-bench\r\ncontent-type: %s\r\n"
                      "content-length: %zu\r\n\r\n",
                      plan.path, plan.port, plan.content_type, plan.body.size);
  append(&request, head, (size_t)size);
  append(&request, plan.body.data, plan.body.size);
}

/* Returns false if the connection broke. */
static bool send_request(struct connection *c) {
  while (c->sent < request.size) {
    ssize_t wrote = write(c->fd, request.data + c->sent, request.size - c->sent);
    if (wrote < 0 && errno != EAGAIN)
      return false;
    if (wrote < 0)
      break;
    c->sent += (size_t)wrote;
  }
  bool wanted = c->sent < request.size;
  if (wanted != c->wants_write)
    watch_change(c->fd, &c->ready, wanted);
  c->wants_write = wanted;
  return true;
}

static void begin(struct connection *c) {
  call_begin(&c->call);
  c->sent = c->counted = 0;
  c->reading = HEAD;
  c->in.size = 0;
}

static void reopen(struct connection *c) {
  close(c->fd);
  count_break();
  open_connection(c);
}

static void finish(struct connection *c) {
  char fault[60];
  snprintf(fault, sizeof fault, "HTTP status %d", c->status);
  call_end(&c->call, c->status == 200 ? NULL : fault);
  begin(c);
  if (c->closes || !send_request(c))
    reopen(c);
}

static void take_head(struct connection *c, char *head, size_t size) {
  head[size - 1] = 0;
  bool chunked = false;
  c->status = size > 12 ? atoi(head + 9) : 0;
  c->left = 0;
  c->closes = false;
  for (char *line = strstr(head, "\r\n"); line; line = strstr(line, "\r\n")) {
    line += 2;
    if (strncasecmp(line, "content-length:", 15) == 0)
      c->left = strtoull(line + 15, NULL, 10);
    else if (strncasecmp(line, "transfer-encoding: chunked", 26) == 0)
      chunked = true;
    else if (strncasecmp(line, "connection: close", 17) == 0)
      c->closes = true;
  }
  c->reading = chunked ? CHUNK_SIZE : c->left ? SIZED : DONE;
}

/* Events end with an empty line. */
static void count_events(struct connection *c) {
  const char *data = c->call.arrived.data, *end = data + c->call.arrived.size;
  for (const char *at = data + c->counted; (at = memmem(at, (size_t)(end - at), "\n\n", 2));) {
    at += 2;
    c->counted = (size_t)(at - data);
    call_messages(&c->call, 1);
  }
}

static void take_body(struct connection *c, const char *data, size_t size) {
  struct call *call = &c->call;
  append(&call->arrived, data, size);
  call->scanned += call_scan(call, call->arrived.data + call->scanned,
                             call->arrived.size - call->scanned);
  if (plan.markers)
    count_events(c);
}

/* Consumes complete parts of the input; returns the number of bytes, 0 if none is complete. */
static size_t take(struct connection *c, char *data, size_t size) {
  char *end;
  size_t part = size < c->left ? size : c->left;
  switch (c->reading) {
  case HEAD:
    if (!(end = memmem(data, size, "\r\n\r\n", 4)))
      return 0;
    take_head(c, data, (size_t)(end + 4 - data));
    return (size_t)(end + 4 - data);
  case SIZED:
  case CHUNK_DATA:
    take_body(c, data, part);
    c->left -= part;
    if (!c->left)
      c->reading = c->reading == SIZED ? DONE : CHUNK_END;
    return part;
  case CHUNK_SIZE:
    if (!(end = memmem(data, size, "\r\n", 2)))
      return 0;
    c->left = strtoull(data, NULL, 16);
    if (c->left) {
      c->reading = CHUNK_DATA;
      return (size_t)(end + 2 - data);
    }
    if (size < (size_t)(end + 4 - data))
      return 0;
    c->reading = DONE;
    return (size_t)(end + 4 - data);
  case CHUNK_END:
    if (size < 2)
      return 0;
    c->reading = CHUNK_SIZE;
    return 2;
  case DONE:
    break;
  }
  return 0;
}

static void take_input(struct connection *c) {
  size_t at = 0;
  for (size_t took; at < c->in.size && (took = take(c, c->in.data + at, c->in.size - at));)
    at += took;
  if (c->reading == DONE) {
    finish(c);
  } else {
    drop_front(&c->in, at);
  }
}

static void handle(void *self, uint32_t events) {
  static char block[256 * 1024];
  struct connection *c = self;
  if (events & EPOLLOUT && !send_request(c)) {
    call_end(&c->call, "the connection broke while sending");
    reopen(c);
    return;
  }
  if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
    return;
  ssize_t got = read(c->fd, block, sizeof block);
  if (got < 0 && errno == EAGAIN)
    return;
  if (got <= 0) {
    call_end(&c->call, "the connection was closed during a call");
    reopen(c);
    return;
  }
  append(&c->in, block, (size_t)got);
  take_input(c);
}

static void open_connection(struct connection *c) {
  c->fd = connect_to_server();
  c->ready = (struct ready){handle, c};
  c->wants_write = false;
  watch(c->fd, &c->ready, false);
  begin(c);
  if (!send_request(c))
    die("the server closed a new connection");
}

void http_open(void) {
  build_request();
  connections = calloc(plan.in_flight, sizeof *connections);
  if (!connections)
    die("out of memory");
}

void http_begin(unsigned number) { open_connection(&connections[number]); }
