/* The bare provider that `scripts/bench` puts behind every proxy: it reads a whole request and
 * answers with a canned reply, or with a stream of timed frames where the request asks for one.
 *
 * It is C and one epoll loop because it shares a core with the load generator: what it spends there
 * is not left to press the proxies with, and a slow provider makes all proxies look alike. For small
 * requests it costs what nginx's own `return 200` costs; but nginx answers a large body before it has
 * read it, which spares a proxy the sending, and cannot stream on a clock. It is not an HTTP server to
 * learn from: it knows what the benchmark sends (Content-Length, no pipelining) and closes on all else.
 *
 * usage: mock PORT REPLY_FILE FIRST_FRAME_US BETWEEN_FRAMES_US FRAMES
 *   A frame is one `data: {...}` event in one HTTP chunk in one write. The last one is followed, in
 *   the same write, by the usage frame (if the request asked for it) and `data: [DONE]`.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define REQUEST_KEPT_MAX 8192 /* bytes of a request kept to look into; the rest is read and dropped */
#define EVENTS_MAX 512

static const char STREAM_HEAD[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                                  "Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n";
static const char CHUNK[] = "{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,"
                            "\"model\":\"bench-model\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" token\"},"
                            "\"finish_reason\":null}]}";
static const char LAST_CHUNK[] = "{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,"
                                 "\"model\":\"bench-model\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\".\"},"
                                 "\"finish_reason\":\"stop\"}]}";
static const char USAGE_CHUNK[] = "{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,"
                                  "\"model\":\"bench-model\",\"choices\":[],\"usage\":{\"prompt_tokens\":200,"
                                  "\"completion_tokens\":50,\"total_tokens\":250}}";

struct connection {
    int fd;
    size_t kept;         /* bytes in `request` */
    uint64_t body_left;  /* bytes of the body still to come, once the head is whole */
    int head_done;
    int wants_usage;
    uint64_t due_us;     /* when the next frame goes out; 0: no stream runs */
    unsigned frames_sent;
    struct connection *before, *after; /* its place in the queue of `between` */
    struct queue *queue;
    char request[REQUEST_KEPT_MAX + 1];
};

/* Streams in the order in which their next frame is due. Every entry of one queue waits equally
 * long and is appended when its wait begins, so the order holds with no heap. */
struct queue { struct connection *head, *tail; };

static struct queue first_frames, next_frames;
static uint64_t first_frame_us, between_frames_us;
static unsigned frames_wanted;
static char *reply, *frame, *last_plain, *last_usage;
static size_t reply_len, frame_len, last_plain_len, last_usage_len;
static char scratch[1 << 18];
static int poller;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static uint64_t now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void enqueue(struct queue *q, struct connection *c, uint64_t due_us) {
    c->due_us = due_us;
    c->queue = q;
    c->after = NULL;
    c->before = q->tail;
    if (q->tail) q->tail->after = c;
    else q->head = c;
    q->tail = c;
}

static void dequeue(struct connection *c) {
    struct queue *q = c->queue;
    if (!q) return;
    if (c->before) c->before->after = c->after;
    else q->head = c->after;
    if (c->after) c->after->before = c->before;
    else q->tail = c->before;
    c->queue = NULL;
    c->due_us = 0;
}

static void hang_up(struct connection *c) {
    dequeue(c);
    close(c->fd);
    free(c);
}

/* Whole or not at all: replies are far below a socket's buffer, so a short write means that the
 * reader stopped reading, and the connection is given up (the generator then counts an error). */
static int send_all(struct connection *c, const char *bytes, size_t len) {
    if (send(c->fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)len) return 1;
    hang_up(c);
    return 0;
}

static void begin_next_request(struct connection *c) {
    c->kept = 0;
    c->head_done = 0;
    c->body_left = 0;
}

static void answer(struct connection *c) {
    c->request[c->kept] = 0;
    if (!frames_wanted || !strstr(c->request, "\"stream\":true")) {
        begin_next_request(c);
        send_all(c, reply, reply_len);
        return;
    }
    char *usage = strstr(c->request, "\"include_usage\"");
    c->wants_usage = usage && strncmp(usage + strcspn(usage, ":"), ":true", 5) == 0;
    c->frames_sent = 0;
    begin_next_request(c);
    if (send_all(c, STREAM_HEAD, sizeof STREAM_HEAD - 1))
        enqueue(&first_frames, c, now_us() + first_frame_us);
}

/* Finds the head's end and the body's length. 0: not yet whole; -1: not what we understand. */
static int parse_head(struct connection *c) {
    c->request[c->kept] = 0;
    char *end = strstr(c->request, "\r\n\r\n");
    if (!end) return c->kept == REQUEST_KEPT_MAX ? -1 : 0;
    *end = 0;
    char *length = strcasestr(c->request, "\r\ncontent-length:");
    int chunked = strcasestr(c->request, "\r\ntransfer-encoding:") != NULL;
    *end = '\r';
    if (chunked) return -1;
    uint64_t body = length ? strtoull(length + 17, NULL, 10) : 0;
    uint64_t have = c->kept - (size_t)(end + 4 - c->request);
    if (have > body) return -1;
    c->head_done = 1;
    c->body_left = body - have;
    return 1;
}

static void on_readable(struct connection *c) {
    for (;;) {
        int keep = c->kept < REQUEST_KEPT_MAX;
        char *into = keep ? c->request + c->kept : scratch;
        size_t room = keep ? REQUEST_KEPT_MAX - c->kept : sizeof scratch;
        ssize_t n = recv(c->fd, into, room, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (n <= 0 || c->due_us) { /* the caller left, or spoke while its stream runs */
            hang_up(c);
            return;
        }
        if (keep) c->kept += (size_t)n;
        if (c->head_done) c->body_left -= (uint64_t)n < c->body_left ? (uint64_t)n : c->body_left;
        else if (parse_head(c) < 0) {
            hang_up(c);
            return;
        }
        if (c->head_done && c->body_left == 0) {
            answer(c);
            return;
        }
        if ((size_t)n < room) return; /* drained; epoll is level-triggered, so more will be told */
    }
}

static void send_due_frames(uint64_t now) {
    for (;;) {
        struct connection *a = first_frames.head, *b = next_frames.head;
        struct connection *c = !a ? b : !b ? a : a->due_us <= b->due_us ? a : b;
        if (!c || c->due_us > now) return;
        uint64_t due = c->due_us;
        dequeue(c);
        if (++c->frames_sent < frames_wanted) {
            /* From when it was due, not from now: the rate holds under load. */
            if (send_all(c, frame, frame_len)) enqueue(&next_frames, c, due + between_frames_us);
        } else if (c->wants_usage) send_all(c, last_usage, last_usage_len);
        else send_all(c, last_plain, last_plain_len);
    }
}

static void arm(int timer) {
    struct connection *a = first_frames.head, *b = next_frames.head;
    uint64_t due = a && (!b || a->due_us < b->due_us) ? a->due_us : b ? b->due_us : 0;
    struct itimerspec when = {.it_value = {.tv_sec = (time_t)(due / 1000000), .tv_nsec = (long)(due % 1000000) * 1000}};
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL); /* a time gone by fires at once; zero disarms */
}

static void accept_all(int listener) {
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) return;
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct connection *c = calloc(1, sizeof *c);
        if (!c) die("calloc");
        c->fd = fd;
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
        if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &e)) die("epoll_ctl");
    }
}

static int listen_on(int port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) || listen(fd, 4096)) die("listen");
    return fd;
}

static char *chunked(size_t *len, const char *first, const char *second, int done) {
    char events[2048], *out;
    int n = snprintf(events, sizeof events, "data: %s\n\n%s%s%s%s", first, second ? "data: " : "", second ? second : "",
                     second ? "\n\n" : "", done ? "data: [DONE]\n\n" : "");
    int m = asprintf(&out, "%x\r\n%s\r\n%s", (unsigned)n, events, done ? "0\r\n\r\n" : "");
    if (m < 0) die("asprintf");
    *len = (size_t)m;
    return out;
}

static void prepare(const char *reply_file) {
    FILE *f = fopen(reply_file, "rb");
    if (!f) die(reply_file);
    size_t body = fread(scratch, 1, sizeof scratch, f);
    fclose(f);
    int n = asprintf(&reply, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n", body);
    if (n < 0 || !(reply = realloc(reply, (size_t)n + body))) die("reply");
    memcpy(reply + n, scratch, body);
    reply_len = (size_t)n + body;
    frame = chunked(&frame_len, CHUNK, NULL, 0);
    last_plain = chunked(&last_plain_len, LAST_CHUNK, NULL, 1);
    last_usage = chunked(&last_usage_len, LAST_CHUNK, USAGE_CHUNK, 1);
}

int main(int argc, char **argv) {
    if (argc != 6) {
        fprintf(stderr, "usage: mock PORT REPLY_FILE FIRST_FRAME_US BETWEEN_FRAMES_US FRAMES\n");
        return 2;
    }
    prepare(argv[2]);
    first_frame_us = strtoull(argv[3], NULL, 10);
    between_frames_us = strtoull(argv[4], NULL, 10);
    frames_wanted = (unsigned)strtoul(argv[5], NULL, 10);

    static char listener_mark, timer_mark;
    poller = epoll_create1(EPOLL_CLOEXEC);
    int listener = listen_on(atoi(argv[1]));
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = &listener_mark};
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &e);
    e.data.ptr = &timer_mark;
    epoll_ctl(poller, EPOLL_CTL_ADD, timer, &e);
    for (;;) {
        struct epoll_event events[EVENTS_MAX];
        int n = epoll_wait(poller, events, EVENTS_MAX, -1);
        for (int i = 0; i < n; i++) {
            uint64_t expirations;
            if (events[i].data.ptr == &listener_mark) accept_all(listener);
            else if (events[i].data.ptr == &timer_mark) (void)!read(timer, &expirations, sizeof expirations);
            else on_readable(events[i].data.ptr);
        }
        /* Frames go out after the events, so that no freed connection is still among them. */
        if (first_frames.head || next_frames.head) {
            send_due_frames(now_us());
            arm(timer);
        }
    }
}
