/* A load client in a closed loop: a fixed number of calls in flight, each checked.
 *
 *   client --grpc|--http PORT PATH --body FILE [options]
 *
 * Prints `ready` when it has warmed up and begins to measure, `progress CALLS CHUNKS` ten times a
 * second, and one line of JSON after a line on standard input or its end.
 */
#define _GNU_SOURCE
#include "client.h"

#include <errno.h>
#include <inttypes.h>
#include <getopt.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define MOST_FAULTS 16
#define MOST_BREAKS 1000

struct plan plan = {.in_flight = 1, .connections = 1, .warm_up_s = 0.3, .content_type = ""};
bool measuring, finished;

static int poller;
static uint64_t began_ns, window_ns;
static uint64_t calls, chunks, messages, started_slots;

/* Samples in nanoseconds. */

struct samples {
  uint64_t *values;
  size_t count, room;
};
static struct samples totals, firsts, delays;

static void sample(struct samples *into, uint64_t value) {
  if (into->count == into->room) {
    into->room = into->room ? into->room * 2 : 65536;
    into->values = realloc(into->values, into->room * sizeof *into->values);
    if (!into->values)
      die("out of memory");
  }
  into->values[into->count++] = value;
}

static int by_value(const void *left, const void *right) {
  uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
  return (a > b) - (a < b);
}

/* Prints microseconds: the value that a share of all samples does not exceed. */
static void print_samples(const char *name, struct samples *of) {
  static const double shares[] = {0.5, 0.9, 0.99, 1};
  static const char *names[] = {"p50", "p90", "p99", "max"};
  qsort(of->values, of->count, sizeof *of->values, by_value);
  printf(",\"%s\":{\"count\":%zu", name, of->count);
  for (int i = 0; of->count && i < 4; i++) {
    size_t rank = (size_t)(shares[i] * (double)of->count + 0.999999);
    printf(",\"%s\":%.1f", names[i], (double)of->values[rank ? rank - 1 : 0] / 1000);
  }
  printf("}");
}

/* Faults by their text. */

static struct {
  char text[120];
  uint64_t count;
} faults[MOST_FAULTS];

static void count_fault(const char *text) {
  for (int i = 0; i < MOST_FAULTS; i++) {
    if (!faults[i].count)
      snprintf(faults[i].text, sizeof faults[i].text, "%s", text);
    if (i == MOST_FAULTS - 1 || strncmp(faults[i].text, text, sizeof faults[i].text - 1) == 0) {
      faults[i].count++;
      return;
    }
  }
}

static void print_faults(void) {
  const char *comma = "";
  printf(",\"errors\":{");
  for (int i = 0; i < MOST_FAULTS && faults[i].count; i++) {
    printf("%s\"", comma);
    for (const char *at = faults[i].text; *at; at++)
      if (*at >= ' ' && *at <= '~' && *at != '"' && *at != '\\')
        putchar(*at);
    printf("\":%" PRIu64, faults[i].count);
    comma = ",";
  }
  printf("}");
}

/* Calls. */

void call_begin(struct call *call) {
  call->started = now_ns();
  call->first = 0;
  call->markers = call->messages = 0;
  call->scanned = call->arrived.size = call->message.size = 0;
  call->fault = NULL;
}

static bool read_marker(const char *at, unsigned *number, uint64_t *time) {
  *number = 0;
  *time = 0;
  for (int i = 1; i < 6; i++) {
    if (at[i] < '0' || at[i] > '9')
      return false;
    *number = *number * 10 + (unsigned)(at[i] - '0');
  }
  for (int i = 7; i < MARKER_SIZE; i++) {
    int digit = at[i] >= '0' && at[i] <= '9' ? at[i] - '0' : at[i] - 'a' + 10;
    if (digit < 0 || digit > 15)
      return false;
    *time = *time << 4 | (uint64_t)digit;
  }
  return at[6] == '@';
}

static void take_marker(struct call *call, unsigned number, uint64_t sent) {
  uint64_t now = now_ns();
  if (number != call->markers)
    call->fault = "a chunk is missing, doubled or out of order";
  if (!call->markers++) {
    call->first = now;
    if (measuring)
      sample(&firsts, now - call->started);
    if (!started_slots--)
      started_slots = 0;
  }
  if (measuring) {
    chunks++;
    sample(&delays, now > sent ? now - sent : 0);
  }
}

size_t call_scan(struct call *call, const char *data, size_t size) {
  size_t at = 0;
  while (plan.markers && at < size) {
    const char *found = memchr(data + at, '#', size - at);
    if (!found)
      return size;
    at = (size_t)(found - data);
    if (size - at < MARKER_SIZE)
      return at;
    unsigned number;
    uint64_t sent;
    if (read_marker(found, &number, &sent)) {
      take_marker(call, number, sent);
      at += MARKER_SIZE;
    } else {
      at++;
    }
  }
  return at;
}

void call_messages(struct call *call, unsigned count) {
  call->messages += count;
  if (measuring)
    messages += count;
}

void call_message(struct call *call, const char *data, size_t size) {
  call_messages(call, 1);
  call_scan(call, data, size);
  call->message.size = 0;
  append(&call->message, data, size);
}

static const char *content_fault(struct call *call) {
  struct bytes *got = plan.grpc ? &call->message : &call->arrived;
  if (call->fault)
    return call->fault;
  if (call->markers != plan.markers)
    return "the stream is short of chunks";
  if (plan.grpc && !plan.markers && call->messages != 1)
    return "not one message";
  if (plan.expected.size && (got->size != plan.expected.size ||
                             memcmp(got->data, plan.expected.data, got->size) != 0))
    return "the answer is not the expected one";
  size_t end = plan.last.size;
  if (end && (got->size < end || (plan.grpc && got->size != end) ||
              memcmp(got->data + got->size - end, plan.last.data, end) != 0))
    return "the end of the stream is not the expected one";
  for (unsigned i = 0; i < plan.contained_count; i++)
    if (!memmem(got->data, got->size, plan.contained[i].data, plan.contained[i].size))
      return "the answer lacks what it should contain";
  return NULL;
}

void call_end(struct call *call, const char *fault) {
  if (!fault)
    fault = content_fault(call);
  if (fault)
    count_fault(fault);
  if ((!plan.markers || fault) && started_slots)
    started_slots--;
  if (!measuring || fault)
    return;
  calls++;
  sample(&totals, now_ns() - call->started);
}

void count_break(void) {
  static unsigned breaks;
  if (++breaks > MOST_BREAKS)
    die("the server closed %u connections", breaks);
}

/* The poller. */

void watch(int fd, struct ready *ready, bool write) {
  struct epoll_event event = {.events = EPOLLIN | (write ? EPOLLOUT : 0), .data.ptr = ready};
  epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
}

void watch_change(int fd, struct ready *ready, bool write) {
  struct epoll_event event = {.events = EPOLLIN | (write ? EPOLLOUT : 0), .data.ptr = ready};
  epoll_ctl(poller, EPOLL_CTL_MOD, fd, &event);
}

int connect_to_server(void) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)plan.port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
    die("connect to port %d: %s", plan.port, strerror(errno));
  set_nonblocking(fd);
  set_nodelay(fd);
  return fd;
}

static void set_timer(int timer, long every_ns) {
  struct itimerspec often = {{0, every_ns}, {0, every_ns}};
  timerfd_settime(timer, 0, &often, NULL);
}

static int timer_every(long nanoseconds) {
  int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  set_timer(timer, nanoseconds);
  return timer;
}

static void on_tick(void *self, uint32_t events) {
  uint64_t ticks, now = now_ns();
  (void)events;
  if (read(*(int *)self, &ticks, sizeof ticks) < 0)
    return;
  if (measuring) {
    printf("progress %" PRIu64 " %" PRIu64 "\n", calls, chunks);
  } else if (!started_slots && now >= began_ns + (uint64_t)(plan.warm_up_s * 1e9)) {
    measuring = true;
    window_ns = now;
    printf("ready\n");
  }
  fflush(stdout);
}

/* Starts the calls that are due. */
static void on_start(void *self, uint32_t events) {
  static unsigned begun;
  uint64_t ticks;
  (void)events;
  if (self && read(*(int *)self, &ticks, sizeof ticks) < 0)
    return;
  double share = plan.stagger_s > 0 ? (double)(now_ns() - began_ns) / 1e9 / plan.stagger_s : 1;
  while (begun < plan.in_flight && begun <= share * plan.in_flight)
    (plan.grpc ? grpc_begin : http_begin)(begun++);
  if (self && begun == plan.in_flight)
    set_timer(*(int *)self, 0);
}

static void on_input(void *self, uint32_t events) {
  (void)self;
  (void)events;
  finished = true;
}

static void report(uint64_t ended_ns) {
  struct rusage used;
  getrusage(RUSAGE_SELF, &used);
  printf("{\"seconds\":%.6f,\"calls\":%" PRIu64 ",\"chunks\":%" PRIu64 ",\"messages\":%" PRIu64,
         window_ns ? (double)(ended_ns - window_ns) / 1e9 : 0.0, calls, chunks, messages);
  print_samples("latency", &totals);
  print_samples("first", &firsts);
  print_samples("delay", &delays);
  print_faults();
  printf("}\n");
  fflush(stdout);
}

/* Start. */

static const struct option options[] = {
    {"grpc", no_argument, NULL, 'g'},           {"http", no_argument, NULL, 'h'},
    {"port", required_argument, NULL, 'p'},     {"path", required_argument, NULL, 'u'},
    {"body", required_argument, NULL, 'b'},     {"in-flight", required_argument, NULL, 'n'},
    {"connections", required_argument, NULL, 'c'}, {"markers", required_argument, NULL, 'm'},
    {"stagger", required_argument, NULL, 'r'},  {"warm-up", required_argument, NULL, 'w'},  {"expect", required_argument, NULL, 'e'},
    {"last", required_argument, NULL, 'l'},     {"contains", required_argument, NULL, 's'},
    {"content-type", required_argument, NULL, 't'}, {0}};

static void take_option(int option) {
  switch (option) {
  case 'g': plan.grpc = true; break;
  case 'h': plan.grpc = false; break;
  case 'p': plan.port = atoi(optarg); break;
  case 'u': plan.path = optarg; break;
  case 'b': plan.body = read_file(optarg); break;
  case 'n': plan.in_flight = (unsigned)atoi(optarg); break;
  case 'c': plan.connections = (unsigned)atoi(optarg); break;
  case 'm': plan.markers = (unsigned)atoi(optarg); break;
  case 'w': plan.warm_up_s = atof(optarg); break;
  case 'r': plan.stagger_s = atof(optarg); break;
  case 'e': plan.expected = read_file(optarg); break;
  case 'l': plan.last = read_file(optarg); break;
  case 't': plan.content_type = optarg; break;
  case 's':
    if (plan.contained_count == 4)
      die("--contains: at most four");
    plan.contained[plan.contained_count++] = read_file(optarg);
    break;
  default: exit(2);
  }
}

int main(int count, char **arguments) {
  ignore_broken_pipes();
  for (int option; (option = getopt_long(count, arguments, "", options, NULL)) >= 0;)
    take_option(option);
  if (!plan.port || !plan.path || !plan.body.data || !plan.in_flight || !plan.connections)
    die("usage: client --grpc|--http --port PORT --path PATH --body FILE [options]");
  if (plan.connections > plan.in_flight)
    plan.connections = plan.in_flight;
  poller = epoll_create1(EPOLL_CLOEXEC);
  int ticks = timer_every(100000000), starts = timer_every(1000000);
  struct ready tick = {on_tick, &ticks}, start = {on_start, &starts}, input = {on_input, NULL};
  watch(ticks, &tick, false);
  if (plan.stagger_s > 0)
    watch(starts, &start, false);
  watch(STDIN_FILENO, &input, false);
  began_ns = now_ns();
  started_slots = plan.in_flight;
  if (plan.grpc)
    grpc_open();
  else
    http_open();
  on_start(NULL, 0);
  while (!finished) {
    struct epoll_event events[256];
    int ready = epoll_wait(poller, events, 256, -1);
    for (int i = 0; i < ready && !finished; i++) {
      struct ready *what = events[i].data.ptr;
      what->handle(what->self, events[i].events);
    }
  }
  report(now_ns());
  return 0;
}
