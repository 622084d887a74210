/** The whole number that a flag of the command line is. Throws for what is none from `least` to `most`. */
export function wholeNumber(text: string, least: number, most: number): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  throw new Error(`${text} is not a whole number from ${least} to ${most}`);
}
