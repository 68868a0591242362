const MAPPED = Buffer.from("00000000000000000000ffff", "hex");

/** The 16 bytes of an IPv6 address, or of an IPv4 one in its mapped form. The text must be a valid address. */
export function bytesOfIp6(address: string): Buffer {
  const bytes = Buffer.alloc(16);
  const text = address.replace(/%.*$/, "");
  if (!text.includes(":")) {
    MAPPED.copy(bytes);
    bytesOfIp4(text).copy(bytes, 12);
    return bytes;
  }
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  const tail = dotted === null ? undefined : bytesOfIp4(dotted[2] as string);
  const plain =
    tail === undefined
      ? text
      : `${dotted?.[1]}${tail.readUInt16BE(0).toString(16)}:${tail.readUInt16BE(2).toString(16)}`;
  const [front = "", back] = plain.split("::");
  const groups = (part: string): number[] =>
    part === "" ? [] : part.split(":").map((group) => Number.parseInt(group, 16));
  const before = groups(front);
  const after = groups(back ?? "");
  for (const [at, group] of before.entries()) bytes.writeUInt16BE(group, at * 2);
  for (const [at, group] of after.entries()) bytes.writeUInt16BE(group, 16 - (after.length - at) * 2);
  return bytes;
}

/** The text of 16 bytes, in the shortest form (RFC 5952); an IPv4 address in its mapped form comes out as one. */
export function textOfIp6(bytes: Buffer): string {
  if (bytes.compare(MAPPED, 0, 12, 0, 12) === 0) return textOfIp4(bytes.subarray(12));
  const groups = Array.from({ length: 8 }, (_, at) => bytes.readUInt16BE(at * 2).toString(16));
  // The platform's URL parser knows the canonical form.
  return new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1);
}

export function bytesOfIp4(address: string): Buffer {
  return Buffer.from(address.split(".").map(Number));
}

export function textOfIp4(bytes: Buffer): string {
  return [...bytes].join(".");
}
