/** Byte classes as bit flags, so that one table look-up answers every question the parser asks of a byte. */
export const TOKEN = 1;
export const FIELD_VALUE = 2;
export const TARGET = 4;
export const HOST = 8;
export const DIGIT = 16;

export const CR = 0x0d;
export const LF = 0x0a;
export const SP = 0x20;
export const TAB = 0x09;
export const COLON = 0x3a;
export const COMMA = 0x2c;
export const SEMICOLON = 0x3b;
export const SLASH = 0x2f;

/** RFC 9110 §5.6.2 tchar, §5.5 field values with obs-text, RFC 3986 visible ASCII without "#" for targets. */
export const BYTE_CLASS: Uint8Array = classes();

/** Of two bytes, the second times 256: may both stand in a token? Half the look-ups for names, which are what is read most. */
export const TOKEN_PAIR: Uint8Array = tokenPairs();

/** The value of a hex digit, 255 for every other byte. */
export const HEX_VALUE: Uint8Array = hexValues();

function classes(): Uint8Array {
  const table = new Uint8Array(256);
  const add = (flag: number, bytes: string): void => {
    for (const char of bytes) table[char.charCodeAt(0)] = (table[char.charCodeAt(0)] as number) | flag;
  };
  const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  const digits = "0123456789";
  add(TOKEN, `${letters}${digits}!#$%&'*+-.^_\`|~`);
  add(DIGIT, digits);
  // A comma is a legal sub-delim of a reg-name, but "a, b" is how two hosts are smuggled into one field.
  add(HOST, `${letters}${digits}-._~%!$&'()*+;=:[]`);
  for (let byte = 0x21; byte <= 0x7e; byte++) if (byte !== 0x23) table[byte] = (table[byte] as number) | TARGET;
  for (let byte = 0x20; byte <= 0xff; byte++) if (byte !== 0x7f) table[byte] = (table[byte] as number) | FIELD_VALUE;
  table[TAB] = (table[TAB] as number) | FIELD_VALUE;
  return table;
}

function tokenPairs(): Uint8Array {
  const table = new Uint8Array(65_536);
  for (let pair = 0; pair < table.length; pair++)
    table[pair] = (BYTE_CLASS[pair & 255] as number) & (BYTE_CLASS[pair >> 8] as number) & TOKEN;
  return table;
}

function hexValues(): Uint8Array {
  const table = new Uint8Array(256).fill(255);
  for (let value = 0; value < 16; value++) {
    const digit = value.toString(16);
    table[digit.charCodeAt(0)] = value;
    table[digit.toUpperCase().charCodeAt(0)] = value;
  }
  return table;
}

/** Is `bytes[start, end)` the word, whatever its case? `word` is lower case. */
export function equalsWord(bytes: Uint8Array, start: number, end: number, word: string): boolean {
  if (end - start !== word.length) return false;
  for (let i = 0; i < word.length; i++) {
    const byte = bytes[start + i] as number;
    const lower = byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
    if (lower !== word.charCodeAt(i)) return false;
  }
  return true;
}

/** Is `bytes[start, end)` exactly the word, in its case? */
export function equalsExact(bytes: Uint8Array, start: number, end: number, word: string): boolean {
  if (end - start !== word.length) return false;
  for (let i = 0; i < word.length; i++) if (bytes[start + i] !== word.charCodeAt(i)) return false;
  return true;
}

/** Are two ranges the same text, whatever its case? */
export function equalsRange(
  bytes: Uint8Array,
  start: number,
  end: number,
  otherStart: number,
  otherEnd: number,
): boolean {
  if (end - start !== otherEnd - otherStart) return false;
  for (let i = 0; i < end - start; i++) {
    if (lowerCase(bytes[start + i] as number) !== lowerCase(bytes[otherStart + i] as number)) return false;
  }
  return true;
}

function lowerCase(byte: number): number {
  return byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
}

/** Calls `visit` with each comma-separated element's range, blanks trimmed; stops and returns false when it returns false. */
export function everyElement(
  bytes: Uint8Array,
  start: number,
  end: number,
  visit: (start: number, end: number) => boolean,
): boolean {
  let from = start;
  while (from <= end) {
    let comma = from;
    while (comma < end && bytes[comma] !== COMMA) comma++;
    let first = from;
    let last = comma;
    while (first < last && isBlank(bytes[first] as number)) first++;
    while (last > first && isBlank(bytes[last - 1] as number)) last--;
    if (!visit(first, last)) return false;
    from = comma + 1;
  }
  return true;
}

function isBlank(byte: number): boolean {
  return byte === SP || byte === TAB;
}
