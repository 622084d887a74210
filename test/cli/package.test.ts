/** Protects what is published: the packed tarball, installed into an empty folder, runs and can be imported. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { REPOSITORY } from '../support/paths.js';

const folder = mkdtempSync(join(tmpdir(), 'selfballoon-package-'));
after(() => {
  rmSync(folder, { recursive: true });
});

const npm = (cwd: string, ...args: readonly string[]): string =>
  execFileSync('npm', [...args, '--silent', '--no-audit', '--no-fund'], { cwd, encoding: 'utf8' });

describe('the package', () => {
  it('packs, installs into an empty folder, runs, and can be imported', () => {
    // Without its scripts: the sources were compiled before the tests, and must not be while others read them.
    npm(REPOSITORY, 'pack', '--ignore-scripts', '--pack-destination', folder);
    const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz')) ?? assert.fail('no tarball');
    writeFileSync(join(folder, 'package.json'), '{"name":"empty","version":"1.0.0","type":"module","private":true}');
    npm(folder, 'install', '--ignore-scripts', '--omit=dev', '--prefer-offline', '--fetch-retries=5', `./${tarball}`);

    const { version } = JSON.parse(readFileSync(join(REPOSITORY, 'package.json'), 'utf8')) as {
      readonly version: string;
    };
    const program = join(folder, 'node_modules', '.bin', 'selfballoon');
    assert.equal(execFileSync(program, ['--version'], { encoding: 'utf8' }).trim(), version);

    const script = `
      import { selfballoonStep, pages, balloon, signals } from 'selfballoon';
      import { VirtualClock } from 'selfballoon/sim';
      import { embeddedHost, createEmbeddedHypervisor } from 'selfballoon/testing';
      const clock = new VirtualClock();
      const host = embeddedHost({ seed: 1, hostMib: 8192 });
      console.log(createEmbeddedHypervisor({ host, clock }).kind, typeof selfballoonStep, pages(7), typeof balloon.createBalloonDriver, typeof signals.parseMeminfo);
    `;
    const said = execFileSync(process.execPath, ['--input-type=module', '-e', script], {
      cwd: folder,
      encoding: 'utf8',
    });
    assert.equal(said.trim(), 'embedded function 7 function function');
  });

  it('has neither tests nor sources of others in it', () => {
    const [packed] = JSON.parse(npm(REPOSITORY, 'pack', '--ignore-scripts', '--dry-run', '--json')) as {
      readonly files: readonly { readonly path: string }[];
    }[];
    const paths = packed?.files.map(({ path }) => path) ?? [];
    assert.ok(paths.includes('dist/src/cli/main.js') && paths.includes('LICENSE') && paths.includes('README.md'));
    assert.deepEqual(
      paths.filter((path) => !/^(dist\/src\/|docs\/|packaging\/|[A-Z]+[A-Za-z]*(\.md)?$|package\.json$)/.test(path)),
      [],
    );
  });
});
