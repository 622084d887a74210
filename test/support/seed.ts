/** The seed of this run's random tests: given in `SELFBALLOON_TEST_SEED` to repeat a run, otherwise drawn; always printed. */
import fc from 'fast-check';

const given = process.env['SELFBALLOON_TEST_SEED'];
export const SEED = given === undefined ? Date.now() % 2 ** 31 : Number(given);

/** Call once at the top of a file with random tests. */
export function useSeed(): void {
  fc.configureGlobal({ seed: SEED });
  console.log(`random tests: SELFBALLOON_TEST_SEED=${SEED}`);
}
