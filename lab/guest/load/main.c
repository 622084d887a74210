/*
 * load: uses a guest's memory as its host tells it to, and says what became of it.
 *
 *     load PORT
 *
 * PORT is a virtio serial port. Each line that comes from it is a command, a flat JSON object:
 *
 *     {"do":"anon","id":1,"mib":300,"stepMib":300,"pauseMs":0}     memory of its own, written to; in steps, one each pauseMs
 *     {"do":"tmpfs", …the same}                                    a file in memory
 *     {"do":"commit", …the same}                                   memory that is never touched
 *     {"do":"cache","id":2,"mib":300,"file":"/data/file","times":0,"pauseMs":0}   reads a file again and again (0: for ever)
 *     {"do":"stop","id":1}        take no more and read no more, but keep what there is
 *     {"do":"release","id":1}     give it all back
 *     {"do":"look","id":3}        /proc/vmstat, /proc/meminfo and /proc/pressure/memory
 *     {"do":"clock","id":4}       only the time
 *     {"do":"watch","everyMs":5,"stallMs":10}   report stalls from now on (everyMs 0: no more)
 *
 * Each line that goes to it is a report: {"kind":…,"id":…,"at":µs of the guest's monotonic clock, …}. Kinds of a load: began, took
 * (a step, `mib` in all), read (the whole file once), holds (all there is, or stopped), failed (`why`), killed (`signal`, as the OOM
 * killer does), released. Others: look, clock, stall, refused (a command that is none).
 *
 * Each load is a child that the OOM killer takes before anybody else. The parent is locked in memory and never killed, so that it
 * can tell. It is C, and static, since it runs in a small emulated guest: what a burst does must not be slowed by what makes it.
 */
#include "load.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOADS_MAX 32
#define COMMAND_MAX 1024
/* The port cannot be waited for while no host listens. */
#define HOST_PAUSE_US 50000

static struct {
  long id;
  pid_t pid;
  int is_released;
} loads[LOADS_MAX];

static void set_oom_score(const char *score) {
  int file = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (file < 0 || write(file, score, strlen(score)) < 0) report("refused", 0, ",\"why\":\"oom_score_adj\"");
  if (file >= 0) close(file);
}

/* The value that follows "name": in a flat object; NULL where there is none. */
static const char *value_of(const char *command, const char *name) {
  char key[32];
  int length = snprintf(key, sizeof key, "\"%s\":", name);
  const char *found = strstr(command, key);
  return found == NULL ? NULL : found + length;
}

static long number_of(const char *command, const char *name, long otherwise) {
  const char *value = value_of(command, name);
  return value == NULL ? otherwise : atol(value);
}

static void text_of(const char *command, const char *name, char *text, size_t length) {
  const char *value = value_of(command, name);
  size_t n = 0;
  if (value != NULL && *value == '"')
    for (value++; value[n] != 0 && value[n] != '"' && n + 1 < length; n++) text[n] = value[n];
  text[n] = 0;
}

/* The place in `loads` of the load with that id, or of none (id 0); -1 when there is none. */
static int place_of(long id) {
  for (int i = 0; i < LOADS_MAX; i++)
    if (loads[i].id == id) return i;
  return -1;
}

static void start(work *work, const char *command) {
  struct order order = {
      .id = number_of(command, "id", 0),
      .mib = number_of(command, "mib", 0),
      .step_mib = number_of(command, "stepMib", 0),
      .pause_ms = number_of(command, "pauseMs", 0),
      .times = number_of(command, "times", 0),
  };
  text_of(command, "file", order.file, sizeof order.file);
  if (order.step_mib < 1) order.step_mib = order.mib;
  int place = place_of(0);
  if (order.id < 1 || order.mib < 1 || place_of(order.id) >= 0 || place < 0) {
    report("refused", order.id, ",\"why\":\"no such load, or too many\"");
    return;
  }
  pid_t pid = fork();
  if (pid < 0) {
    report("failed", order.id, ",\"mib\":0,\"why\":\"fork: %s\"", strerror(errno));
  } else if (pid > 0) {
    loads[place].id = order.id;
    loads[place].pid = pid;
    loads[place].is_released = 0;
  } else {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    set_oom_score("1000");
    work(&order);
  }
}

static void remove_file(long id) {
  char path[64];
  tmpfs_path(id, path, sizeof path);
  unlink(path);
}

static void end(const char *command, int signal) {
  long id = number_of(command, "id", 0);
  int place = id < 1 ? -1 : place_of(id);
  if (place >= 0) {
    loads[place].is_released = signal == SIGKILL;
    kill(loads[place].pid, signal);
  } else if (signal == SIGKILL) {
    /* One that was killed has left its file. */
    remove_file(id);
    report("released", id, "");
  }
}

static void obey(const char *command) {
  char what[16];
  text_of(command, "do", what, sizeof what);
  if (strcmp(what, "anon") == 0) start(take_anonymous, command);
  else if (strcmp(what, "tmpfs") == 0) start(take_tmpfs, command);
  else if (strcmp(what, "commit") == 0) start(commit_only, command);
  else if (strcmp(what, "cache") == 0) start(read_again, command);
  else if (strcmp(what, "stop") == 0) end(command, SIGTERM);
  else if (strcmp(what, "release") == 0) end(command, SIGKILL);
  else if (strcmp(what, "look") == 0) report_look(number_of(command, "id", 0));
  else if (strcmp(what, "clock") == 0) report("clock", number_of(command, "id", 0), "");
  else if (strcmp(what, "watch") == 0) watch_stalls(number_of(command, "everyMs", 0), number_of(command, "stallMs", 0));
  else report("refused", 0, ",\"why\":\"no such command\"");
}

/* Obeys the lines that have come as a whole. */
static void take_commands(int port) {
  static char text[COMMAND_MAX];
  static size_t length;
  ssize_t got = read(port, text + length, sizeof text - 1 - length);
  if (got <= 0) {
    usleep(HOST_PAUSE_US);
    return;
  }
  length += (size_t)got;
  text[length] = 0;
  char *line = text, *line_end;
  while ((line_end = strchr(line, '\n')) != NULL) {
    *line_end = 0;
    obey(line);
    line = line_end + 1;
  }
  length -= (size_t)(line - text);
  memmove(text, line, length);
  if (length == sizeof text - 1) length = 0; /* No command is so long. */
}

static void bury_children(int signals) {
  struct signalfd_siginfo info;
  int status;
  pid_t pid;
  if (read(signals, &info, sizeof info) < 0) return;
  while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
    for (int i = 0; i < LOADS_MAX; i++) {
      if (loads[i].id == 0 || loads[i].pid != pid) continue;
      if (loads[i].is_released) remove_file(loads[i].id);
      if (loads[i].is_released) report("released", loads[i].id, "");
      else report("killed", loads[i].id, ",\"signal\":%d", WIFSIGNALED(status) ? WTERMSIG(status) : 0);
      loads[i].id = 0;
    }
  }
}

int main(int count, char **words) {
  int port = count == 2 ? open(words[1], O_RDWR | O_CLOEXEC) : -1;
  if (port < 0) {
    perror("load");
    return 1;
  }
  report_to(port);
  set_oom_score("-1000");
  mlockall(MCL_CURRENT | MCL_FUTURE);
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  sigprocmask(SIG_BLOCK, &child, NULL);
  struct pollfd polled[] = {
      {.fd = port, .events = POLLIN},
      {.fd = signalfd(-1, &child, SFD_CLOEXEC), .events = POLLIN},
  };
  for (;;) {
    if (poll(polled, 2, look_for_stall()) < 0) continue;
    if (polled[1].revents != 0) bury_children(polled[1].fd);
    if ((polled[0].revents & POLLIN) != 0) take_commands(port);
    else if (polled[0].revents != 0) usleep(HOST_PAUSE_US);
  }
}
