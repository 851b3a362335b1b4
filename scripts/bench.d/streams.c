/* The stream generator of `scripts/bench`: holds N event streams open at once over keep-alive
 * connections, starts the next as soon as one ends, counts every `data: {...}` frame, and times the
 * first frame of each stream and the gaps between frames to the microsecond.
 *
 * wrk, which loads every other scenario, sees a stream only as one long reply; it serves here as the
 * cross-check of this program's streams per second. Nothing is shared with Tidegate's own load
 * generator, so that one mistake cannot flatter both sides.
 *
 * usage: streams PORT REQUEST_FILE CONNECTIONS FRAMES RAMP_MS SECONDS MODE
 *   REQUEST_FILE  the whole HTTP request, head and body
 *   FRAMES        frames a right stream has (its [DONE] not counted); another count is an error
 *   RAMP_MS       the streams' starts are spread over this time, so that they do not march in step
 *   MODE          `flow`: measure SECONDS of steady flow, beginning when the ramp is over and every
 *                         stream has had a frame; `hold`: announce when all have had a frame, then
 *                         stay SECONDS and leave, streams still open
 * Prints one JSON object a line: {"event":"open"} and {"event":"shut"} as the measured time begins
 * and ends, then {"event":"result", ...}.
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
#include <time.h>
#include <unistd.h>

#define HEAD_MAX 8192
#define EVENTS_MAX 512
#define CONNECTING_MAX 64    /* at once: no listener's backlog is overrun */
#define GAP_US_MAX 2000000   /* longer gaps count as this */
#define STALLED_FLOW_US 1000000 /* a running stream that is silent so long has stalled */
#define STALLED_HOLD_US 3000000
#define START_SECONDS_MAX 30 /* for all streams to have had a frame */

enum body { SIZE, DATA, DATA_END, TRAILER };
enum state { IDLE, CONNECTING, HEAD, BODY };

struct stream {
    int fd;
    enum state state;
    enum body body;
    size_t head_len;
    uint64_t chunk_left;
    unsigned size_seen; /* a digit of the chunk's size was seen / bytes in the trailer's line */
    char line[15];      /* the first bytes of the line being read */
    unsigned line_len;
    unsigned frames;
    int done, ever;     /* `[DONE]` seen; this connection has had a frame, ever */
    uint64_t start_us, last_us, begin_at_us;
    char head[HEAD_MAX + 1];
};

static struct {
    uint64_t streams, frames, connect, status, protocol, cut, wrong_frames, error_frames, stalled;
} seen;

static struct stream *streams;
static char request[65536];
static size_t request_len;
static char refusal[64]; /* the status line of the first */
static unsigned connections, frames_wanted, connecting, idle, live;
static struct sockaddr_in target;
static int poller, measuring;
static uint64_t opened_us;
static uint32_t *first_us;
static size_t first_len, first_room;
static uint32_t *gaps; /* gaps[n]: how many gaps of n microseconds */
static uint64_t gap_count;

static uint64_t now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void hang_up(struct stream *s) {
    if (s->state == CONNECTING) connecting--;
    close(s->fd);
    s->fd = -1;
    s->state = IDLE;
    idle++;
    s->begin_at_us = now_us() + 10000; /* a broken target is tried again, but not in a hot loop */
}

static void send_request(struct stream *s) {
    s->state = HEAD;
    s->head_len = s->line_len = s->frames = 0;
    s->done = 0;
    s->start_us = now_us();
    if (send(s->fd, request, request_len, MSG_NOSIGNAL) != (ssize_t)request_len) {
        seen.cut++;
        hang_up(s);
    }
}

static void dial(struct stream *s) {
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s->fd < 0) die("socket");
    int on = 1;
    setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    s->state = CONNECTING;
    connecting++;
    idle--;
    if (connect(s->fd, (struct sockaddr *)&target, sizeof target) && errno != EINPROGRESS) {
        seen.connect++;
        hang_up(s);
        return;
    }
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT, .data.ptr = s};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, s->fd, &e)) die("epoll_ctl");
}

static void on_connected(struct stream *s) {
    int error = 0;
    socklen_t len = sizeof error;
    getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len);
    if (error) {
        seen.connect++;
        hang_up(s);
        return;
    }
    connecting--;
    s->state = HEAD;
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = s};
    epoll_ctl(poller, EPOLL_CTL_MOD, s->fd, &e);
    send_request(s);
}

static void record_first(uint64_t us) {
    if (first_len == first_room) {
        first_room = first_room ? first_room * 2 : 65536;
        if (!(first_us = realloc(first_us, first_room * sizeof *first_us))) die("realloc");
    }
    first_us[first_len++] = (uint32_t)us;
}

static void on_frame(struct stream *s, uint64_t now) {
    s->frames++;
    if (!s->ever) {
        s->ever = 1;
        live++;
    }
    if (measuring) {
        seen.frames++;
        if (s->frames > 1) {
            uint64_t gap = now - s->last_us;
            gaps[gap < GAP_US_MAX ? gap : GAP_US_MAX]++;
            gap_count++;
        } else if (s->start_us >= opened_us) record_first(now - s->start_us);
    }
    s->last_us = now;
}

static void on_line(struct stream *s, uint64_t now) {
    if (s->line_len >= 15 && memcmp(s->line, "data: {\"error\":", 15) == 0) seen.error_frames++;
    else if (s->line_len >= 7 && memcmp(s->line, "data: {", 7) == 0) on_frame(s, now);
    else if (s->line_len >= 12 && memcmp(s->line, "data: [DONE]", 12) == 0) s->done = 1;
    s->line_len = 0;
}

static void on_data(struct stream *s, const char *bytes, size_t len, uint64_t now) {
    while (len) {
        const char *end = memchr(bytes, '\n', len);
        size_t part = end ? (size_t)(end - bytes) : len;
        size_t room = sizeof s->line - s->line_len, take = part < room ? part : room;
        memcpy(s->line + s->line_len, bytes, take);
        s->line_len += (unsigned)take;
        if (!end) return;
        on_line(s, now);
        bytes += part + 1;
        len -= part + 1;
    }
}

static void on_stream_end(struct stream *s) {
    if (s->frames != frames_wanted || !s->done) seen.wrong_frames++;
    else if (measuring) seen.streams++;
    send_request(s);
}

/* A byte of a chunk's size line. 0: go on; -1: this is no chunk size. */
static int on_size_byte(struct stream *s, char b) {
    if (b == '\n') {
        if (!s->size_seen) return -1;
        s->body = s->chunk_left ? DATA : TRAILER;
        s->size_seen = 0;
        return 0;
    }
    int digit = b >= '0' && b <= '9' ? b - '0' : (b | 32) >= 'a' && (b | 32) <= 'f' ? (b | 32) - 'a' + 10 : -1;
    if (digit < 0) return b == '\r' ? 0 : -1;
    s->chunk_left = s->chunk_left * 16 + (uint64_t)digit;
    s->size_seen = 1;
    return s->chunk_left > (1u << 30) ? -1 : 0;
}

/* Undoes the chunked coding. 0: go on; 1: the stream has ended; -1: this is not HTTP. */
static int on_body(struct stream *s, const char *bytes, size_t len, uint64_t now) {
    for (size_t i = 0; i < len;) {
        if (s->body == DATA) {
            size_t part = len - i < s->chunk_left ? len - i : (size_t)s->chunk_left;
            on_data(s, bytes + i, part, now);
            i += part;
            s->chunk_left -= part;
            if (!s->chunk_left) s->body = DATA_END;
            continue;
        }
        char b = bytes[i++];
        if (s->body == SIZE) {
            if (on_size_byte(s, b)) return -1;
        } else if (s->body == DATA_END) {
            if (b == '\n') s->body = SIZE;
            else if (b != '\r') return -1;
        } else if (b == '\n') {
            if (!s->size_seen) return i == len ? 1 : -1;
            s->size_seen = 0;
        } else if (b != '\r') s->size_seen = 1;
    }
    return 0;
}

/* -1: a wrong head; 0: not yet whole; otherwise its length. */
static int parse_head(struct stream *s) {
    s->head[s->head_len] = 0;
    char *end = strstr(s->head, "\r\n\r\n");
    if (!end) return s->head_len == HEAD_MAX ? -1 : 0;
    end[2] = 0;
    int right = strncmp(s->head, "HTTP/1.1 200", 12) == 0;
    if (!right) {
        if (!seen.status++) snprintf(refusal, sizeof refusal, "%.*s", (int)strcspn(s->head, "\r\n\"\\"), s->head);
    }
    else if (!(right = strcasestr(s->head, "\r\ntransfer-encoding: chunked") != NULL)) seen.protocol++;
    s->body = SIZE;
    s->chunk_left = 0;
    s->size_seen = 0;
    return right ? (int)(end + 4 - s->head) : -1;
}

static void on_readable(struct stream *s) {
    static char buffer[65536];
    int head = s->state == HEAD;
    ssize_t n = recv(s->fd, head ? s->head + s->head_len : buffer, head ? HEAD_MAX - s->head_len : sizeof buffer, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) {
        seen.cut++;
        hang_up(s);
        return;
    }
    const char *bytes = buffer;
    size_t len = (size_t)n;
    if (head) {
        s->head_len += len;
        int head_size = parse_head(s);
        if (head_size < 0) hang_up(s);
        if (head_size <= 0) return;
        s->state = BODY;
        bytes = s->head + head_size;
        len = s->head_len - (size_t)head_size;
    }
    int end = on_body(s, bytes, len, now_us());
    if (end > 0) on_stream_end(s);
    if (end < 0) {
        seen.protocol++;
        hang_up(s);
    }
}

static void turn(void) {
    struct epoll_event events[EVENTS_MAX];
    int n = epoll_wait(poller, events, EVENTS_MAX, 5);
    for (int i = 0; i < n; i++) {
        struct stream *s = events[i].data.ptr;
        if (s->state == CONNECTING) on_connected(s);
        else if (s->state != IDLE) on_readable(s);
    }
    uint64_t now = now_us();
    for (unsigned i = 0; i < connections && idle && connecting < CONNECTING_MAX; i++)
        if (streams[i].state == IDLE && streams[i].begin_at_us <= now) dial(&streams[i]);
}

static int by_value(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static uint32_t first_at(double share) {
    if (!first_len) return 0;
    size_t rank = (size_t)(share * (double)first_len);
    return first_us[rank < first_len ? rank : first_len - 1];
}

static uint32_t gap_at(double share) {
    uint64_t rank = (uint64_t)(share * (double)gap_count), sum = 0;
    for (uint32_t us = 0; us <= GAP_US_MAX; us++)
        if ((sum += gaps[us]) > rank) return us;
    return 0;
}

/* Counted at the end: what waits for ever makes no other error. */
static void count_stalled(uint64_t silent_us_max) {
    uint64_t now = now_us();
    for (unsigned i = 0; i < connections; i++) {
        uint64_t heard = streams[i].last_us > streams[i].start_us ? streams[i].last_us : streams[i].start_us;
        if (streams[i].state >= HEAD && now > heard + silent_us_max) seen.stalled++;
    }
}

static void print_result(uint64_t measured_us) {
    unsigned open = 0;
    for (unsigned i = 0; i < connections; i++) open += streams[i].state == BODY;
    if (first_len) qsort(first_us, first_len, sizeof *first_us, by_value);
    printf("{\"event\":\"result\",\"seconds\":%.6f,\"streams\":%lu,\"frames\":%lu,\"open\":%u,\"firsts\":%zu,"
           "\"first_p50_us\":%u,\"first_p99_us\":%u,\"gap_p50_us\":%u,\"gap_p99_us\":%u,"
           "\"errors\":{\"connect\":%lu,\"status\":%lu,\"protocol\":%lu,\"cut\":%lu,\"wrong_frames\":%lu,\"error_frames\":%lu,\"stalled\":%lu},\"refusal\":\"%s\"}\n",
           (double)measured_us / 1e6, seen.streams, seen.frames, open, first_len, first_at(0.5), first_at(0.99), gap_at(0.5),
           gap_at(0.99), seen.connect, seen.status, seen.protocol, seen.cut, seen.wrong_frames,
           seen.error_frames, seen.stalled, refusal);
}

static void prepare(char **argv) {
    target = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    FILE *f = fopen(argv[2], "rb");
    if (!f) die(argv[2]);
    request_len = fread(request, 1, sizeof request, f);
    fclose(f);
    connections = (unsigned)atoi(argv[3]);
    frames_wanted = (unsigned)atoi(argv[4]);
    uint64_t ramp_us = (uint64_t)atoi(argv[5]) * 1000, start = now_us();
    streams = calloc(connections ? connections : 1, sizeof *streams);
    gaps = calloc(GAP_US_MAX + 1, sizeof *gaps);
    idle = connections;
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (!streams || !gaps || !connections || poller < 0) die("prepare");
    for (unsigned i = 0; i < connections; i++) streams[i] = (struct stream){.fd = -1, .begin_at_us = start + ramp_us * i / connections};
}

int main(int argc, char **argv) {
    if (argc != 8) {
        fprintf(stderr, "usage: streams PORT REQUEST_FILE CONNECTIONS FRAMES RAMP_MS SECONDS flow|hold\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    prepare(argv);
    uint64_t ramp_us = (uint64_t)atoi(argv[5]) * 1000, measured_us = (uint64_t)(atof(argv[6]) * 1e6), begin = now_us();
    int flow = strcmp(argv[7], "flow") == 0;
    uint64_t settle_us = flow ? ramp_us : 0; /* one ramp's time more, for the phases to settle */
    while (live < connections || now_us() < begin + ramp_us + settle_us) {
        if (now_us() > begin + ramp_us + settle_us + START_SECONDS_MAX * 1000000ull) break;
        turn();
    }
    printf("{\"event\":\"open\"}\n");
    measuring = 1;
    opened_us = now_us();
    while (now_us() < opened_us + measured_us) turn();
    uint64_t shut_us = now_us();
    count_stalled(flow ? STALLED_FLOW_US : STALLED_HOLD_US);
    measuring = 0;
    printf("{\"event\":\"shut\"}\n");
    print_result(shut_us - opened_us);
    return 0;
}
