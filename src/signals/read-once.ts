/** One look at a file of the kernel's that is looked at once only. */
import { join } from 'node:path';
import { openProcFile } from './proc-file.js';

/** No attribute is longer. */
const A_PAGE = 4_096;

/** Its text without blanks around it; null where it cannot be read. */
export function readOnce(root: string, path: string): string | null {
  const file = openProcFile(join(root, path), { bytesMax: A_PAGE });
  try {
    const text = file.read();
    return text.known ? text.value.trim() : null;
  } finally {
    file.close();
  }
}
