import { createHash } from "node:crypto";
import { type Instance, instanceIdProblem } from "@smartstack/core";
import { encodeIfFits } from "../contents.ts";

/** How another tool lays its entries out. We read such layouts, and write none. */
export interface Layout {
  /** The folder that a key belongs to, and the rest of the key; undefined for what is no service's. */
  split(path: string): { readonly service: string; readonly rest: string } | undefined;
  /** The documents of one service's folder, by instance id. What cannot be understood is passed on, for readers to count. */
  documents(folder: ReadonlyMap<string, string>): ReadonlyMap<string, string>;
}

/** `<service>/<rest>`, the rest without a slash. */
export function twoParts(path: string): { readonly service: string; readonly rest: string } | undefined {
  const parts = path.split("/");
  const [service = "", rest = ""] = parts;
  return parts.length === 2 ? { service, rest } : undefined;
}

const ADDRESS = /^(?:\[([0-9A-Fa-f:.]+)\]|([^\s/:[\]]+)):(\d{1,5})$/;

/** The document for `host:port` or `[v6]:port`; any other text as it is, and one whose document would be too long. */
export function addressDocument(text: string, more: Omit<Instance, "host" | "port">): string {
  const [, v6, host, port] = ADDRESS.exec(text.trim()) ?? [];
  const name = v6 ?? host;
  if (name === undefined) return text;
  return encodeIfFits({ host: name, port: Number(port), ...more }) ?? text;
}

/** An id of ours for a name of theirs, which may hold colons and more: where it must change, a hash keeps it apart from others. */
export function idFrom(name: string): string {
  if (instanceIdProblem(name) === undefined) return name;
  const hash = createHash("sha256").update(name).digest("hex").slice(0, 8);
  return `${name.replace(/[^A-Za-z0-9._-]/g, "_").slice(0, 100)}-${hash}`;
}
