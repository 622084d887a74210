/**
 * Ends a test's process when whoever ran it is gone. A killed test runner does not take its test files with it, and one that
 * waits for an emulator would go on for minutes with nobody to tell.
 */

/** Set by the runner of all tests to its own process id. */
export const RUNNER_VARIABLE = 'SELFBALLOON_TEST_RUNNER';
const LOOK_EVERY_MS = 1_000;

/** From now on, ends this process within about a second after its parent, or the runner of all tests, has ended. */
export function endWhenAbandoned(): void {
  const parent = process.ppid;
  const runner = Number(process.env[RUNNER_VARIABLE] ?? parent);
  const timer = setInterval(() => {
    if (process.ppid === parent && isAlive(runner)) return;
    console.error('the test runner is gone; this test ends too');
    process.exit(1);
  }, LOOK_EVERY_MS);
  timer.unref();
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Somebody else's process may not be sent anything, but is there.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
