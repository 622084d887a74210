/**
 * Whether the process that serves the socket of a machine's port is that machine's. A QEMU that is given the path of another's socket
 * removes that and listens there itself, without a word: whoever connects then hears another guest. Programs that pass words on, and
 * libvirt, which opens sockets for QEMU, may serve any port. It does not know what is said.
 */
import { quoted } from '../../errors.js';
import type { Claim, PortClaims } from '../../inside/index.js';

export class PortTrust {
  readonly #claims: PortClaims;
  readonly #isEmulator: (pid: number) => boolean;

  constructor(claims: PortClaims, isEmulator: (pid: number) => boolean) {
    this.#claims = claims;
    this.#isEmulator = isEmulator;
  }

  /** A machine is there, until what it returns is called. */
  add(claim: Claim): () => void {
    return this.#claims.add(claim);
  }

  /** Why `peer`, which serves the port at `path`, is not believed to be the machine's, by the other machines alone; null: it is. */
  whyNotByOthers(claim: Claim, path: string, peer: number | null): string | null {
    const isOwn = peer !== null && peer === claim.pid;
    const other = peer === null || isOwn ? null : this.#claims.otherOf(peer, claim);
    if (other !== null) return notOwn(path, peer, `is behind the monitor of ${other.guest}`);
    const rival = this.#claims.otherAt(path, claim, ({ pid }) => !isOwn || pid === peer);
    if (rival === null) return null;
    const server = peer === null ? 'whoever serves it' : `process ${peer}, which serves it,`;
    return `${rival.guest} has a port at ${quoted(path)} too, and whose ${server} is cannot be told; ${ADVICE}`;
  }

  /** The same, by what kind of process it is too. */
  whyNot(claim: Claim, path: string, peer: number | null): string | null {
    const why = this.whyNotByOthers(claim, path, peer);
    const { pid } = claim;
    if (why !== null || peer === null || pid === null || peer === pid) return why;
    // Where the monitor is behind a program that passes words on, the QEMU at the port may well be its own.
    if (!this.#isEmulator(peer) || !this.#isEmulator(pid)) return null;
    return notOwn(path, peer, `is the QEMU of another machine: this one's is process ${pid}`);
  }
}

const ADVICE = 'give the port of each machine a path of its own';

const notOwn = (path: string, peer: number | null, what: string): string =>
  `process ${peer}, which serves ${quoted(path)}, ${what}; ${ADVICE}`;
