/* A load generator for UDP trackers (BEP 15): many simulated peers, a fixed number of requests under way.
 *
 * It connects from each source address, lets every peer announce itself once (not measured), then goes round the peers
 * for a while, and checks each answer: its action, its transaction id, its size. What is not answered within a second is
 * lost, and counted. One JSON object on standard output says how it went.
 *
 * One socket speaks for all source addresses (IP_PKTINFO), and datagrams go and come in batches, so that the
 * generator is cheaper than the tracker that it loads. Nothing is sent without the window having room, and
 * everything ends: by --seconds, by --most-seconds, or when nothing has been answered for five seconds.
 *
 *   load --host 198.18.0.2 --port 6771 --peers 2000 --swarms 1 --want 50 --window 64 --seconds 2 [--kind announce]
 *
 * Kinds: announce (keep-alives), fill (every peer announces itself once: --seconds does not count), lookup (a name is
 * looked up again under the number of its request, which each peer has from a first look-up that is not measured), request (a name is looked up anew, and the outcome reported); leechers look up.
 * --named 1: peers say their names and the file's. --fill 0: they have announced themselves in an earlier run.
 *
 * Build: gcc -O2 -static -o load tracker_load.c
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST_WINDOW = 4096, BATCH = 64, DATAGRAM = 2048, MOST_SOURCES = 1024, BUCKETS = 20000 };
enum { CONNECT = 0, ANNOUNCE = 1, LOOKUP = 0x544E0001, OUTCOME = 0x544E0003 };
#define LOST_AFTER 1000000000ull /* ns */
#define SILENCE 5000000000ull
#define ID_LIFETIME 45000000000ull /* a client may use an id for 60 s */
#define PROTOCOL 0x41727101980ull

typedef struct {
    uint64_t sent; /* ns; 0: free */
    uint32_t peer, generation, action;
} Flight;

static struct sockaddr_in tracker;
static struct {
    const char *kind;
    uint32_t first_source, sources, peers, swarms, want, window;
    double seconds, most_seconds;
    int named, fill;
} options = {"announce", 0, 1, 2000, 1, 50, 64, 2.0, 60.0, 0, 1};

static Flight flights[MOST_WINDOW];
static uint32_t free_slots[MOST_WINDOW], free_count;
static uint64_t ids[MOST_SOURCES], id_times[MOST_SOURCES];
static uint32_t *requests; /* number of each peer's request, 0: none */
static uint64_t answered, wrong, errors, lost, late, listed, sent_count, bytes_in;
static uint32_t latency[BUCKETS];
static char first_problem[160];
static int sock;

static struct mmsghdr out[BATCH], in[BATCH];
static struct iovec out_io[BATCH], in_io[BATCH];
static unsigned char out_data[BATCH][DATAGRAM], in_data[BATCH][DATAGRAM];
static union {
    char room[CMSG_SPACE(sizeof(struct in_pktinfo))];
    struct cmsghdr align;
} control[BATCH];
static int queued;

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static void put16(unsigned char *at, uint32_t v) { at[0] = v >> 8, at[1] = v; }
static void put32(unsigned char *at, uint32_t v) { put16(at, v >> 16), put16(at + 2, v); }
static void put64(unsigned char *at, uint64_t v) { put32(at, v >> 32), put32(at + 4, (uint32_t)v); }
static uint32_t get16(const unsigned char *at) { return (uint32_t)at[0] << 8 | at[1]; }
static uint32_t get32(const unsigned char *at) { return get16(at) << 16 | get16(at + 2); }
static uint64_t get64(const unsigned char *at) { return (uint64_t)get32(at) << 32 | get32(at + 4); }

static void die(const char *what) {
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void problem(const char *text, uint32_t number) {
    if (!first_problem[0]) snprintf(first_problem, sizeof first_problem, "%s %u", text, number);
}

/* The swarms' info-hashes: SHA-1 of nothing, only unlike each other; the bench writes the same into whitelists. */
static void info_hash(uint32_t swarm, unsigned char *at) {
    memset(at, 0xB5, 20);
    put32(at, swarm * 2654435761u);
    put32(at + 16, swarm);
}

static uint32_t source_of(uint32_t peer) { return peer / options.swarms % options.sources; }
/* Peers of one source and swarm have ports of their own. */
static uint32_t port_of(uint32_t peer) { return 1024 + peer / options.swarms / options.sources % 64000; }

/* Every other one of a swarm. Those that look a file up are not. */
static int is_seed(uint32_t peer) { return peer / options.swarms % 2 == 0; }

static void peer_id(uint32_t peer, unsigned char *at) {
    memcpy(at, "-LG0100-", 8);
    put32(at + 8, peer * 2654435761u);
    put32(at + 12, ~peer);
    put32(at + 16, peer);
}

static int file_name(uint32_t swarm, char *at) { return sprintf(at, "file-%05u.bin", swarm); }
static int peer_name(uint32_t peer, char *at) { return sprintf(at, "peer-%07u", peer); }

static void flush_out(void) {
    int done = 0;
    while (done < queued) {
        int n = sendmmsg(sock, out + done, (unsigned)(queued - done), 0);
        if (n < 0) {
            if (errno == EINTR || errno == EAGAIN || errno == ENOBUFS || errno == ECONNREFUSED) continue;
            die("sendmmsg");
        }
        done += n;
    }
    queued = 0;
}

static void queue(uint32_t source, size_t size) {
    struct in_pktinfo *info = (struct in_pktinfo *)CMSG_DATA(&control[queued].align);
    info->ipi_spec_dst.s_addr = htonl(options.first_source + source);
    out[queued].msg_hdr.msg_controllen = options.first_source ? sizeof control[queued].room : 0;
    out_io[queued].iov_len = size;
    sent_count++;
    if (++queued == BATCH) flush_out();
}

/* One request of a peer: fills the next datagram and gives its size. */
static size_t compose(uint32_t peer, uint32_t action, uint32_t tid, uint32_t event, unsigned char *p) {
    uint32_t swarm = peer % options.swarms;
    put64(p, ids[source_of(peer)]);
    put32(p + 8, action);
    put32(p + 12, tid);
    if (action == ANNOUNCE) {
        memset(p + 16, 0, 82);
        info_hash(swarm, p + 16);
        peer_id(peer, p + 36);
        put64(p + 64, is_seed(peer) ? 0 : 1048576);
        put32(p + 80, event);
        put32(p + 88, peer);
        put32(p + 92, options.want);
        put16(p + 96, port_of(peer));
        if (!options.named) return 98;
        char file[32], name[32];
        file_name(swarm, file), peer_name(peer, name);
        int n = sprintf((char *)p + 100, "/announce?tn=1&name=%s&size=1048576&piece=262144&peer=%s", file, name);
        p[98] = 2, p[99] = (unsigned char)n;
        return 100 + (size_t)n;
    }
    if (action == LOOKUP) {
        p[16] = 1, p[17] = 0;
        put16(p + 18, 0);
        put32(p + 20, requests[peer]);
        peer_id(peer, p + 24);
        put16(p + 44, port_of(peer));
        p[46] = (unsigned char)file_name(swarm, (char *)p + 48);
        p[47] = (unsigned char)peer_name(peer, (char *)p + 48 + p[46]);
        return 48u + p[46] + p[47];
    }
    memset(p + 16, 0, 64);
    p[16] = 1, p[17] = 1;
    put16(p + 18, port_of(peer));
    info_hash(swarm, p + 20);
    peer_id(peer, p + 40);
    put32(p + 60, requests[peer]);
    put64(p + 64, 1048576);
    put32(p + 72, 120);
    return 80;
}

static void begin(uint32_t peer, uint32_t action, uint32_t event, uint64_t now) {
    uint32_t slot = free_slots[--free_count];
    Flight *flight = &flights[slot];
    flight->sent = now, flight->peer = peer, flight->action = action, flight->generation++;
    uint32_t tid = flight->generation << 12 | slot;
    queue(source_of(peer), compose(peer, action, tid, event, out_data[queued]));
}

static void take(const unsigned char *data, uint32_t size, uint64_t now, int measured) {
    if (size < 8) {
        wrong++, problem("answer of bytes:", size);
        return;
    }
    uint32_t action = get32(data), tid = get32(data + 4);
    Flight *flight = &flights[tid & (MOST_WINDOW - 1)];
    if (!flight->sent || (flight->generation & 0xFFFFF) != tid >> 12) {
        late++;
        return;
    }
    uint64_t took = now - flight->sent;
    flight->sent = 0;
    free_slots[free_count++] = tid & (MOST_WINDOW - 1);
    bytes_in += size;
    if (action == 3) {
        errors++;
        if (!first_problem[0]) snprintf(first_problem, sizeof first_problem, "%.*s", (int)(size - 8), data + 8);
        return;
    }
    int good = action == flight->action;
    if (good && action == ANNOUNCE) {
        uint32_t count = (size - 20) / 6;
        good = size >= 20 && (size - 20) % 6 == 0 && count <= options.want && get32(data + 8) > 0;
        listed += good ? count : 0;
    } else if (good && action == LOOKUP) {
        good = size >= 68 && size <= 1472 && data[8] == 1 && get32(data + 12) != 0;
        if (good) requests[flight->peer] = get32(data + 12), listed += get16(data + 66);
    } else if (good) {
        good = size == 16 && get32(data + 12) == requests[flight->peer];
        if (good) requests[flight->peer] = 0;
    }
    if (!good) {
        wrong++, problem("wrong answer of bytes:", size);
        return;
    }
    answered++;
    if (measured) {
        uint64_t bucket = took / 10000; /* 10 us */
        latency[bucket < BUCKETS ? bucket : BUCKETS - 1]++;
    }
}

/* Take what has come; waits up to `wait` ms for it. Gives how many came. */
static int receive(int wait, int measured) {
    int n = recvmmsg(sock, in, BATCH, MSG_DONTWAIT, NULL);
    if (n < 0) {
        if (errno != EAGAIN && errno != EINTR && errno != ECONNREFUSED) die("recvmmsg");
        struct pollfd poller = {sock, POLLIN, 0};
        poll(&poller, 1, wait);
        n = recvmmsg(sock, in, BATCH, MSG_DONTWAIT, NULL);
        if (n < 0) return 0;
    }
    uint64_t now = now_ns();
    for (int i = 0; i < n; i++) take(in_data[i], in[i].msg_len, now, measured);
    return n;
}

static void connect_source(uint32_t source) {
    for (int attempt = 0; attempt < 20; attempt++) {
        put64(out_data[queued], PROTOCOL);
        put32(out_data[queued] + 8, CONNECT);
        put32(out_data[queued] + 12, 0xC0000000u + source);
        queue(source, 16);
        flush_out();
        sent_count--;
        uint64_t until = now_ns() + 250000000ull;
        while (now_ns() < until) {
            struct pollfd poller = {sock, POLLIN, 0};
            poll(&poller, 1, 50);
            ssize_t n = recv(sock, in_data[0], DATAGRAM, MSG_DONTWAIT);
            if (n == 16 && get32(in_data[0]) == CONNECT && get32(in_data[0] + 4) == 0xC0000000u + source) {
                ids[source] = get64(in_data[0] + 8), id_times[source] = now_ns();
                return;
            }
        }
    }
    fprintf(stderr, "load: the tracker does not answer a connect\n");
    exit(1);
}

static void connect_all(void) {
    for (uint32_t source = 0; source < options.sources; source++) connect_source(source);
}

static void drop_lost(uint64_t now) {
    for (uint32_t slot = 0; slot < options.window; slot++)
        if (flights[slot].sent && now - flights[slot].sent > LOST_AFTER) {
            flights[slot].sent = 0;
            free_slots[free_count++] = slot;
            lost++;
        }
}

static void settle(void) {
    flush_out();
    uint64_t until = now_ns() + LOST_AFTER;
    while (free_count < options.window && now_ns() < until) receive(20, 0);
    drop_lost(now_ns() + LOST_AFTER);
}

/* Go round the peers until `count` requests were begun or `until` has come. Of what `kind`: the first letter of its name. */
static void go_round(char kind, uint32_t event, uint64_t count, uint64_t until, int measured) {
    int looking_up = kind == 'l', asking = kind == 'r';
    uint32_t peer = 0;
    uint64_t begun = 0, last = answered, silent_since = now_ns(), checked = silent_since;
    for (;;) {
        uint64_t now = now_ns();
        if (begun >= count || now >= until) break;
        while (free_count && begun < count) {
            uint32_t action = looking_up || asking ? LOOKUP : ANNOUNCE;
            /* The outcome follows the look-up of the same peer in the next round. */
            if (asking && requests[peer]) action = OUTCOME;
            if (action == ANNOUNCE || !is_seed(peer)) begin(peer, action, event, now), begun++;
            if (++peer == options.peers) peer = 0;
        }
        flush_out();
        receive(20, measured);
        if (now - checked > 100000000ull) {
            checked = now;
            drop_lost(now);
            if (answered != last) last = answered, silent_since = now;
            if (now - silent_since > SILENCE) {
                fprintf(stderr, "load: no good answer for 5 s (%s)\n", first_problem[0] ? first_problem : "silence");
                exit(1);
            }
            if (now - id_times[0] > ID_LIFETIME) {
                settle();
                connect_all();
            }
        }
    }
}

static double percentile(double part) {
    uint64_t all = 0, seen = 0;
    for (int i = 0; i < BUCKETS; i++) all += latency[i];
    for (int i = 0; i < BUCKETS; i++)
        if ((seen += latency[i]) >= part * (double)all) return (i + 1) * 0.01;
    return 0;
}

static uint32_t number(const char *text, uint32_t most) {
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (*end || value > most || !*text) {
        fprintf(stderr, "load: %s is no number up to %u\n", text, most);
        exit(2);
    }
    return (uint32_t)value;
}

static void read_options(int count, char **words) {
    tracker.sin_family = AF_INET;
    for (int i = 1; i < count; i += 2) {
        const char *name = words[i], *value = i + 1 < count ? words[i + 1] : "";
        struct in_addr address;
        if (!strcmp(name, "--host") && inet_aton(value, &address)) tracker.sin_addr = address;
        else if (!strcmp(name, "--from") && inet_aton(value, &address)) options.first_source = ntohl(address.s_addr);
        else if (!strcmp(name, "--port")) tracker.sin_port = htons((uint16_t)number(value, 65535));
        else if (!strcmp(name, "--sources")) options.sources = number(value, MOST_SOURCES);
        else if (!strcmp(name, "--peers")) options.peers = number(value, 4000000);
        else if (!strcmp(name, "--swarms")) options.swarms = number(value, 100000);
        else if (!strcmp(name, "--want")) options.want = number(value, 200);
        else if (!strcmp(name, "--window")) options.window = number(value, MOST_WINDOW);
        else if (!strcmp(name, "--named")) options.named = (int)number(value, 1);
        else if (!strcmp(name, "--fill")) options.fill = (int)number(value, 1);
        else if (!strcmp(name, "--seconds")) options.seconds = atof(value);
        else if (!strcmp(name, "--most-seconds")) options.most_seconds = atof(value);
        else if (!strcmp(name, "--kind") && strchr("aflr", value[0])) options.kind = value;
        else {
            fprintf(stderr, "load: unknown: %s %s\n", name, value);
            exit(2);
        }
    }
    if (!tracker.sin_port || !tracker.sin_addr.s_addr || !options.sources || !options.peers || !options.swarms ||
        !options.window || (strchr("lr", options.kind[0]) && options.peers < 2 * options.swarms) || options.seconds > options.most_seconds || options.most_seconds > 600) {
        fprintf(stderr, "load: --host and --port are needed; nothing may be 0; look-ups need a leecher in each swarm; --most-seconds is 600 at most\n");
        exit(2);
    }
}

int main(int count, char **words) {
    read_options(count, words);
    alarm((unsigned)options.most_seconds + 10); /* the end, whatever happens */
    sock = socket(AF_INET, SOCK_DGRAM, 0);
    if (sock < 0) die("socket");
    int room = 4 << 20;
    setsockopt(sock, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    requests = calloc(options.peers, sizeof *requests);
    if (!requests) die("calloc");
    for (int i = 0; i < BATCH; i++) {
        struct msghdr *to = &out[i].msg_hdr, *from = &in[i].msg_hdr;
        out_io[i] = (struct iovec){out_data[i], 0};
        in_io[i] = (struct iovec){in_data[i], DATAGRAM};
        to->msg_name = &tracker, to->msg_namelen = sizeof tracker, to->msg_iov = &out_io[i], to->msg_iovlen = 1;
        from->msg_iov = &in_io[i], from->msg_iovlen = 1;
        to->msg_control = control[i].room;
        control[i].align.cmsg_level = IPPROTO_IP;
        control[i].align.cmsg_type = IP_PKTINFO;
        control[i].align.cmsg_len = CMSG_LEN(sizeof(struct in_pktinfo));
    }
    for (uint32_t slot = 0; slot < options.window; slot++) free_slots[free_count++] = slot;

    uint32_t leechers = 0;
    for (uint32_t peer = 0; peer < options.peers; peer++) leechers += !is_seed(peer);

    uint64_t start = now_ns(), end = start + (uint64_t)(options.most_seconds * 1e9);
    connect_all();
    if (options.fill) go_round('a', 2, options.peers, end, 0);
    if (options.kind[0] == 'l') go_round('l', 0, leechers, end, 0);
    settle();
    double fill_seconds = (double)(now_ns() - start) / 1e9;
    uint64_t fill_answered = answered, fill_lost = lost, fill_wrong = wrong, fill_errors = errors;
    double seconds = 0;
    struct rusage before, after;
    if (options.kind[0] != 'f') {
        answered = lost = wrong = errors = late = listed = sent_count = bytes_in = 0;
        getrusage(RUSAGE_SELF, &before);
        uint64_t from = now_ns(), until = from + (uint64_t)(options.seconds * 1e9);
        go_round(options.kind[0], 0, UINT64_MAX, until < end ? until : end, 1);
        seconds = (double)(now_ns() - from) / 1e9;
        getrusage(RUSAGE_SELF, &after);
    } else {
        getrusage(RUSAGE_SELF, &before), after = before;
    }
    uint64_t measured = answered;
    settle();
    double cpu = (double)(after.ru_utime.tv_sec - before.ru_utime.tv_sec + after.ru_stime.tv_sec - before.ru_stime.tv_sec) +
                 (double)(after.ru_utime.tv_usec - before.ru_utime.tv_usec + after.ru_stime.tv_usec - before.ru_stime.tv_usec) / 1e6;
    for (char *c = first_problem; *c; c++)
        if (*c < ' ' || *c > '~' || *c == '"' || *c == '\\') *c = '?';
    printf("{\"kind\": \"%s\", \"peers\": %u, \"swarms\": %u, \"want\": %u, \"window\": %u, \"sources\": %u, "
           "\"fill_seconds\": %.3f, \"fill_answered\": %llu, \"fill_bad\": %llu, \"seconds\": %.3f, \"answered\": %llu, "
           "\"per_second\": %.0f, \"lost\": %llu, \"wrong\": %llu, \"errors\": %llu, \"late\": %llu, \"listed\": %.2f, "
           "\"bytes\": %.1f, \"p50_ms\": %.2f, \"p99_ms\": %.2f, \"cpu\": %.3f, \"problem\": \"%s\"}\n",
           options.kind, options.peers, options.swarms, options.want, options.window, options.sources, fill_seconds,
           (unsigned long long)fill_answered, (unsigned long long)(fill_lost + fill_wrong + fill_errors), seconds,
           (unsigned long long)measured, seconds > 0 ? (double)measured / seconds : 0, (unsigned long long)lost,
           (unsigned long long)wrong, (unsigned long long)errors, (unsigned long long)late,
           answered ? (double)listed / (double)answered : 0, answered ? (double)bytes_in / (double)answered : 0,
           percentile(0.5), percentile(0.99), seconds > 0 ? cpu / seconds : 0, first_problem);
    return 0;
}
