/** Protects that a balloon is found wherever it hangs, and that a strange tree costs no more than so many questions. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { findBalloon } from '../../../src/hypervisors/qmp/balloon-device.js';
import { QmpError } from '../../../src/qmp/index.js';

const NEVER = new AbortController().signal;
type Tree = Readonly<Record<string, readonly (readonly [name: string, type: string])[]>>;

/** A QEMU with this tree, and the paths that were listed. */
function qemuWith(tree: Tree): { execute: (command: string, args?: object) => Promise<unknown>; listed: string[] } {
  const listed: string[] = [];
  return {
    listed,
    execute: (_, args) => {
      const path = String((args as { readonly path?: unknown } | undefined)?.path);
      listed.push(path);
      const children = tree[path];
      if (children !== undefined) return Promise.resolve(children.map(([name, type]) => ({ name, type })));
      return Promise.reject(new QmpError({ qmpCode: 'EREFUSED', class: 'DeviceNotFound', message: 'no such path' }));
    },
  };
}

describe('the balloon in the tree of objects', () => {
  const rows: readonly (readonly [where: string, tree: Tree, path: string | null])[] = [
    [
      'with an id',
      {
        '/machine': [['peripheral', 'child<container>']],
        '/machine/peripheral': [['balloon0', 'child<virtio-balloon-pci>']],
      },
      '/machine/peripheral/balloon0',
    ],
    [
      'without one',
      {
        '/machine': [['peripheral-anon', 'child<container>']],
        '/machine/peripheral-anon': [['device[3]', 'child<virtio-balloon-pci-non-transitional>']],
      },
      '/machine/peripheral-anon/device[3]',
    ],
    [
      'on a mainframe, below a bridge',
      {
        '/machine': [['unattached', 'child<container>']],
        '/machine/unattached': [
          ['device[1]', 'child<bridge>'],
          ['x', 'link<virtio-balloon-ccw>'],
        ],
        '/machine/unattached/device[1]': [['b', 'child<virtio-balloon-ccw>']],
      },
      '/machine/unattached/device[1]/b',
    ],
    [
      'nowhere',
      {
        '/machine': [
          ['peripheral', 'child<container>'],
          ['gone', 'child<device>'],
        ],
        '/machine/peripheral': [],
      },
      null,
    ],
  ];
  for (const [where, tree, path] of rows) {
    it(`is found ${where}`, async () => {
      assert.equal(await findBalloon(qemuWith(tree), NEVER), path);
    });
  }

  it('is not looked for for ever in a tree without end', async () => {
    const endless = new Proxy<Tree>(
      {},
      {
        get: () => [
          ['a', 'child<x>'],
          ['b', 'child<x>'],
        ],
      },
    );
    const qemu = qemuWith(endless);
    assert.equal(await findBalloon(qemu, NEVER), null);
    assert.equal(qemu.listed.length, 2_000);
  });

  it('is not said to be missing when QEMU does not answer', async () => {
    const lost = new QmpError({ qmpCode: 'EUNAVAILABLE', message: 'lost' });
    await assert.rejects(findBalloon({ execute: () => Promise.reject(lost) }, NEVER), lost);
  });
});
