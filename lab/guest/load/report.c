/*
 * Lines of JSON to the host. All buffers are static: the parent has to be able to report while the guest has no memory left. A line
 * is one write of less than 32 KiB, which the port takes as a whole, so that lines of several processes do not mix.
 */
#include "load.h"
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 32000

static int port = -1;
static char line[LINE_MAX_BYTES];

void report_to(int descriptor) { port = descriptor; }

/* The guest's monotonic clock. */
int64_t now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static size_t begin_line(const char *kind, long id) {
  return (size_t)snprintf(line, sizeof line, "{\"kind\":\"%s\",\"id\":%ld,\"at\":%lld", kind, id, (long long)now_us());
}

static void send_line(size_t length) {
  line[length++] = '}';
  line[length++] = '\n';
  if (write(port, line, length) < 0) return; /* Nobody listens; there is nobody else to tell. */
}

/* `format` makes further fields, each beginning with a comma; "" for none. */
void report(const char *kind, long id, const char *format, ...) {
  size_t length = begin_line(kind, id);
  va_list values;
  va_start(values, format);
  length += (size_t)vsnprintf(line + length, 1000, format, values);
  va_end(values);
  send_line(length);
}

/* A file of /proc as a JSON string. They are plain text without quotes; a line's end and a tab are all that must be escaped. */
static size_t append_file(size_t length, const char *name, const char *path) {
  static char text[16000];
  int file = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t got = 0, n;
  if (file < 0) return length;
  while (got < (ssize_t)sizeof text && (n = read(file, text + got, sizeof text - (size_t)got)) > 0) got += n;
  close(file);
  length += (size_t)snprintf(line + length, 64, ",\"%s\":\"", name);
  for (ssize_t i = 0; i < got && length < LINE_MAX_BYTES - 100; i++) {
    if (text[i] == '\n' || text[i] == '\t') {
      line[length++] = '\\';
      line[length++] = text[i] == '\n' ? 'n' : 't';
    } else {
      line[length++] = text[i];
    }
  }
  line[length++] = '"';
  return length;
}

/* What the kernel counts, as it words it. */
void report_look(long id) {
  size_t length = begin_line("look", id);
  length = append_file(length, "vmstat", "/proc/vmstat");
  length = append_file(length, "meminfo", "/proc/meminfo");
  length = append_file(length, "pressure", "/proc/pressure/memory");
  send_line(length);
}
