/** Finds what somebody may have meant by a name that does not exist. */

/** Names longer than this are not compared: nobody mistyped them. */
const LENGTH_MAX = 100;

/** How many letters must be put in, taken out or exchanged to make `b` of `a`. */
export function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (const [above, letter] of Array.from(a).entries()) {
    const next = [above + 1];
    for (let at = 1; at <= b.length; at += 1) {
      const exchanged = (row[at - 1] ?? 0) + (letter === b[at - 1] ? 0 : 1);
      next.push(Math.min(exchanged, (row[at] ?? 0) + 1, (next[at - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

/** The candidate nearest to `name`, or null when none is near enough (a third of its letters). */
export function nearestOf(name: string, candidates: readonly string[]): string | null {
  if (name.length > LENGTH_MAX) return null;
  let best: { readonly candidate: string; readonly distance: number } | null = null;
  for (const candidate of candidates) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase());
    if (distance <= Math.floor(candidate.length / 3) && (best === null || distance < best.distance)) {
      best = { candidate, distance };
    }
  }
  return best?.candidate ?? null;
}
