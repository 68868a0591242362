import { z } from "zod";
import type { CheckKind, OptionsOf, ProbeRequest, ProbeResult } from "./check.ts";
import { converse } from "./conversation.ts";
import { printable } from "./printable.ts";

const keys = {
  /** Need not exist: being asked for a password, or refused, proves as much. */
  username: z.string().min(1).max(63).default("postgres"),
  /** Default: the user's name. */
  database: z.string().min(1).max(63).optional(),
};

type PostgresOptions = OptionsOf<typeof keys>;

/**
 * Passes when the server answers the start of a session: with a demand for a password, or with a refusal. Not with
 * the errors of a server that starts up or shuts down (class 57P, as pg_isready), or that has no room for a session (53,
 * such as too many clients; pg_isready passes there). Nobody logs in.
 */
export const postgres: CheckKind<PostgresOptions> = { active: true, inConfig: true, keys, probe };

const PROTOCOL_3_0 = 0x0003_0000;
const TERMINATE = Buffer.from([0x58, 0, 0, 0, 4]);

// What libpq takes for an answer of this protocol.
const AUTHENTICATION_BYTES = { min: 8, max: 2_000 };
const ERROR_BYTES = { min: 8, max: 30_000 };

const OUT_OF_SERVICE = /^(57P|53)/;

function probe(request: ProbeRequest<PostgresOptions>): Promise<ProbeResult> {
  return converse(request, async (wire) => {
    wire.send(startup(request.options));
    const head = await wire.read(5);
    const type = String.fromCharCode(head.readUInt8(0));
    const length = head.readUInt32BE(1);
    if (type === "R" && within(length, AUTHENTICATION_BYTES)) {
      const demand = (await wire.read(length - 4)).readUInt32BE(0);
      // A server that waits for a password takes the end of the connection without a word in its log.
      if (demand === 0) wire.send(TERMINATE);
      return { passed: true, reason: demand === 0 ? "accepts sessions" : "asks for a password" };
    }
    if (type === "E" && within(length, ERROR_BYTES)) return judge(fields(await wire.read(length - 4)));
    throw new Error(`not PostgreSQL: ${printable(head)}`);
  });
}

function within(length: number, bounds: { readonly min: number; readonly max: number }): boolean {
  return length >= bounds.min && length <= bounds.max;
}

function startup({ username, database }: PostgresOptions): Buffer {
  const parameters = Buffer.from(`user\0${username}\0database\0${database ?? username}\0\0`);
  const head = Buffer.alloc(8);
  head.writeUInt32BE(head.length + parameters.length, 0);
  head.writeUInt32BE(PROTOCOL_3_0, 4);
  return Buffer.concat([head, parameters]);
}

/** The fields of an ErrorResponse by their letter: C the SQLSTATE, M the message. */
function fields(body: Buffer): ReadonlyMap<string, string> {
  const parts = body.toString("utf8").split("\0");
  return new Map(parts.filter((part) => part !== "").map((part) => [part.charAt(0), part.slice(1)]));
}

function judge(error: ReadonlyMap<string, string>): ProbeResult {
  const code = error.get("C") ?? "";
  if (!/^[0-9A-Z]{5}$/.test(code)) throw new Error("not PostgreSQL: an error without an SQLSTATE");
  const said = printable(`${code} ${error.get("M") ?? ""}`);
  if (OUT_OF_SERVICE.test(code)) return { passed: false, reason: said };
  return { passed: true, reason: "answers the start of a session", output: said };
}
