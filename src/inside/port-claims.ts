/**
 * Which guests say of which sockets on this host that a port of theirs comes out there, and which processes they are. A socket can be
 * one guest's alone. It does not know who is right.
 */

export interface Claim {
  readonly guest: string;
  /** The process that speaks for it; null: not known. */
  readonly pid: number | null;
  /** Where its ports come out. */
  readonly paths: readonly string[];
}

export class PortClaims {
  readonly #byPid = new Map<number, Set<Claim>>();
  readonly #byPath = new Map<string, Set<Claim>>();

  /** Until what it returns is called. */
  add(claim: Claim): () => void {
    const { pid, paths } = claim;
    if (pid !== null) put(this.#byPid, pid, claim);
    for (const path of paths) put(this.#byPath, path, claim);
    return () => {
      if (pid !== null) take(this.#byPid, pid, claim);
      for (const path of paths) take(this.#byPath, path, claim);
    };
  }

  /** Another guest than that of `claim` for which that process speaks; null: there is none. */
  otherOf(pid: number, claim: Claim): Claim | null {
    return first(this.#byPid.get(pid), (other) => other !== claim);
  }

  /** Another that has a port at that path, too, and for which `isSo`; null: there is none. */
  otherAt(path: string, claim: Claim, isSo: (other: Claim) => boolean = () => true): Claim | null {
    return first(this.#byPath.get(path), (other) => other !== claim && isSo(other));
  }
}

function put<Key>(map: Map<Key, Set<Claim>>, key: Key, claim: Claim): void {
  const claims = map.get(key) ?? new Set();
  map.set(key, claims.add(claim));
}

function take<Key>(map: Map<Key, Set<Claim>>, key: Key, claim: Claim): void {
  const claims = map.get(key);
  claims?.delete(claim);
  if (claims?.size === 0) map.delete(key);
}

function first(claims: ReadonlySet<Claim> | undefined, isSo: (claim: Claim) => boolean): Claim | null {
  for (const claim of claims ?? []) if (isSo(claim)) return claim;
  return null;
}
