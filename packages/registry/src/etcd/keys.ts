import { StackError } from "@smartstack/core";
import type { IKeyValue, IRangeRequest, IRangeResponse } from "etcd3";
import type { Held } from "../contents.ts";
import type { EtcdClient } from "./client.ts";
import { isTooLarge } from "./errors.ts";

/** How many keys one page of a list holds at first. With our documents of at most 16 KiB that is far below a message's limit. */
const PAGE_KEYS_MAX = 500;

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
  const { key, range_end } = rangeOf(prefix);
  let revision: string | undefined;
  let from = key;
  let limit = PAGE_KEYS_MAX;
  for (;;) {
    const { page, fitting } = await pageOf(client, { key: from, range_end, revision: revision ?? 0 }, limit);
    limit = fitting;
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

/** One page, of fewer keys where so many do not fit: others may keep documents of 1.5 MiB under our prefix. */
async function pageOf(
  client: EtcdClient,
  request: IRangeRequest,
  limit: number,
): Promise<{ readonly page: IRangeResponse; readonly fitting: number }> {
  try {
    return { page: await client.range({ ...request, limit }), fitting: limit };
  } catch (error) {
    if (limit === 1 || !isTooLarge(error)) throw error;
    return pageOf(client, request, Math.ceil(limit / 8));
  }
}
