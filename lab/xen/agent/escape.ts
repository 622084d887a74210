/** Commands on one line, for guests whose shell reads them. */

/** What the guest's shell turns back into the text by its own means: letters, digits and a few signs stay, the rest is octal. */
export function escapeForPrintf(text: string): string {
  const octal = (byte: number): string => `\\0${byte.toString(8).padStart(3, '0')}`;
  const escape = (found: string): string => Array.from(Buffer.from(found), octal).join('');
  return text.replace(/[^\w/.,:=@+-]+/gu, escape);
}
