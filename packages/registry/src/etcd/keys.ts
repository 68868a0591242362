import { StackError } from "@smartstack/core";
import type { IKeyValue } from "etcd3";
import type { Held } from "../contents.ts";
import type { EtcdClient } from "./client.ts";

/** How many keys one page of a list holds: far below the 4 MiB of a gRPC message with documents of 16 KiB. */
const PAGE_KEYS = 200;

export interface Listing {
  readonly revision: string;
  readonly entries: ReadonlyMap<string, Held>;
}

export function keyOf(prefix: string, path: string): Buffer {
  return Buffer.from(`${prefix}/${path}`);
}

/** The range of all keys under a prefix: "0" is what follows "/". */
export function rangeOf(prefix: string): { readonly key: Buffer; readonly range_end: Buffer } {
  return { key: Buffer.from(`${prefix}/`), range_end: Buffer.from(`${prefix}0`) };
}

export function pathOf(prefix: string, key: Buffer): string {
  return key.toString().slice(prefix.length + 1);
}

export function heldOf(kv: IKeyValue): Held {
  return kv.lease === "0" ? { text: kv.value.toString() } : { text: kv.value.toString(), hold: kv.lease };
}

/** Everything under the prefix as it was at one revision. @throws StackError */
export async function list(client: EtcdClient, prefix: string): Promise<Listing> {
  const entries = new Map<string, Held>();
  const range = rangeOf(prefix);
  let revision: string | undefined;
  let from = range.key;
  for (;;) {
    const page = await client.range({
      key: from,
      range_end: range.range_end,
      limit: PAGE_KEYS,
      revision: revision ?? 0,
    });
    revision ??= page.header.revision;
    for (const kv of page.kvs) entries.set(pathOf(prefix, kv.key), heldOf(kv));
    const last = page.kvs.at(-1);
    if (!page.more) return { revision, entries };
    if (last === undefined)
      throw new StackError("REGISTRY_FAILED", "etcd: an empty page that has more behind it", {
        side: "registry",
        retry: "after-backoff",
      });
    // The smallest key after the last one.
    from = Buffer.concat([last.key, Buffer.from([0])]);
  }
}
