import zookeeper, { type ACL, type Client, type Exception } from "node-zookeeper-client";
import { asStackError, codeOf } from "./errors.ts";

/** One step of a transaction. */
export type Step =
  | { readonly do: "check"; readonly path: string }
  | { readonly do: "remove"; readonly path: string }
  | { readonly do: "set"; readonly path: string; readonly text: string }
  | { readonly do: "create"; readonly path: string; readonly text: string };

/** Which step failed, and how; undefined when all were done. */
export type Refusal = { readonly step: number; readonly reason: "no node" | "node exists" } | undefined;

/** A call of the library, with a deadline around it. `done` is the library's callback. */
export type Call = <T>(
  what: string,
  work: (done: (error: Error | Exception | null, value: T) => void) => void,
  ms?: number,
) => Promise<T>;

type Results = readonly { readonly err?: number }[] | undefined;

/** All steps or none; what it creates is ephemeral. @throws StackError for anything but a refusal. */
export async function commit(
  client: Client,
  acl: ACL[],
  steps: readonly Step[],
  call: Call,
  host: string,
): Promise<Refusal> {
  const transaction = client.transaction();
  for (const step of steps) {
    if (step.do === "check") transaction.check(step.path);
    else if (step.do === "remove") transaction.remove(step.path);
    else if (step.do === "set") transaction.setData(step.path, Buffer.from(step.text));
    else transaction.create(step.path, Buffer.from(step.text), acl, zookeeper.CreateMode.EPHEMERAL);
  }
  const what = `transaction of ${steps.length}`;
  // The steps before the failed one report 0 then, those after it a code of their own; the library's error is the first.
  const { error, results } = await call<{ error: Error | Exception | null; results: Results }>(what, (done) =>
    transaction.commit((error, results: Results) => done(null, { error, results })),
  ).catch((failure: unknown) => {
    throw asStackError(`zookeeper ${host} ${what}`, failure);
  });
  if (!error) return undefined;
  const code = codeOf(error);
  const step = Math.max(0, results?.findIndex((result) => result.err === code) ?? 0);
  if (code === zookeeper.Exception.NO_NODE) return { step, reason: "no node" };
  if (code === zookeeper.Exception.NODE_EXISTS) return { step, reason: "node exists" };
  throw asStackError(`zookeeper ${host} ${what}, at ${steps[step]?.path ?? "its end"}`, error);
}
