/* A vLLM-like HTTP/1.1 upstream that uses almost no CPU time.
 *
 *   upstream FOLDER UPLOAD_BYTES
 *
 * Prints its port on 127.0.0.1 and serves until it is killed. Answers are files of the folder,
 * read once: GET /v1/models from models.json and so on; POST from MODEL.json, by the model in
 * the body. A chat with "stream": true on the model
 * stream-N-D sends stream.first, then N times stream.chunk.head, a marker, stream.chunk.tail,
 * D microseconds apart (0: back to back), then stream.last; each event is a separate
 * HTTP chunk and, if paced, a separate write. /v1/audio/transcriptions accepts a form whose file
 * must repeat upload.pattern up to UPLOAD_BYTES, and returns the number of intact bytes.
 */
#define _GNU_SOURCE
#include "common.h"

#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define MOST_REPLIES 128
#define READ_SIZE (256 * 1024)
#define BURST_SIZE (64 * 1024)

struct reply {
  char name[80];
  struct bytes http; /* head and body */
};

enum reading { HEAD, SIZED, CHUNK_SIZE, CHUNK_DATA, CHUNK_END, TRAILER };

struct upload {
  bool active, in_file, damaged;
  struct bytes head, tail;
  size_t intact;
};

struct connection {
  int fd;
  enum reading reading;
  struct bytes in, body, out;
  size_t sent; /* of out */
  size_t left; /* of the body, or of its chunk */
  bool wants_write;
  char method[8], path[128];
  struct upload upload;
  bool streaming;
  unsigned next_chunk, chunks;
  uint64_t delay, due;
  size_t heap_at; /* position in the heap of paced streams, from 1; 0: not in it */
};

static struct reply replies[MOST_REPLIES];
static size_t reply_count;
static struct bytes stream_first, chunk_head, chunk_tail, stream_last, pattern;
static size_t upload_bytes;
static int poller, timer;
static uint64_t requests_seen, chunks_sent;

/* Streams by the time of their next chunk. */

static struct connection **heap;
static size_t heap_size, heap_room;

static void heap_put(size_t at, struct connection *stream) {
  heap[at] = stream;
  stream->heap_at = at;
}

static void heap_settle(size_t at) {
  struct connection *moving = heap[at];
  while (at > 1 && heap[at / 2]->due > moving->due) {
    heap_put(at, heap[at / 2]);
    at /= 2;
  }
  for (size_t child; (child = at * 2) <= heap_size; at = child) {
    if (child < heap_size && heap[child + 1]->due < heap[child]->due)
      child++;
    if (heap[child]->due >= moving->due)
      break;
    heap_put(at, heap[child]);
  }
  heap_put(at, moving);
}

static void heap_add(struct connection *stream) {
  if (heap_size + 2 > heap_room) {
    heap_room = heap_room ? heap_room * 2 : 64;
    heap = realloc(heap, heap_room * sizeof *heap);
    if (!heap)
      die("out of memory");
  }
  heap_put(++heap_size, stream);
  heap_settle(heap_size);
}

static void heap_remove(struct connection *stream) {
  size_t at = stream->heap_at;
  if (!at)
    return;
  stream->heap_at = 0;
  struct connection *last = heap[heap_size--];
  if (last != stream) {
    heap_put(at, last);
    heap_settle(at);
  }
}

static void arm_timer(void) {
  static uint64_t armed;
  uint64_t due = heap_size ? heap[1]->due : 0;
  if (due == armed)
    return;
  armed = due;
  struct itimerspec when = {0};
  when.it_value.tv_sec = (time_t)(due / 1000000000u);
  when.it_value.tv_nsec = (long)(due % 1000000000u);
  timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL);
}

/* Sending. */

static void close_connection(struct connection *c) {
  heap_remove(c);
  close(c->fd);
  free(c->in.data);
  free(c->body.data);
  free(c->out.data);
  free(c->upload.head.data);
  free(c->upload.tail.data);
  free(c);
}

static void want_write(struct connection *c, bool wanted) {
  if (c->wants_write == wanted)
    return;
  c->wants_write = wanted;
  struct epoll_event event = {.events = EPOLLIN | (wanted ? EPOLLOUT : 0), .data.ptr = c};
  epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &event);
}

/* Returns false if the connection is gone. */
static bool flush(struct connection *c) {
  while (c->sent < c->out.size) {
    ssize_t wrote = write(c->fd, c->out.data + c->sent, c->out.size - c->sent);
    if (wrote < 0 && errno == EAGAIN) {
      want_write(c, true);
      return true;
    }
    if (wrote < 0)
      return false;
    c->sent += (size_t)wrote;
  }
  c->out.size = c->sent = 0;
  want_write(c, false);
  return true;
}

static void append_http_chunk(struct connection *c, const char *data, size_t size) {
  char head[24];
  append(&c->out, head, (size_t)snprintf(head, sizeof head, "%zx\r\n", size));
  append(&c->out, data, size);
  append(&c->out, "\r\n", 2);
}

static void append_chunk(struct connection *c) {
  char head[24], marker[MARKER_SIZE + 1];
  size_t size = chunk_head.size + MARKER_SIZE + chunk_tail.size;
  snprintf(marker, sizeof marker, MARKER_FORMAT, c->next_chunk++, (unsigned long long)now_ns());
  append(&c->out, head, (size_t)snprintf(head, sizeof head, "%zx\r\n", size));
  append(&c->out, chunk_head.data, chunk_head.size);
  append(&c->out, marker, MARKER_SIZE);
  append(&c->out, chunk_tail.data, chunk_tail.size);
  append(&c->out, "\r\n", 2);
  chunks_sent++;
}

static void end_stream(struct connection *c) {
  append_http_chunk(c, stream_last.data, stream_last.size);
  append(&c->out, "0\r\n\r\n", 5);
  c->streaming = false;
}

/* Sends the next chunk of a paced stream, or as much of a burst as there is room for. */
static bool advance(struct connection *c) {
  do {
    append_chunk(c);
    if (c->next_chunk == c->chunks)
      end_stream(c);
    if (c->delay || !c->streaming || c->out.size - c->sent >= BURST_SIZE)
      if (!flush(c))
        return false;
  } while (c->streaming && !c->delay && !c->wants_write);
  return true;
}

static void start_stream(struct connection *c, unsigned chunks, uint64_t delay_ns) {
  static const char head[] = "HTTP/1.1 200 OK\r\nserver: uvicorn\r\ncontent-type: text/event-stream; "
                             "charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n";
  append(&c->out, head, sizeof head - 1);
  append_http_chunk(c, stream_first.data, stream_first.size);
  c->streaming = true;
  c->next_chunk = 0;
  c->chunks = chunks;
  c->delay = delay_ns;
  c->due = now_ns();
}

static void answer(struct connection *c, const char *status, const char *body, size_t size) {
  char head[200];
  int length = snprintf(head, sizeof head,
                        "HTTP/1.1 %s\r\nserver: uvicorn\r\ncontent-length: %zu\r\n"
                        "content-type: application/json\r\n\r\n",
                        status, size);
  append(&c->out, head, (size_t)length);
  append(&c->out, body, size);
}

static bool answer_file(struct connection *c, const char *name) {
  for (size_t i = 0; i < reply_count; i++)
    if (strcmp(replies[i].name, name) == 0) {
      append(&c->out, replies[i].http.data, replies[i].http.size);
      return true;
    }
  static const char body[] = "{\"error\":{\"message\":\"The model does not exist.\",\"type\":"
                             "\"NotFoundError\",\"param\":\"model\",\"code\":404}}";
  answer(c, "404 Not Found", body, sizeof body - 1);
  return false;
}

/* Uploads. */

static void take_tail(struct upload *u, const char *data, size_t size) {
  if (u->tail.size + size > 300)
    u->damaged = true;
  else
    append(&u->tail, data, size);
}

static void take_file(struct upload *u, const char *data, size_t size) {
  while (size && u->intact < upload_bytes && !u->damaged) {
    size_t from = u->intact % pattern.size, part = pattern.size - from;
    if (part > size)
      part = size;
    if (part > upload_bytes - u->intact)
      part = upload_bytes - u->intact;
    if (memcmp(data, pattern.data + from, part) != 0)
      u->damaged = true;
    u->intact += part;
    data += part;
    size -= part;
  }
  if (size)
    take_tail(u, data, size);
}

static void take_upload(struct upload *u, const char *data, size_t size) {
  if (u->in_file) {
    take_file(u, data, size);
    return;
  }
  append(&u->head, data, size);
  char *file = memmem(u->head.data, u->head.size, "name=\"file\"", 11);
  char *end = u->head.data + u->head.size;
  char *blank = file ? memmem(file, (size_t)(end - file), "\r\n\r\n", 4) : NULL;
  if (!blank)
    return;
  u->in_file = true;
  take_file(u, blank + 4, (size_t)(end - blank - 4));
}

static void answer_upload(struct connection *c) {
  struct upload *u = &c->upload;
  bool whole = u->intact == upload_bytes && !u->damaged && u->tail.size > 4 &&
               memcmp(u->tail.data, "\r\n--", 4) == 0;
  char body[160];
  int size = snprintf(body, sizeof body,
                      "{\"text\":\"%zu bytes %s\",\"usage\":{\"type\":\"duration\",\"seconds\":60}}",
                      u->intact, whole ? "intact" : "damaged");
  answer(c, "200 OK", body, (size_t)size);
}

/* Requests. */

static bool find_model(const struct bytes *body, char *model, size_t room) {
  const char *end = body->data + body->size;
  const char *at = memmem(body->data, body->size, "\"model\"", 7);
  if (!at)
    return false;
  at += 7;
  while (at < end && (*at == ' ' || *at == ':'))
    at++;
  if (at == end || *at++ != '"')
    return false;
  const char *quote = memchr(at, '"', (size_t)(end - at));
  if (!quote || (size_t)(quote - at) >= room)
    return false;
  memcpy(model, at, (size_t)(quote - at));
  model[quote - at] = 0;
  return true;
}

static bool wants_stream(const struct bytes *body) {
  return memmem(body->data, body->size, "\"stream\":true", 13) ||
         memmem(body->data, body->size, "\"stream\": true", 14);
}

static void answer_post(struct connection *c) {
  char model[64] = "", name[80];
  unsigned chunks, delay_us;
  if (c->upload.active) {
    answer_upload(c);
    return;
  }
  if (!c->body.size || !find_model(&c->body, model, sizeof model)) {
    answer_file(c, "");
  } else if (wants_stream(&c->body) && sscanf(model, "stream-%u-%u", &chunks, &delay_us) == 2 &&
             chunks) {
    start_stream(c, chunks, (uint64_t)delay_us * 1000);
  } else {
    snprintf(name, sizeof name, "%s.json", model);
    answer_file(c, name);
  }
}

static void answer_get(struct connection *c) {
  char body[100];
  if (strcmp(c->path, "/health") == 0)
    answer(c, "200 OK", "", 0);
  else if (strcmp(c->path, "/v1/models") == 0)
    answer_file(c, "models.json");
  else if (strcmp(c->path, "/openapi.json") == 0)
    answer_file(c, "openapi.json");
  else if (strcmp(c->path, "/version") == 0)
    answer_file(c, "version.json");
  else if (strcmp(c->path, "/stats") == 0)
    answer(c, "200 OK", body,
           (size_t)snprintf(body, sizeof body, "{\"requests\":%llu,\"chunks\":%llu}",
                            (unsigned long long)requests_seen, (unsigned long long)chunks_sent));
  else
    answer(c, "404 Not Found", "{\"detail\":\"Not Found\"}", 22);
}

static bool answer_request(struct connection *c) {
  if (strcmp(c->method, "POST") == 0) {
    requests_seen++;
    answer_post(c);
  } else {
    answer_get(c);
  }
  c->reading = HEAD;
  c->body.size = 0;
  if (!c->streaming)
    return flush(c);
  if (!advance(c))
    return false;
  if (c->streaming && c->delay) {
    c->due += c->delay;
    heap_add(c);
  }
  return true;
}

static void begin_upload(struct upload *u) {
  u->active = true;
  u->in_file = u->damaged = false;
  u->intact = u->head.size = u->tail.size = 0;
}

/* Reads a request's head, which ends with an empty line. */
static void take_head(struct connection *c, char *head, size_t size) {
  head[size - 1] = 0;
  if (sscanf(head, "%7s %127s", c->method, c->path) != 2)
    c->method[0] = c->path[0] = 0;
  bool chunked = false, goes_on = false;
  c->left = 0;
  for (char *line = strstr(head, "\r\n"); line; line = strstr(line, "\r\n")) {
    line += 2;
    if (strncasecmp(line, "content-length:", 15) == 0)
      c->left = strtoull(line + 15, NULL, 10);
    else if (strncasecmp(line, "transfer-encoding: chunked", 26) == 0)
      chunked = true;
    else if (strncasecmp(line, "expect: 100-continue", 20) == 0)
      goes_on = true;
  }
  if (goes_on)
    append(&c->out, "HTTP/1.1 100 Continue\r\n\r\n", 25);
  c->upload.active = false;
  if (strncmp(c->path, "/v1/audio/", 10) == 0)
    begin_upload(&c->upload);
  c->reading = chunked ? CHUNK_SIZE : SIZED;
}

static void take_body(struct connection *c, const char *data, size_t size) {
  if (c->upload.active)
    take_upload(&c->upload, data, size);
  else
    append(&c->body, data, size);
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
    if (!c->left && c->reading == CHUNK_DATA)
      c->reading = CHUNK_END;
    return part;
  case CHUNK_SIZE:
    if (!(end = memmem(data, size, "\r\n", 2)))
      return 0;
    c->left = strtoull(data, NULL, 16);
    c->reading = c->left ? CHUNK_DATA : TRAILER;
    return (size_t)(end + 2 - data);
  case CHUNK_END:
  case TRAILER: /* no request here has trailers: an empty line ends it */
    if (size < 2)
      return 0;
    c->reading = c->reading == TRAILER ? SIZED : CHUNK_SIZE;
    return 2;
  }
  return 0;
}

/* Returns false if the connection is gone. */
static bool take_input(struct connection *c) {
  size_t at = 0;
  while (!c->streaming) {
    if (c->reading == SIZED && !c->left) {
      if (!answer_request(c))
        return false;
      continue;
    }
    size_t took = at < c->in.size ? take(c, c->in.data + at, c->in.size - at) : 0;
    if (!took)
      break;
    at += took;
  }
  drop_front(&c->in, at);
  return true;
}

static bool receive(struct connection *c) {
  static char block[READ_SIZE];
  ssize_t got = read(c->fd, block, sizeof block);
  if (got < 0 && errno == EAGAIN)
    return true;
  if (got <= 0)
    return false;
  append(&c->in, block, (size_t)got);
  return take_input(c);
}

static bool sent_on(struct connection *c) {
  if (!flush(c))
    return false;
  if (c->streaming && !c->delay && !c->wants_write && !advance(c))
    return false;
  return take_input(c);
}

static void accept_all(int listener) {
  for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
    struct connection *c = calloc(1, sizeof *c);
    if (!c)
      die("out of memory");
    c->fd = fd;
    set_nodelay(fd);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
  }
}

static void send_due(void) {
  uint64_t ticks;
  if (read(timer, &ticks, sizeof ticks) < 0 && errno != EAGAIN)
    die("timer: %s", strerror(errno));
  uint64_t now = now_ns();
  while (heap_size && heap[1]->due <= now) {
    struct connection *c = heap[1];
    bool alive = advance(c);
    if (alive && c->streaming) {
      c->due += c->delay;
      heap_settle(c->heap_at);
      continue;
    }
    heap_remove(c);
    if (!alive || !take_input(c)) {
      /* Closed when epoll reports it, because it may be among the current events. */
      shutdown(c->fd, SHUT_RDWR);
    }
  }
}

/* Start. */

static struct bytes file_of(const char *folder, const char *name) {
  char path[512];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return read_file(path);
}

static void load(const char *folder) {
  stream_first = file_of(folder, "stream.first");
  chunk_head = file_of(folder, "stream.chunk.head");
  chunk_tail = file_of(folder, "stream.chunk.tail");
  stream_last = file_of(folder, "stream.last");
  pattern = file_of(folder, "upload.pattern");
  DIR *listing = opendir(folder);
  for (struct dirent *entry; listing && (entry = readdir(listing));) {
    size_t length = strlen(entry->d_name);
    if (length < 6 || length >= 80 || strcmp(entry->d_name + length - 5, ".json") != 0)
      continue;
    if (reply_count == MOST_REPLIES)
      die("too many answers");
    struct connection scratch = {0};
    struct bytes body = file_of(folder, entry->d_name);
    answer(&scratch, "200 OK", body.data, body.size);
    free(body.data);
    struct reply *reply = &replies[reply_count++];
    memcpy(reply->name, entry->d_name, length + 1);
    reply->http = scratch.out;
  }
  closedir(listing);
}

static int listen_on_free_port(void) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  if (bind(fd, (struct sockaddr *)&address, size) || listen(fd, 4096) ||
      getsockname(fd, (struct sockaddr *)&address, &size))
    die("listen: %s", strerror(errno));
  printf("%d\n", ntohs(address.sin_port));
  fflush(stdout);
  return fd;
}

static void add(int fd, void *mark) {
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = mark};
  epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
}

int main(int count, char **arguments) {
  if (count != 3)
    die("usage: upstream FOLDER UPLOAD_BYTES");
  ignore_broken_pipes();
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  load(arguments[1]);
  upload_bytes = strtoull(arguments[2], NULL, 10);
  poller = epoll_create1(EPOLL_CLOEXEC);
  timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  int listener = listen_on_free_port();
  add(listener, &listener);
  add(timer, &timer);
  for (;;) {
    struct epoll_event events[256];
    int ready = epoll_wait(poller, events, 256, -1);
    for (int i = 0; i < ready; i++) {
      void *mark = events[i].data.ptr;
      if (mark == &listener) {
        accept_all(listener);
      } else if (mark == &timer) {
        send_due();
      } else {
        struct connection *c = mark;
        bool alive = true;
        if (events[i].events & EPOLLOUT)
          alive = sent_on(c);
        if (alive && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
          alive = receive(c);
        if (!alive)
          close_connection(c);
      }
    }
    arm_timer();
  }
}
