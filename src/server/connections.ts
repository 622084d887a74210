/**
 * How many connections may be open at the same time, and whose. Those who may change things (root and the daemon's own user)
 * always get in: however many connections other users hold, they cannot lock the administrator out. It does not know what is
 * said on a connection.
 *
 * While few are open nobody is asked who they are, for the first such question costs the daemon 2 to 3 MiB.
 */
import type { Socket } from 'node:net';
import type { Peer } from '../posix/peer.js';

export interface ConnectionLimits {
  /** For any one user who may not change things; up to so many connections in all, nobody is asked. */
  readonly connectionsPerUser: number;
  /** For all users together who may not change things. A user may have many uids (user namespaces). */
  readonly connectionsOfOthers: number;
}

export interface ConnectionsOptions {
  readonly limits: ConnectionLimits;
  readonly peerOf: (socket: Socket) => Peer;
  /** Whether this peer may change things. */
  readonly isTrusted: (peer: Peer) => boolean;
  /** Told why somebody was turned away, once a minute at most. */
  readonly warn: (message: string) => void;
}

/** Somebody who is turned away may come back a thousand times a second; the log must not fill for it. */
const WARN_AGAIN_AFTER_MS = 60_000;

export class Connections {
  readonly #options: ConnectionsOptions;
  /** Null: not asked. There are never more than `connectionsPerUser` of these, so no limit can be passed unseen. */
  readonly #open = new Map<Socket, Peer | null>();
  #warnedAtMs = -Infinity;

  constructor(options: ConnectionsOptions) {
    this.#options = options;
  }

  /** Takes a new connection in, or ends it at once. */
  admit(socket: Socket): void {
    const why = this.#whyNot(socket);
    if (why === null) return;
    socket.destroy();
    this.#warn(why);
  }

  #whyNot(socket: Socket): string | null {
    this.#open.set(socket, null);
    socket.once('close', () => this.#open.delete(socket));
    const { limits, isTrusted } = this.#options;
    if (this.#open.size <= limits.connectionsPerUser) return null;
    this.#identifyAll();
    const peer = this.#open.get(socket) ?? null;
    if (peer === null || isTrusted(peer)) return null;
    const why = this.#limitPassedBy(peer);
    if (why !== null) this.#open.delete(socket);
    return why;
  }

  #identifyAll(): void {
    for (const [socket, peer] of this.#open) {
      if (peer === null) this.#open.set(socket, this.#options.peerOf(socket));
    }
  }

  /** Peers that the kernel does not name cannot be told apart: only the limit for all together holds for them. */
  #limitPassedBy(peer: Peer): string | null {
    const { limits, isTrusted } = this.#options;
    const others = [...this.#open.values()].filter((other) => other !== null && !isTrusted(other));
    const { connectionsOfOthers: ofAll, connectionsPerUser: ofOne } = limits;
    if (others.length > ofAll) return `${ofAll} connections of users who may only look are open`;
    if (peer.kind === 'unknown') return null;
    const own = others.filter((other) => other?.kind === 'known' && other.uid === peer.uid);
    return own.length > ofOne ? `user ${peer.uid} has ${ofOne} connections open` : null;
  }

  #warn(why: string): void {
    const nowMs = performance.now();
    if (nowMs - this.#warnedAtMs < WARN_AGAIN_AFTER_MS) return;
    this.#warnedAtMs = nowMs;
    this.#options.warn(`${why}; more are turned away (this is said once a minute at most)`);
  }
}
