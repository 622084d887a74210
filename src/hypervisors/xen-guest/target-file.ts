/** Writing `target_kb` and reading it back. Does the I/O; what is written is the codec's business. */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';

/** Sets an attribute file and returns what it reads as afterwards. Rejects with the system's error. */
export type SetAttribute = (path: string, text: string) => Promise<string>;

/** Longest text that is read back, in bytes. A number of KiB has 16 digits at most. */
const READ_BACK_MAX = 64;

/** The real one. Never creates a file: where the attribute is not there, it fails with `ENOENT`. */
export const setAttribute: SetAttribute = async (path, text) => {
  const file = await open(path, constants.O_RDWR | constants.O_TRUNC);
  try {
    const { bytesWritten } = await file.write(text, 0);
    // The driver takes each write for a whole value, so the rest of a short one must not be sent after it.
    if (bytesWritten !== text.length) throw new Error(`${bytesWritten} of ${text.length} bytes were taken`);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(READ_BACK_MAX), 0, READ_BACK_MAX, 0);
    return buffer.toString('latin1', 0, bytesRead);
  } finally {
    await file.close();
  }
};
