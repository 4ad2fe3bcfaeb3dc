/* gRPC with nghttp2: the calls in flight share a few connections. */
#define _GNU_SOURCE
#include "client.h"

#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define WINDOW (64 * 1024 * 1024)
#define OUT_SIZE (256 * 1024)

struct connection;

struct slot {
  struct connection *connection;
  struct call call;
  size_t sent; /* of the body */
  int32_t stream;
  bool begun;
  int http_status, grpc_status; /* 0 and -1 before they have arrived */
  char grpc_message[60];
};

struct connection {
  struct ready ready;
  int fd;
  bool wants_write;
  nghttp2_session *session;
  struct bytes out;
  size_t written;
  struct slot *slots;
  unsigned slot_count;
};

static char authority[32];
static struct connection *connections;

static void open_connection(struct connection *c);

#define HEADER(name, value)                                                                        \
  (nghttp2_nv) {                                                                                   \
    (uint8_t *)(name), (uint8_t *)(value), strlen(name), strlen(value), NGHTTP2_NV_FLAG_NONE       \
  }

static ssize_t next_of_body(nghttp2_session *session, int32_t stream, uint8_t *into, size_t room,
                            uint32_t *flags, nghttp2_data_source *source, void *user) {
  (void)session, (void)stream, (void)user;
  struct slot *slot = source->ptr;
  size_t part = plan.body.size - slot->sent;
  if (part > room)
    part = room;
  memcpy(into, plan.body.data + slot->sent, part);
  slot->sent += part;
  if (slot->sent == plan.body.size)
    *flags |= NGHTTP2_DATA_FLAG_EOF;
  return (ssize_t)part;
}

static void begin(struct slot *slot) {
  nghttp2_nv headers[] = {
      HEADER(":method", "POST"),        HEADER(":scheme", "http"),
      HEADER(":path", plan.path),       HEADER(":authority", authority),
      HEADER("te", "trailers"),         HEADER("content-type", "application/grpc"),
      HEADER("user-agent", "bench/1"),
  };
  nghttp2_data_provider body = {.source.ptr = slot, .read_callback = next_of_body};
  call_begin(&slot->call);
  slot->sent = 0;
  slot->http_status = 0;
  slot->grpc_status = -1;
  slot->grpc_message[0] = 0;
  slot->stream = nghttp2_submit_request(slot->connection->session, NULL, headers,
                                        sizeof headers / sizeof *headers, &body, slot);
  if (slot->stream < 0)
    die("request: %s", nghttp2_strerror(slot->stream));
}

static void finish(struct slot *slot, uint32_t error_code) {
  char fault[120];
  if (error_code || slot->grpc_status < 0)
    snprintf(fault, sizeof fault, "no gRPC status: HTTP/2 error %u, HTTP status %d", error_code,
             slot->http_status);
  else
    snprintf(fault, sizeof fault, "gRPC status %d: %s", slot->grpc_status, slot->grpc_message);
  bool unfinished = slot->call.arrived.size != 0 && slot->grpc_status == 0;
  call_end(&slot->call, slot->grpc_status || error_code ? fault
                        : unfinished                    ? "the last message is cut"
                                                        : NULL);
}

/* Splits the received bytes into messages: a flag, four bytes of length, the message. */
static void take_messages(struct call *call) {
  size_t at = 0;
  while (call->arrived.size - at >= 5) {
    const uint8_t *head = (uint8_t *)call->arrived.data + at;
    size_t size = (size_t)head[1] << 24 | (size_t)head[2] << 16 | (size_t)head[3] << 8 | head[4];
    if (call->arrived.size - at - 5 < size)
      break;
    if (head[0])
      call->fault = "a message is compressed";
    call_message(call, (const char *)head + 5, size);
    at += 5 + size;
  }
  drop_front(&call->arrived, at);
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *data,
                   size_t size, void *user) {
  (void)flags, (void)user;
  struct slot *slot = nghttp2_session_get_stream_user_data(session, stream);
  if (!slot)
    return 0;
  append(&slot->call.arrived, data, size);
  take_messages(&slot->call);
  return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_size, const uint8_t *value, size_t size, uint8_t flags,
                     void *user) {
  (void)flags, (void)user;
  struct slot *slot = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
  if (!slot)
    return 0;
  if (name_size == 7 && memcmp(name, ":status", 7) == 0)
    slot->http_status = atoi((const char *)value);
  else if (name_size == 11 && memcmp(name, "grpc-status", 11) == 0)
    slot->grpc_status = atoi((const char *)value);
  else if (name_size == 12 && memcmp(name, "grpc-message", 12) == 0)
    snprintf(slot->grpc_message, sizeof slot->grpc_message, "%.*s", (int)size, value);
  return 0;
}

static int on_close(nghttp2_session *session, int32_t stream, uint32_t error_code, void *user) {
  (void)user;
  struct slot *slot = nghttp2_session_get_stream_user_data(session, stream);
  if (!slot)
    return 0;
  finish(slot, error_code);
  if (nghttp2_session_check_request_allowed(session))
    begin(slot);
  return 0;
}

/* Returns false if the connection broke. */
static bool flush(struct connection *c) {
  for (;;) {
    const uint8_t *data;
    for (ssize_t size; c->out.size < OUT_SIZE; append(&c->out, data, (size_t)size))
      if ((size = nghttp2_session_mem_send(c->session, &data)) <= 0)
        break;
    if (!c->out.size)
      break;
    while (c->written < c->out.size) {
      ssize_t wrote = write(c->fd, c->out.data + c->written, c->out.size - c->written);
      if (wrote < 0 && errno != EAGAIN)
        return false;
      if (wrote < 0)
        break;
      c->written += (size_t)wrote;
    }
    if (c->written < c->out.size)
      break;
    c->out.size = c->written = 0;
  }
  bool wanted = c->out.size > 0;
  if (wanted != c->wants_write)
    watch_change(c->fd, &c->ready, wanted);
  c->wants_write = wanted;
  return true;
}

static void reopen(struct connection *c) {
  count_break();
  for (unsigned i = 0; i < c->slot_count; i++)
    if (c->slots[i].begun)
      call_end(&c->slots[i].call, "the connection was closed during a call");
  nghttp2_session_del(c->session);
  close(c->fd);
  open_connection(c);
}

static bool receive(struct connection *c) {
  static uint8_t block[256 * 1024];
  ssize_t got = read(c->fd, block, sizeof block);
  if (got < 0 && errno == EAGAIN)
    return true;
  return got > 0 && nghttp2_session_mem_recv(c->session, block, (size_t)got) == got;
}

static void handle(void *self, uint32_t events) {
  struct connection *c = self;
  if (events & (EPOLLIN | EPOLLHUP | EPOLLERR) && !receive(c)) {
    reopen(c);
    return;
  }
  if (!flush(c))
    reopen(c);
}

static nghttp2_session *new_session(struct connection *c) {
  nghttp2_session_callbacks *callbacks;
  nghttp2_session *session;
  nghttp2_session_callbacks_new(&callbacks);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
  nghttp2_session_client_new(&session, callbacks, c);
  nghttp2_session_callbacks_del(callbacks);
  nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW},
                                       {NGHTTP2_SETTINGS_ENABLE_PUSH, 0}};
  nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings, 2);
  nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, WINDOW);
  return session;
}

static void open_connection(struct connection *c) {
  c->fd = connect_to_server();
  c->ready = (struct ready){handle, c};
  c->wants_write = false;
  c->out.size = c->written = 0;
  c->session = new_session(c);
  watch(c->fd, &c->ready, false);
  for (unsigned i = 0; i < c->slot_count; i++)
    if (c->slots[i].begun)
      begin(&c->slots[i]);
  if (!flush(c))
    die("the server closed a new connection");
}

void grpc_open(void) {
  connections = calloc(plan.connections, sizeof *connections);
  snprintf(authority, sizeof authority, "127.0.0.1:%d", plan.port);
  for (unsigned i = 0; i < plan.connections; i++) {
    struct connection *c = &connections[i];
    c->slot_count = (plan.in_flight + plan.connections - 1 - i) / plan.connections;
    c->slots = calloc(c->slot_count, sizeof *c->slots);
    for (unsigned j = 0; j < c->slot_count; j++)
      c->slots[j].connection = c;
    open_connection(c);
  }
}

void grpc_begin(unsigned number) {
  struct connection *c = &connections[number % plan.connections];
  struct slot *slot = &c->slots[number / plan.connections];
  slot->begun = true;
  begin(slot);
  if (!flush(c))
    reopen(c);
}
