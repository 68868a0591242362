import { passwordKeys, passwordOf } from "@smartstack/core";
import { z } from "zod";
import type { CheckKind, OptionsOf, ProbeRequest, ProbeResult } from "./check.ts";
import { converse, type Wire } from "./conversation.ts";
import { printable } from "./printable.ts";

const keys = {
  ...passwordKeys,
  /** For servers with users (ACL, Redis 6 and later). */
  username: z.string().min(1).optional(),
};

type RedisOptions = OptionsOf<typeof keys>;

/** Passes when the server answers PING with PONG, after AUTH where a password is given. A server that still loads its data does not. */
export const redis: CheckKind<RedisOptions> = { active: true, inConfig: true, keys, probe };

function probe(request: ProbeRequest<RedisOptions>): Promise<ProbeResult> {
  return converse(request, async (wire) => {
    const { options } = request;
    const password = await passwordOf(options);
    if (password !== undefined) await ask(wire, "AUTH", ...(options.username ? [options.username] : []), password);
    const pong = await ask(wire, "PING");
    if (pong !== "PONG") throw new Error(`answered PING with ${printable(pong)}`);
    return { passed: true, reason: "PONG" };
  });
}

/** One command and its simple answer. @throws Error with the server's own words when it refuses. */
async function ask(wire: Wire, ...words: readonly string[]): Promise<string> {
  const bulk = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`);
  wire.send(`*${words.length}\r\n${bulk.join("")}`);
  const line = await wire.line();
  if (line.startsWith("+")) return line.slice(1);
  if (line.startsWith("-NOAUTH")) throw new Error("the server wants a password: give the check `password`");
  if (line.startsWith("-")) throw new Error(`${words[0]}: ${printable(line.slice(1))}`);
  throw new Error(`not Redis: ${printable(line)}`);
}
