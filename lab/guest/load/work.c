/*
 * What a child of the load program does: it takes memory in one way, says how far it is, and then holds it until it is killed.
 * SIGTERM makes it take no more.
 */
#include "load.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t is_stopped;

static void stop(int signal) {
  (void)signal;
  is_stopped = 1;
}

static void begin(const struct order *order) {
  struct sigaction action = {.sa_handler = stop};
  sigaction(SIGTERM, &action, NULL);
  report("began", order->id, "");
}

static _Noreturn void hold(long id, long mib) {
  report("holds", id, ",\"mib\":%ld", mib);
  for (;;) pause();
}

static _Noreturn void fail(long id, long mib, const char *what) {
  report("failed", id, ",\"mib\":%ld,\"why\":\"%s: %s\"", mib, what, strerror(errno));
  for (;;) pause();
}

static void sleep_until(int64_t at_us) {
  struct timespec at = {.tv_sec = at_us / 1000000, .tv_nsec = at_us % 1000000 * 1000};
  while (!is_stopped && clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR) continue;
}

#define PAGE_BYTES 4096
#define SAMPLE_WORDS 128

/*
 * Contents of which a swap device can pack a page to about a quarter, as it can those of most programs, and no two pages alike. What
 * they have in common is made once: an emulated processor copies it in a fraction of the time.
 */
static void fill(char *memory, size_t bytes) {
  static uint64_t sample[SAMPLE_WORDS], number = 88172645463325252u;
  if (sample[0] == 0)
    for (int i = 0; i < SAMPLE_WORDS; i++) {
      number ^= number << 13;
      number ^= number >> 7;
      number ^= number << 17;
      sample[i] = number;
    }
  for (size_t page = 0; page < bytes; page += PAGE_BYTES) {
    sample[0] = ++number;
    memcpy(memory + page, sample, sizeof sample);
  }
}

/* Takes `mib` more; NULL, or what could not be done. `mib_before` are there already. */
typedef const char *take(long mib, long mib_before);

static void take_in_steps(const struct order *order, take *take) {
  begin(order);
  int64_t start = now_us();
  long taken = 0;
  for (long n = 1; taken < order->mib && !is_stopped; n++) {
    long step = order->step_mib < order->mib - taken ? order->step_mib : order->mib - taken;
    int64_t from = now_us();
    const char *what = take(step, taken);
    if (what != NULL) fail(order->id, taken, what);
    taken += step;
    report("took", order->id, ",\"mib\":%ld,\"tookUs\":%lld", taken, (long long)(now_us() - from));
    if (taken < order->mib && order->pause_ms > 0) sleep_until(start + n * order->pause_ms * 1000);
  }
  hold(order->id, taken);
}

static void *map(long mib) {
  return mmap(NULL, (size_t)mib * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static const char *take_mapped(long mib, long mib_before) {
  (void)mib_before;
  char *memory = map(mib);
  if (memory == MAP_FAILED) return "mmap";
  fill(memory, (size_t)mib * MIB);
  return NULL;
}

void take_anonymous(const struct order *order) { take_in_steps(order, take_mapped); }

void tmpfs_path(long id, char *path, size_t length) { snprintf(path, length, "/run/load/%ld", id); }

static int tmpfs_file = -1;

static const char *take_written(long mib, long mib_before) {
  static char block[MIB];
  for (long n = 0; n < mib && !is_stopped; n++) {
    fill(block, MIB);
    if (pwrite(tmpfs_file, block, MIB, (off_t)((size_t)(mib_before + n) * MIB)) != (ssize_t)MIB) return "write";
  }
  return NULL;
}

/* A file, which stays when its writer is killed: a guest is not rid of it before it is released. */
void take_tmpfs(const struct order *order) {
  char path[64];
  tmpfs_path(order->id, path, sizeof path);
  tmpfs_file = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
  if (tmpfs_file < 0) fail(order->id, 0, "open");
  take_in_steps(order, take_written);
}

static const char *take_untouched(long mib, long mib_before) {
  (void)mib_before;
  return map(mib) == MAP_FAILED ? "mmap" : NULL;
}

/* Memory that is promised to the process and never touched. */
void commit_only(const struct order *order) { take_in_steps(order, take_untouched); }

/* Reads the first `mib` of a file again and again, as a program does that lives from the page cache. */
void read_again(const struct order *order) {
  static char block[256 * 1024];
  begin(order);
  int file = open(order->file, O_RDONLY | O_CLOEXEC);
  if (file < 0) fail(order->id, 0, "open");
  int64_t start = now_us();
  for (long n = 1; (order->times == 0 || n <= order->times) && !is_stopped; n++) {
    int64_t from = now_us();
    size_t at = 0, size = (size_t)order->mib * MIB;
    while (at < size && !is_stopped) {
      ssize_t got = pread(file, block, sizeof block, (off_t)at);
      if (got < 0) fail(order->id, (long)(at / MIB), "read");
      if (got == 0) size = at; /* The file is smaller. */
      at += (size_t)got;
    }
    if (is_stopped) break;
    report("read", order->id, ",\"mib\":%ld,\"times\":%ld,\"tookUs\":%lld", (long)(at / MIB), n,
           (long long)(now_us() - from));
    if (order->pause_ms > 0) sleep_until(start + n * order->pause_ms * 1000);
  }
  hold(order->id, 0);
}
