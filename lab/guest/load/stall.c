/*
 * Notices when the guest begins to wait for memory: the kernel's total of stalled time (PSI) grows. The kernel brings the total up to
 * date at each read, so looking every few milliseconds tells the beginning to within as much, where a PSI trigger tells of it only
 * once in a tenth of its window.
 */
#include "load.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A total that has not moved for so long ends a stall. */
#define QUIET_US 500000

static int file = -1;
static long every, least;
static int64_t next_look, moved_at, still_at;
/* Stalled time at the last look, and at the end of the last stall; in µs. */
static long long total, quiet_total;
static int is_stalled;

static long long read_total(void) {
  char text[256];
  ssize_t length = pread(file, text, sizeof text - 1, 0);
  if (length <= 0) return total;
  text[length] = 0;
  const char *found = strstr(text, "total=");
  return found == NULL ? total : atoll(found + 6);
}

/* Looks every `every_ms`, and reports a stall of at least `stall_ms`. 0 ends the watch. */
void watch_stalls(long every_ms, long stall_ms) {
  if (file < 0) file = open("/proc/pressure/memory", O_RDONLY | O_CLOEXEC);
  every = file < 0 ? 0 : every_ms;
  least = stall_ms * 1000;
  total = quiet_total = read_total();
  next_look = moved_at = still_at = now_us();
  is_stalled = 0;
}

static void look(int64_t now) {
  long long seen = read_total();
  int is_still = seen == total;
  total = seen;
  if (!is_still) {
    moved_at = now;
  } else if (now - moved_at > QUIET_US) {
    quiet_total = seen;
    is_stalled = 0;
  }
  if (seen == quiet_total) still_at = now;
  if (is_stalled || seen - quiet_total < least) return;
  is_stalled = 1;
  /* `since` is the last look at which nobody had waited yet. */
  report("stall", 0, ",\"since\":%lld,\"stalledUs\":%lld", (long long)still_at, seen - quiet_total);
}

int look_for_stall(void) {
  if (every == 0) return -1;
  int64_t now = now_us();
  if (now >= next_look) {
    look(now);
    next_look = now + every * 1000;
  }
  return (int)((next_look - now) / 1000) + 1;
}
