import { StringDecoder } from "node:string_decoder";

/** An event is a few hundred bytes plus a container's labels; more than this is no event stream. */
export const LINE_BYTES_MAX = 1024 * 1024;

/** Cuts a byte stream into lines. Chunks are not lines: an event may span two chunks, one chunk may hold many, and a character may be split. */
export interface LineFramer {
  /** The lines that `chunk` completes, without their line ends; empty ones are left out. @throws RangeError beyond LINE_BYTES_MAX. */
  push(chunk: Uint8Array): readonly string[];
}

export function lineFramer(lineMax: number = LINE_BYTES_MAX): LineFramer {
  const decoder = new StringDecoder("utf8");
  let rest = "";
  return {
    push(chunk) {
      const parts = (rest + decoder.write(chunk as Buffer)).split("\n");
      rest = parts.pop() ?? "";
      if (rest.length > lineMax) throw new RangeError(`a line of more than ${lineMax} characters`);
      return parts.map((line) => line.trim()).filter((line) => line !== "");
    },
  };
}
