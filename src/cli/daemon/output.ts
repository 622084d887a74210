/** Standard output of a daemon that must outlive its reader: when nobody reads any more, it goes on in silence. */

export interface Output {
  readonly line: (text: string) => void;
}

export function openOutput(stream: NodeJS.WriteStream): Output {
  let isGone = false;
  stream.on('error', () => {
    isGone = true;
  });
  // A dead stderr (log-update, warnings) must not end the daemon either.
  process.stderr.on('error', () => undefined);
  return {
    line: (text) => {
      if (!isGone) stream.write(`${text}\n`);
    },
  };
}
