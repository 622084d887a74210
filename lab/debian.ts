/** Debian's packages, as the lab needs them: versions, installing, unpacking without installing. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runTool } from './tool.js';

const APT_LIMIT_MS = 600_000;

export function isDebian(): boolean {
  return existsSync('/etc/debian_version') && /^ID(_LIKE)?=.*debian/m.test(readFileSync('/etc/os-release', 'utf8'));
}

/** Installs packages; does nothing for those that are there. Needs root. */
export async function installPackages(names: readonly string[]): Promise<void> {
  await runTool('apt-get', ['update', '-qq'], { limitMs: APT_LIMIT_MS });
  await runTool('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...names], {
    limitMs: APT_LIMIT_MS,
    env: { DEBIAN_FRONTEND: 'noninteractive' },
  });
}

/** The version that would be installed now, or null for a package that nobody offers. */
export async function candidateVersion(name: string): Promise<string | null> {
  const text = await runTool('apt-cache', ['policy', name]);
  const version = /Candidate: (\S+)/.exec(text)?.[1];
  return version === undefined || version === '(none)' ? null : version;
}

/** The package that a metapackage stands for now. */
export async function dependencyOf(metapackage: string, pattern: RegExp): Promise<string> {
  const text = await runTool('apt-cache', ['depends', metapackage]);
  const found = [...text.matchAll(/Depends: (\S+)/g)].map(([, name]) => name ?? '').find((name) => pattern.test(name));
  if (found === undefined)
    throw new Error(`${metapackage} depends on nothing like ${String(pattern)}; run apt-get update`);
  return found;
}

/** Downloads a package and unpacks its files into `folder`, without installing it. */
export async function unpackPackage(name: string, folder: string): Promise<void> {
  await runTool('apt-get', ['download', '-qq', name], { cwd: folder, limitMs: APT_LIMIT_MS });
  const [deb] = (await runTool('sh', ['-c', 'ls *.deb'], { cwd: folder })).trim().split('\n');
  await runTool('dpkg', ['-x', join(folder, deb ?? ''), folder]);
  await runTool('rm', [join(folder, deb ?? '')]);
}
