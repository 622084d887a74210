/** One connection's view of the fake xenstored: its transactions, its watches, and what each request does. */
import type { Frame } from '../../../src/xenstore/codec.js';
import { Refusal, type FakeStore } from './fake-store.js';

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

const OK = Buffer.from('OK\0');
const text = (...strings: readonly string[]): Buffer => Buffer.from(strings.map((one) => `${one}\0`).join(''));
const PAYLOAD_MAX = 4096;

export class FakeSession {
  readonly watches: FakeWatch[] = [];
  readonly transactions = new Map<number, { readonly copy: FakeStore; readonly from: number; changed: string[] }>();
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
    const { copy: store } = this.#transaction(transactionId);
    const { domid } = this;
    switch (operation) {
      case 'READ':
        return store.node(path, domid).value;
      case 'DIRECTORY':
        return this.#list(store, path);
      case 'DIRECTORY_PART':
        return this.#listPart(store, path, Number(strings[1]));
      case 'GET_PERMS':
        return text(...store.node(path, domid).permissions);
      case 'WRITE':
        store.write(path, payload.subarray(payload.indexOf(0) + 1), domid);
        return this.#changed(transactionId, path);
      case 'MKDIR':
        store.make(path, domid);
        return this.#changed(transactionId, path);
      case 'RM':
        store.remove(path, domid);
        return this.#changed(transactionId, path);
      case 'SET_PERMS':
        store.setPermissions(path, strings.slice(1, -1), domid);
        return this.#changed(transactionId, path);
      default:
        throw new Refusal('ENOSYS');
    }
  }

  #transaction(id: number): { readonly copy: FakeStore; readonly from: number; changed: string[] } {
    if (id === 0) return { copy: this.world.store, from: 0, changed: [] };
    const found = this.transactions.get(id);
    if (found === undefined) throw new Refusal('ENOENT');
    return found;
  }

  #changed(id: number, path: string): Buffer {
    if (id === 0) this.world.changed(path);
    else this.#transaction(id).changed.push(path);
    return OK;
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
    this.transactions.set(this.#lastTransaction, { copy: store.copy(), from: store.version, changed: [] });
    return text(String(this.#lastTransaction));
  }

  #end(id: number, how: string): Buffer {
    const { copy, from, changed } = this.#transaction(id);
    const { store } = this.world;
    this.transactions.delete(id);
    if (how !== 'T') return OK;
    if (store.version !== from) throw new Refusal('EAGAIN');
    store.nodes = copy.nodes;
    store.version = copy.version;
    for (const path of changed) this.world.changed(path);
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
