import type { ContainerStatus, InstanceState, Readiness, ServiceStatus, StackStatus } from "@smartstack/core";

/** What the API shows and does; each call is cheap and does no I/O. */
export interface AdminSources {
  status(): StackStatus;
  /** The parts that must hold; with a service, those of that service. */
  readiness(service?: string): readonly Readiness[];
  services(): readonly ServiceStatus[];
  containers(): readonly ContainerStatus[];
  /** False when there is no such instance. @throws StackError when it can be told to nobody. */
  setState(service: string, id: string, state: InstanceState, forMs?: number): boolean;
  /** The configuration in force, secrets masked. */
  config(): unknown;
}
