/** What is where `qmp.sockets` names something and no socket is found. It does not know who listens at those that are. */
import { lstat, stat } from 'node:fs/promises';
import { errorText, systemErrorCode } from '../../errors.js';
import { findSockets } from '../../hypervisors/qmp/socket-patterns.js';
import { warn, type Finding } from './finding.js';

/** A finding for each of these patterns that finds nothing. */
export async function checkUnmet(patterns: readonly string[]): Promise<readonly Finding[]> {
  const findings = await Promise.all(
    patterns.map(async (pattern) => ((await findSockets([pattern])).length > 0 ? null : unmet(pattern))),
  );
  return findings.filter((finding) => finding !== null);
}

const unmet = async (pattern: string): Promise<Finding> =>
  warn(
    `no socket is there at ${pattern}: ${await whatIsAt(pattern)}`,
    'Start QEMU with -qmp unix:PATH,server=on,wait=off, or look at the path',
  );

async function whatIsAt(pattern: string): Promise<string> {
  if (/[*?]/.test(pattern)) return 'nothing that fits is a socket';
  try {
    return (await stat(pattern)).isDirectory() ? 'a folder without sockets' : 'something that is no socket';
  } catch (error) {
    if (systemErrorCode(error) !== 'ENOENT') return errorText(error);
    const isLink = await lstat(pattern).then(
      (seen) => seen.isSymbolicLink(),
      () => false,
    );
    return isLink ? 'a link that leads nowhere' : 'nothing';
  }
}
