/**
 * A small honest store for the fake xenstored: nodes with values and permissions, as the protocol's specification has them. A
 * transaction is a copy; what others write in between to a node that it has touched is a conflict. It knows nothing of connections.
 */

/** What the fake answers with an error: the word for the wire. */
export class Refusal extends Error {
  constructor(readonly word: string) {
    super(word);
  }
}

export interface Node {
  readonly value: Buffer;
  readonly permissions: readonly string[];
  readonly children: readonly string[];
  readonly generation: number;
}

export type Nodes = Map<string, Node>;

const parentOf = (path: string): string => path.slice(0, path.lastIndexOf('/')) || '/';
const nameOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1);

export class FakeStore {
  /** Counts every change, whoever made it. */
  version = 0;
  /** How many nodes a domain other than 0 may own. */
  nodesMax = Infinity;
  nodes: Nodes = new Map([['/', { value: Buffer.alloc(0), permissions: ['r0'], children: [], generation: 0 }]]);

  /** The same operations over another set of nodes, for a transaction. */
  copy(): FakeStore {
    const copy = new FakeStore();
    copy.version = this.version;
    copy.nodesMax = this.nodesMax;
    copy.nodes = new Map(this.nodes);
    return copy;
  }

  node(path: string, domid: number, wanted: 'r' | 'w' | 'any' = 'r'): Node {
    const node = this.nodes.get(path);
    if (node === undefined) throw new Refusal('ENOENT');
    if (wanted !== 'any' && !mayUse(node, domid, wanted)) throw new Refusal('EACCES');
    return node;
  }

  write(path: string, value: Buffer, domid: number): void {
    this.make(path, domid);
    this.#put(path, { ...this.node(path, domid, 'w'), value });
  }

  /** Creates what is missing. */
  make(path: string, domid: number): void {
    if (this.nodes.has(path)) return;
    const parent = parentOf(path);
    this.make(parent, domid);
    const above = this.node(parent, domid, 'w');
    if (this.#ownedBy(domid) >= this.nodesMax && domid !== 0) throw new Refusal('ENOSPC');
    // A new node has its parent's permissions, and belongs to whoever made it.
    const permissions = domid === 0 ? above.permissions : [`n${domid}`, ...above.permissions.slice(1)];
    this.#put(path, { value: Buffer.alloc(0), permissions, children: [], generation: 0 });
    this.#put(parent, { ...above, children: [...above.children, nameOf(path)] });
  }

  remove(path: string, domid: number): void {
    if (path === '/') throw new Refusal('EINVAL');
    const parent = parentOf(path);
    const above = this.node(parent, domid, 'any');
    if (!this.nodes.has(path)) return;
    this.node(path, domid, 'w');
    for (const other of [...this.nodes.keys()]) {
      if (other === path || other.startsWith(`${path}/`)) this.nodes.delete(other);
    }
    this.#put(parent, { ...above, children: above.children.filter((name) => name !== nameOf(path)) });
  }

  setPermissions(path: string, permissions: readonly string[], domid: number): void {
    const node = this.node(path, domid, 'w');
    if (domid !== 0 && ownerOf(node) !== domid) throw new Refusal('EACCES');
    if (permissions.some((text) => !/^[nrwb]\d+$/.test(text))) throw new Refusal('EINVAL');
    this.#put(path, { ...node, permissions });
  }

  #ownedBy(domid: number): number {
    return [...this.nodes.values()].filter((node) => ownerOf(node) === domid).length;
  }

  #put(path: string, node: Node): void {
    this.version += 1;
    this.nodes.set(path, { ...node, generation: this.version });
  }
}

const ownerOf = (node: Node): number => Number(node.permissions[0]?.slice(1));

function mayUse(node: Node, domid: number, wanted: 'r' | 'w'): boolean {
  if (domid === 0 || ownerOf(node) === domid) return true;
  const [first, ...others] = node.permissions;
  const mine = others.find((text) => text.slice(1) === String(domid)) ?? first ?? 'n0';
  return mine.startsWith('b') || mine.startsWith(wanted);
}
