/* What the parts of the load program know of each other; main.c says what the program is. */
#ifndef LOAD_H
#define LOAD_H

#include <stddef.h>
#include <stdint.h>

#define MIB ((size_t)1 << 20)

/* One load, as it was asked for. */
struct order {
  long id;
  /* How much in all, and how much at a time; a pause of 0 takes one step right after the other. */
  long mib;
  long step_mib;
  long pause_ms;
  /* How often a file is read; 0: until it is stopped. */
  long times;
  char file[256];
};

/* report.c: lines to the host, one a call. */
void report_to(int port);
int64_t now_us(void);
void report(const char *kind, long id, const char *format, ...) __attribute__((format(printf, 3, 4)));
void report_look(long id);

/* work.c: what a child does. None of these returns. */
typedef void work(const struct order *order);
work take_anonymous, take_tmpfs, commit_only, read_again;
void tmpfs_path(long id, char *path, size_t length);

/* stall.c: when did the guest begin to wait for memory? */
void watch_stalls(long every_ms, long stall_ms);
/* Looks, if it is time; returns how long to wait until the next look, in ms, or -1. */
int look_for_stall(void);

#endif
