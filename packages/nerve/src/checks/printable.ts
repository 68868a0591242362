/** Shown of an answer in a reason. */
const REASON_CHARS = 200;
/** Kept of an output. */
export const OUTPUT_CHARS = 1_024;

/** Text of a foreign server or command as it may stand in a log line: one line, no control characters, bounded. */
export function printable(text: Buffer | string, charsMax = REASON_CHARS): string {
  const plain = text
    .toString()
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
    .replace(/[\s\x00-\x1f\x7f-\x9f\ufffd]+/g, " ")
    .trim();
  return plain.length <= charsMax ? plain : `${plain.slice(0, charsMax - 1)}…`;
}
