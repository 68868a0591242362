/** Above this, a length is no length. A folder of half a million names is less. */
const MESSAGE_BYTES_MAX = 64 * 1024 * 1024;

const LENGTH_BYTES = 4;

/**
 * Cuts a stream of bytes into ZooKeeper's length-prefixed messages, each handed over whole and alone. Left to itself,
 * node-zookeeper-client 1.1.3 copies what remains of a chunk for every message in it and calls itself once a message
 * deep: 64 KiB of watch events cost it 160 ms, and 512 KiB the stack.
 * @throws Error on a length that cannot be one, and whatever `deliver` throws.
 */
export function messages(deliver: (message: Buffer) => void): (bytes: Buffer) => void {
  let parts: Buffer[] = [];
  let held = 0;
  let needed = LENGTH_BYTES;
  return (bytes) => {
    parts.push(bytes);
    held += bytes.length;
    if (held < needed) return;
    const all = parts.length === 1 ? bytes : Buffer.concat(parts, held);
    let at = 0;
    needed = LENGTH_BYTES;
    while (held - at >= LENGTH_BYTES) {
      const end = at + LENGTH_BYTES + lengthAt(all, at);
      if (end > held) {
        needed = end - at;
        break;
      }
      deliver(all.subarray(at, end));
      at = end;
    }
    parts = at === held ? [] : [all.subarray(at)];
    held -= at;
  };
}

function lengthAt(bytes: Buffer, at: number): number {
  const length = bytes.readInt32BE(at);
  if (length < 0 || length > MESSAGE_BYTES_MAX) throw new Error(`a message of ${length} bytes`);
  return length;
}
