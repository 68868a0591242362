import { durationMs, formatDuration, serviceNameProblem } from "@smartstack/core";
import type { CheckType } from "./checks/index.ts";
import { type PortKey, parsePortKey } from "./containers.ts";

/** A label's value did not make sense; the message says what was expected, and names neither label nor value. */
export class LabelProblem extends Error {}

/** What `smartstack.check` may say: only port and path come from a label, never a host. */
export interface LabelCheck {
  readonly type: Extract<CheckType, "docker" | "grpc" | "http" | "https" | "none" | "tcp">;
  readonly port: number | undefined;
  readonly path: string | undefined;
}

const TRUE: readonly string[] = ["1", "true", "yes", "on"];
const FALSE: readonly string[] = ["0", "false", "no", "off"];

export function booleanValue(value: string): boolean {
  const lower = value.toLowerCase();
  if (!TRUE.includes(lower) && !FALSE.includes(lower)) throw new LabelProblem("expected true or false");
  return TRUE.includes(lower);
}

export function serviceValue(value: string): string {
  if (serviceNameProblem(value) !== undefined)
    throw new LabelProblem(
      'expected a service name: 1–128 letters, digits, ".", "_" or "-", beginning and ending with a letter or digit',
    );
  return value;
}

export function portValue(value: string): PortKey {
  const key = parsePortKey(value);
  if (key === undefined) throw new LabelProblem("expected a port from 1 to 65535, such as 80 or 53/udp");
  return key;
}

export function integerValue(value: string, min: number, max: number): number {
  const number = /^\d{1,6}$/.test(value) ? Number(value) : Number.NaN;
  if (!(number >= min && number <= max)) throw new LabelProblem(`expected a whole number from ${min} to ${max}`);
  return number;
}

/** Milliseconds; a bare number is seconds. */
export function timeValue(value: string, minMs: number, maxMs: number): number {
  const ms = durationMs(value);
  if (ms === undefined || ms < minMs || ms > maxMs)
    throw new LabelProblem(
      `expected a time such as 250ms or 2s, from ${formatDuration(minMs)} to ${formatDuration(maxMs)}`,
    );
  return ms;
}

export function choiceValue<T extends string>(value: string, choices: readonly T[]): T {
  const choice = choices.find((candidate) => candidate === value);
  if (choice === undefined) throw new LabelProblem(`expected one of ${choices.join(", ")}`);
  return choice;
}

/** `docker`, `none`, `tcp`, `tcp:8081`, `grpc`, `grpc:9090`, `http:/path`, `http:8081/path`, `https:/path`. */
export function checkValue(value: string): LabelCheck {
  const match = /^(?:(docker|none)|(tcp|grpc)(?::(\d{1,5}))?|(https?)(?::(\d{1,5})?(\/(?!\/)[\x21-\x7e]*)?)?)$/.exec(
    value,
  );
  const portText = match?.[3] ?? match?.[5];
  const port = portText === undefined ? undefined : Number(portText);
  if (match === null || (port !== undefined && (port < 1 || port > 65_535)))
    throw new LabelProblem(
      "expected docker, tcp, grpc, http:/path, https:/path or none (a port may stand before the path: http:8081/path)",
    );
  const type = (match[1] ?? match[2] ?? match[4]) as LabelCheck["type"];
  return { type, port, path: match[6] };
}
