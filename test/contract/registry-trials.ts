import { strict as assert } from "node:assert";
import { setTimeout as pause } from "node:timers/promises";
import type { Registry } from "@smartstack/core";
import { type RegistryCase, runCase } from "./registry-case.ts";
import type { RegistryBench, RegistryHarness } from "./registry-harness.ts";
import { failing, MUTANTS } from "./registry-mutants.ts";

/** A mutant before a case that is meant to catch it. */
export interface Trial {
  readonly one: RegistryCase;
  readonly mutant: string;
}

/** Patience of the cases with a mutant, milliseconds: what drivers do takes a fraction of it. */
const WAIT_MS = 2_000;
/** A case that a mutant hangs has failed as well. */
const TRIAL_MS_MAX = 20_000;

/** How many run at once: they mostly wait. */
const AT_ONCE = 6;

/** Every case with the first mutant that it is meant to catch; by the name that the suite knows it by. */
export function trialsOf(cases: ReadonlyMap<string, RegistryCase>, nodeless: boolean): Trial[] {
  return [...cases].flatMap(([name, one]) => {
    const [mutant] = Object.entries(MUTANTS).find(([, each]) => failing(each, nodeless).includes(name)) ?? [];
    return mutant === undefined ? [] : [{ one, mutant }];
  });
}

/** Runs trials on one server, those that disturb it one after the other, and names those whose mutant escaped. */
export async function runTrials(
  trials: readonly Trial[],
  harness: RegistryHarness,
  disturbing: ReadonlySet<string>,
): Promise<string[]> {
  const escaped: string[] = [];
  const runAll = async (queue: Trial[]): Promise<void> => {
    for (let trial = queue.pop(); trial !== undefined; trial = queue.pop())
      // What goes wrong for a moment only may go unseen on a busy machine, but not twice.
      if (!(await isCaught(trial, harness)) && !(await isCaught(trial, harness)))
        escaped.push(`${trial.one.name}: ${trial.mutant}`);
  };
  const peaceful = trials.filter(({ one }) => !disturbing.has(one.name));
  await Promise.all(Array.from({ length: AT_ONCE }, () => runAll(peaceful)));
  await runAll(trials.filter(({ one }) => disturbing.has(one.name)));
  return escaped;
}

/** True when the case notices the mutant. Leaves nothing open, and the server as it was, whatever the case did. */
export async function isCaught({ one, mutant }: Trial, harness: RegistryHarness): Promise<boolean> {
  const { wrap, bench: change } = MUTANTS[mutant] ?? assert.fail(`no such mutant: ${mutant}`);
  const opened: Registry[] = [];
  let restore = async (): Promise<void> => undefined;
  const mutated: RegistryHarness = {
    ...harness,
    waitMs: Math.min(harness.waitMs ?? WAIT_MS, WAIT_MS),
    async fresh() {
      const whole = await harness.fresh();
      const bench = change?.(whole) ?? whole;
      const server = restorable(bench);
      restore = server.restore;
      return {
        ...bench,
        ...server.control,
        async open(ttlMs) {
          const registry = await bench.open(ttlMs);
          opened.push(registry);
          return wrap(registry, bench);
        },
      };
    },
  };
  const run = runCase(one, mutated).then(
    () => false,
    () => true,
  );
  try {
    return await Promise.race([run, pause(TRIAL_MS_MAX, true, { ref: false })]);
  } finally {
    await Promise.all(opened.map((registry) => registry.close()));
    await restore();
  }
}

/** A server's control that remembers what was done, so that it can be undone. */
function restorable({ server }: RegistryBench): {
  readonly control: Pick<RegistryBench, "server">;
  readonly restore: () => Promise<void>;
} {
  if (server === undefined) return { control: {}, restore: async () => undefined };
  const { freeze, thaw } = server;
  let state: "up" | "down" | "frozen" = "up";
  const start = async (): Promise<void> => {
    if (state !== "down") return;
    state = "up";
    await server.start();
  };
  const control = {
    ...server,
    async kill() {
      state = "down";
      await server.kill();
    },
    start,
    ...(freeze && {
      async freeze() {
        state = "frozen";
        await freeze();
      },
    }),
    ...(thaw && {
      async thaw() {
        state = "up";
        await thaw();
      },
    }),
  };
  const restore = async (): Promise<void> => {
    if (state === "frozen") await thaw?.();
    await start();
  };
  return { control: { server: control }, restore };
}
