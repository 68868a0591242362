import type { ContainerStatus, ServiceStatus, StackStatus } from "@smartstack/core";
import type { AdminClient } from "../admin-client.ts";
import { expectOk, listIn } from "../answer.ts";
import { printLines } from "../lines.ts";
import { type Shown, statusLines } from "../status-lines.ts";
import type { Terminal } from "../terminal.ts";

export interface StatusOptions {
  readonly service?: string;
  readonly json?: boolean;
}

/** Shows what a running process serves and announces, and why what is missing is missing. Returns the exit code. */
export async function status(terminal: Terminal, client: AdminClient, options: StatusOptions): Promise<number> {
  const shown = only(
    {
      process: expectOk<StackStatus>(await client.get("/api/v1/status")),
      services: listIn<ServiceStatus>(await client.get("/api/v1/services"), "services"),
      containers: listIn<ContainerStatus>(await client.get("/api/v1/containers"), "containers"),
    },
    options.service,
  );
  if (options.json === true) terminal.print(JSON.stringify(shown, null, 2));
  else printLines(terminal, statusLines(shown));
  if (options.service === undefined || shown.services.length > 0 || shown.containers.length > 0) return 0;
  terminal.error(`no service ${options.service} is known here`);
  return 2;
}

/** What concerns the service, and whoever asks for it in vain. */
function only(shown: Shown, service: string | undefined): Shown {
  if (service === undefined) return shown;
  return {
    process: shown.process,
    services: shown.services.filter((each) => each.name === service),
    containers: shown.containers.filter(
      ({ asks, registrations }) => asks.includes(service) || registrations.some((one) => one.service === service),
    ),
  };
}
