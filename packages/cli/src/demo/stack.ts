import { describeError, systemClock, systemRandom } from "@smartstack/core";
import type { Role } from "../config.ts";
import { readStackConfig } from "../config-file.ts";
import { createStack, type Stack } from "../run-stack.ts";
import { version } from "../version.ts";
import type { FleetDeps } from "./fleet.ts";

/** Builds and starts a stack from the text of a configuration file. */
export async function startDemoStack(role: Role, file: string, text: string, deps: FleetDeps): Promise<Stack> {
  const { value } = readStackConfig(role, { file, text, env: {} });
  const stack = await createStack(value, {
    clock: systemClock,
    random: systemRandom,
    events: deps.events,
    version: version(),
    onStopFailure: (part, error) => deps.say(`  ${part} did not stop cleanly: ${describeError(error)}`),
  });
  await stack.start();
  return stack;
}
