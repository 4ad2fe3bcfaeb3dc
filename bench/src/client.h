/* The load client: calls, their checks, measurements. */
#ifndef BENCH_CLIENT_H
#define BENCH_CLIENT_H

#include "common.h"

/* The options of a run. */
struct plan {
  bool grpc;
  int port;
  unsigned in_flight, connections, markers;
  double warm_up_s;
  double stagger_s; /* time over which the first calls are spread */
  const char *path, *content_type;
  struct bytes body;     /* the body of every call, framed for gRPC */
  struct bytes expected; /* the whole answer; empty without a comparison */
  struct bytes last;     /* the last message, or the end of the body */
  struct bytes contained[4];
  unsigned contained_count;
};
extern struct plan plan;

/* One call in progress. */
struct call {
  uint64_t started, first; /* first: time of its first marker; 0 before that */
  unsigned markers, messages;
  size_t scanned;       /* of the received bytes */
  struct bytes arrived; /* HTTP: the body; gRPC: the incomplete message */
  struct bytes message; /* gRPC: the last whole message */
  const char *fault;    /* its first fault */
};

/* Starts another call in this place. */
void call_begin(struct call *call);
/* Finds markers in received text, checks their order and records their times. Returns the number
 * of bytes that need not be searched again. */
size_t call_scan(struct call *call, const char *data, size_t size);
/* Records a complete message. */
void call_message(struct call *call, const char *data, size_t size);
/* Records a number of messages that are not checked individually. */
void call_messages(struct call *call, unsigned count);
/* Ends a call, successfully without a fault; checks the content. */
void call_end(struct call *call, const char *fault);

/* Whether a window is being measured. */
extern bool measuring;
/* Set when no further calls must begin. */
extern bool finished;

/* Prepares; then each call in flight is started, and restarted whenever it has ended. */
void grpc_open(void);
void grpc_begin(unsigned number);
void http_open(void);
void http_begin(unsigned number);

/* Called by the poller when a connection is ready. */
struct ready {
  void (*handle)(void *self, uint32_t events);
  void *self;
};
void watch(int fd, struct ready *ready, bool write);
void watch_change(int fd, struct ready *ready, bool write);
int connect_to_server(void);
/* Records a broken connection; exits after too many. */
void count_break(void);

#endif
