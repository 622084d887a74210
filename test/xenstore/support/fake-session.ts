/** One connection's view of the fake xenstored: its transactions, its watches, and what each request does. */
import type { Frame } from '../../../src/xenstore/codec.js';
import { Refusal, type FakeStore, type Nodes } from './fake-store.js';

export interface FakeWatch {
  /** As it was asked for: events to a relative watch have relative paths. */
  readonly given: string;
  readonly path: string;
  readonly token: string;
}

/** What sessions share. */
export interface FakeWorld {
  readonly store: FakeStore;
  readonly domains: Set<number>;
  watchesMax: number;
  transactionsMax: number;
  /** Tells every session that something has changed. */
  readonly changed: (path: string) => void;
}

/** What one transaction has seen and done; `id` 0 is none. */
interface FakeTransaction {
  readonly copy: FakeStore;
  /** The nodes as they were when it began. */
  readonly before: Nodes;
  /** What others must not have changed when it ends. */
  readonly touched: Set<string>;
  readonly changes: { readonly path: string; readonly make: (store: FakeStore) => void }[];
}

const parentOf = (path: string): string => path.slice(0, path.lastIndexOf('/')) || '/';

const OK = Buffer.from('OK\0');
const text = (...strings: readonly string[]): Buffer => Buffer.from(strings.map((one) => `${one}\0`).join(''));
const PAYLOAD_MAX = 4096;

export class FakeSession {
  readonly watches: FakeWatch[] = [];
  readonly transactions = new Map<number, FakeTransaction>();
  #lastTransaction = 0;

  constructor(
    readonly world: FakeWorld,
    readonly domid: number,
  ) {}

  /** The payload of the answer. Throws `Refusal`. */
  handle(request: Frame): Buffer {
    const strings = request.payload.toString('latin1').split('\0');
    const [first = '', second = ''] = strings;
    switch (request.operation) {
      case 'TRANSACTION_START':
        return this.#start();
      case 'TRANSACTION_END':
        return this.#end(request.transactionId, first);
      case 'WATCH':
        return this.#watch(first, second);
      case 'UNWATCH':
        return this.#unwatch(this.#absolute(first), second);
      case 'GET_DOMAIN_PATH':
        return text(`/local/domain/${Number(first)}`);
      case 'IS_DOMAIN_INTRODUCED':
        return text(this.world.domains.has(Number(first)) ? 'T' : 'F');
      default:
        return this.#onNode(request, this.#absolute(first), strings);
    }
  }

  #absolute(path: string): string {
    return path.startsWith('/') || path.startsWith('@') ? path : `/local/domain/${this.domid}/${path}`;
  }

  #onNode({ operation, transactionId, payload }: Frame, path: string, strings: readonly string[]): Buffer {
    const transaction = this.#transaction(transactionId);
    const store = transaction?.copy ?? this.world.store;
    const { domid } = this;
    if (transaction !== null) touch(transaction, path);
    const change = (make: (store: FakeStore) => void): Buffer => {
      make(store);
      if (transaction === null) this.world.changed(path);
      else transaction.changes.push({ path, make });
      return OK;
    };
    switch (operation) {
      case 'READ':
        return store.node(path, domid).value;
      case 'DIRECTORY':
        return this.#list(store, path);
      case 'DIRECTORY_PART':
        return this.#listPart(store, path, Number(strings[1]));
      case 'GET_PERMS':
        return text(...store.node(path, domid).permissions);
      case 'WRITE': {
        const value = payload.subarray(payload.indexOf(0) + 1);
        return change((on) => {
          on.write(path, value, domid);
        });
      }
      case 'MKDIR':
        return change((on) => {
          on.make(path, domid);
        });
      case 'RM':
        return change((on) => {
          on.remove(path, domid);
        });
      case 'SET_PERMS':
        return change((on) => {
          on.setPermissions(path, strings.slice(1, -1), domid);
        });
      default:
        throw new Refusal('ENOSYS');
    }
  }

  #transaction(id: number): FakeTransaction | null {
    if (id === 0) return null;
    const found = this.transactions.get(id);
    if (found === undefined) throw new Refusal('ENOENT');
    return found;
  }

  #list(store: FakeStore, path: string): Buffer {
    const names = text(...store.node(path, this.domid).children);
    if (names.length > PAYLOAD_MAX) throw new Refusal('E2BIG');
    return names;
  }

  #listPart(store: FakeStore, path: string, offset: number): Buffer {
    const { children, generation } = store.node(path, this.domid);
    const head = text(String(generation));
    const names = text(...children);
    const rest = names.subarray(offset, offset + PAYLOAD_MAX - head.length - 1);
    if (offset + rest.length >= names.length) return Buffer.concat([head, rest, text('')]);
    return Buffer.concat([head, rest.subarray(0, rest.lastIndexOf(0) + 1)]);
  }

  #start(): Buffer {
    const { store, transactionsMax } = this.world;
    if (this.transactions.size >= transactionsMax) throw new Refusal('ENOSPC');
    this.#lastTransaction += 1;
    const copy = store.copy();
    const before = new Map(store.nodes);
    this.transactions.set(this.#lastTransaction, { copy, before, touched: new Set(), changes: [] });
    return text(String(this.#lastTransaction));
  }

  #end(id: number, how: string): Buffer {
    const transaction = this.#transaction(id);
    if (transaction === null) throw new Refusal('ENOENT');
    const { before, touched, changes } = transaction;
    const { store } = this.world;
    this.transactions.delete(id);
    if (how !== 'T') return OK;
    for (const path of touched) if (store.nodes.get(path) !== before.get(path)) throw new Refusal('EAGAIN');
    for (const { make } of changes) make(store);
    for (const { path } of changes) this.world.changed(path);
    return OK;
  }

  #watch(given: string, token: string): Buffer {
    const path = this.#absolute(given);
    if (this.watches.some((watch) => watch.path === path && watch.token === token)) throw new Refusal('EEXIST');
    if (this.watches.length >= this.world.watchesMax) throw new Refusal('E2BIG');
    this.watches.push({ given, path, token });
    return OK;
  }

  #unwatch(path: string, token: string): Buffer {
    const at = this.watches.findIndex((watch) => watch.path === path && watch.token === token);
    if (at < 0) throw new Refusal('ENOENT');
    this.watches.splice(at, 1);
    return OK;
  }

  /** The watches that a change at `path` fires, with the path that each is told. */
  fired(path: string): readonly { readonly watch: FakeWatch; readonly path: string }[] {
    return this.watches.flatMap((watch) => {
      const told = (changed: string): { readonly watch: FakeWatch; readonly path: string } => ({
        watch,
        path: watch.given + (watch.path === '/' ? changed.slice(1) : changed.slice(watch.path.length)),
      });
      if (path === watch.path || watch.path === '/' || path.startsWith(`${watch.path}/`)) return [told(path)];
      // Removing a parent removes what is watched.
      const isGone = watch.path.startsWith(`${path}/`) && !this.world.store.nodes.has(watch.path);
      return isGone ? [told(watch.path)] : [];
    });
  }
}

/** A node, and where it is not there, what would have to change for it to be made. */
function touch({ before, touched }: FakeTransaction, path: string): void {
  touched.add(path);
  for (let at = path; !before.has(at) && at !== '/'; at = parentOf(at)) touched.add(parentOf(at));
}
