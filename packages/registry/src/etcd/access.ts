import { readFile } from "node:fs/promises";
import { passwordOf, StackError } from "@smartstack/core";
import type { EtcdConfig } from "../etcd.ts";

/** What a connection needs to be let in. */
export interface Access {
  readonly tls?: {
    readonly ca?: Buffer;
    readonly cert?: Buffer;
    readonly key?: Buffer;
    readonly serverName?: string;
  };
  readonly login?: { readonly username: string; readonly password: string };
}

/** Reads the files that the configuration names as they are now. @throws StackError CONFIG_INVALID that names the file. */
export async function readAccess({ tls, auth }: Pick<EtcdConfig, "tls" | "auth">): Promise<Access> {
  return {
    ...(tls === undefined ? {} : { tls: await readTls(tls) }),
    ...(auth === undefined ? {} : { login: { username: auth.username, password: await readPassword(auth) } }),
  };
}

async function readTls(tls: NonNullable<EtcdConfig["tls"]>): Promise<NonNullable<Access["tls"]>> {
  const [ca, cert, key] = await Promise.all([
    material("ca_file", tls.ca_file),
    material("cert_file", tls.cert_file),
    material("key_file", tls.key_file),
  ]);
  return {
    ...(ca && { ca }),
    ...(cert && { cert }),
    ...(key && { key }),
    ...(tls.server_name === undefined ? {} : { serverName: tls.server_name }),
  };
}

async function material(key: string, file: string | undefined): Promise<Buffer | undefined> {
  if (file === undefined) return undefined;
  return readFile(file).catch((cause: unknown) => {
    throw unreadable(`registry.tls.${key}: cannot read ${file}`, cause);
  });
}

async function readPassword(auth: NonNullable<EtcdConfig["auth"]>): Promise<string> {
  const password = await passwordOf(auth).catch((cause: unknown) => {
    throw unreadable("registry.auth", cause);
  });
  return password ?? "";
}

/** Somebody may be replacing the file right now: worth another attempt. */
function unreadable(what: string, cause: unknown): StackError {
  return new StackError("CONFIG_INVALID", what, { side: "config", retry: "after-backoff", cause });
}
