/**
 * Whether a test run uses the lab. Without a word it does where the lab is set up; the environment variable can leave it out, and
 * can require it, so that a lab that is missing fails the run and is not passed over.
 */

/** The command that makes the lab ready, as it stands in messages. */
export const SETUP_COMMAND = 'npm run lab:setup';
export const LAB_VARIABLE = 'SELFBALLOON_TEST_LAB';

/** - `if-ready`: used where it is set up
 *  - `required`: a missing lab fails the tests that need it
 *  - `off`: left out */
export type LabMode = 'if-ready' | 'required' | 'off';

/** What the environment asks for. Throws for a value that nobody knows: a slip must not leave tests out. */
export function labMode(env: Readonly<Record<string, string | undefined>>): LabMode {
  const asked = env[LAB_VARIABLE] ?? '';
  if (asked === '') return 'if-ready';
  if (asked === 'required' || asked === 'off') return asked;
  throw new Error(`${LAB_VARIABLE}=${asked} is neither required nor off`);
}

/** A lab that may or may not be there; `why` is a sentence. */
export type LabState<Ready> =
  { readonly kind: 'ready'; readonly lab: Ready } | { readonly kind: 'missing'; readonly why: string };

/** For the test runner's `skip`: false, or the reason with the command that makes the tests run. */
export function skipReason(mode: LabMode, state: LabState<unknown>): string | false {
  if (mode === 'off')
    return `left out by ${LAB_VARIABLE}=off; unset it, and run \`${SETUP_COMMAND}\` once (Debian, as root)`;
  if (mode === 'required' || state.kind === 'ready') return false;
  return `${state.why}; run \`${SETUP_COMMAND}\` (Debian, as root)`;
}

/** The lab, or an error that says what to do: for a run that requires it. */
export function requireReady<Ready>(state: LabState<Ready>): Ready {
  if (state.kind === 'ready') return state.lab;
  throw new Error(`${state.why}; run \`${SETUP_COMMAND}\` (Debian, as root)`);
}
