import { BYTE_CLASS, FIELD_VALUE, SEMICOLON, TOKEN } from "./tables.ts";

/** Where in a chunk's extensions a byte stands (RFC 9112 §7.1.1), but for the blanks it lets recipients refuse. */
export const EXTENSION_START = 0;
export const EXTENSION_BROKEN = -1;

const NAME = 1;
const VALUE_START = 2;
const VALUE = 3;
const QUOTED = 4;
const ESCAPED = 5;
const QUOTED_END = 6;

const EQUALS = 0x3d;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** The state behind the next byte: `*( ";" token [ "=" ( token / quoted-string ) ] )`, begun behind a semicolon. */
export function afterExtensionByte(state: number, byte: number): number {
  const isToken = ((BYTE_CLASS[byte] as number) & TOKEN) !== 0;
  switch (state) {
    case EXTENSION_START:
      return isToken ? NAME : EXTENSION_BROKEN;
    case NAME:
      if (isToken) return NAME;
      if (byte === EQUALS) return VALUE_START;
      break;
    case VALUE_START:
      if (byte === QUOTE) return QUOTED;
      return isToken ? VALUE : EXTENSION_BROKEN;
    case VALUE:
      if (isToken) return VALUE;
      break;
    case QUOTED:
      if (byte === QUOTE) return QUOTED_END;
      if (byte === BACKSLASH) return ESCAPED;
      return isText(byte) ? QUOTED : EXTENSION_BROKEN;
    case ESCAPED:
      return isText(byte) ? QUOTED : EXTENSION_BROKEN;
  }
  return byte === SEMICOLON ? EXTENSION_START : EXTENSION_BROKEN;
}

export function mayEndExtension(state: number): boolean {
  return state === NAME || state === VALUE || state === QUOTED_END;
}

function isText(byte: number): boolean {
  return ((BYTE_CLASS[byte] as number) & FIELD_VALUE) !== 0;
}
