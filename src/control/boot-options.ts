/**
 * The old boot options, read from words of the kernel's command line or given as flags of the same names. They say what the
 * administrator wants; whether it can be had is the start-up rule's business.
 */

/** All boot options there are, in the order in which they are shown. */
export const BOOT_OPTIONS = ['selfballooning', 'noselfballooning', 'noselfshrink'] as const;

/** One of them, by its name. */
export type BootOption = (typeof BOOT_OPTIONS)[number];

const isBootOption = (word: string): word is BootOption => (BOOT_OPTIONS as readonly string[]).includes(word);

/** The boot options among `words`, each once, in the order of `BOOT_OPTIONS`. Words with a value (`a=b`) are others' business. */
export function pickBootOptions(words: readonly string[]): readonly BootOption[] {
  const given = new Set(words.filter(isBootOption));
  return BOOT_OPTIONS.filter((option) => given.has(option));
}

/** Which of the two controllers is wanted. */
export interface Wanted {
  readonly selfballooning: boolean;
  readonly selfshrinking: boolean;
}

/**
 * What is wanted. With frontswap (or what stands in for it) both are, unless an option says otherwise; without it,
 * self-ballooning is wanted only when asked for.
 */
export function wantedBy(options: readonly BootOption[], frontswapConfigured: boolean): Wanted {
  if (!frontswapConfigured) return { selfballooning: options.includes('selfballooning'), selfshrinking: false };
  return {
    selfballooning: !options.includes('noselfballooning'),
    selfshrinking: !options.includes('noselfshrink'),
  };
}
