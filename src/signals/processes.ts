/** Which processes there are, by the kernel. What each of them is it does not know. */
import { readdirSync } from 'node:fs';

/** The names of the folders in `proc` that are processes: their numbers. None where it cannot be read. */
export function processesIn(proc: string): readonly string[] {
  try {
    return readdirSync(proc).filter((name) => /^\d+$/.test(name));
  } catch {
    return [];
  }
}
