/**
 * Ends the process whatever is under way. `process.exit` waits for the thread pool's threads, and so for a call of a C library that
 * never returns; the kernel does not.
 */

/** Ends the process with this exit code at once: nothing that is still to be written is written, no exit handler runs. */
export async function exitNow(code: number): Promise<never> {
  try {
    const { default: koffi } = await import('koffi');
    koffi.load('libc.so.6').func('void _exit(int status)')(code);
  } catch {
    // Another C library than glibc, or none that koffi can call: then nothing called through koffi can hang either.
  }
  process.exit(code);
}
