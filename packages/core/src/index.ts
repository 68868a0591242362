export { type Backoff, type BackoffOptions, exponentialBackoff, RECONNECT_BACKOFF } from "./backoff.ts";
export { type Cancel, type Clock, every, type Random, sleep, systemClock, systemRandom } from "./clock.ts";
export { didYouMean } from "./config/did-you-mean.ts";
export { httpCheckMethod, httpHeaders, httpPath, httpStatuses, type StatusRange } from "./config/http.ts";
export { type Loaded, loadConfig } from "./config/load.ts";
export type { ConfigSource } from "./config/parse.ts";
export { type PasswordOptions, passwordKeys, passwordOf } from "./config/password.ts";
export { substitute } from "./config/substitute.ts";
export { duration, durationMs, formatDuration, port } from "./config/units.ts";
export { type DeadlineOptions, withDeadline } from "./deadline.ts";
export {
  describeError,
  ERROR_CODES,
  type ErrorCode,
  type ErrorSide,
  isStackError,
  type Retry,
  StackError,
} from "./errors.ts";
export { type EventBus, type EventName, type EventTable, eventBus, type StackEvent } from "./events.ts";
export {
  DOCUMENT_BYTES_MAX,
  decodeInstance,
  decodeNodeEntry,
  encodeInstance,
  encodeNodeEntry,
  INSTANCE_STATES,
  type Instance,
  type InstanceRecord,
  type InstanceState,
  type NodeEntry,
  sameInstance,
} from "./instance.ts";
export { type KeepAliveOptions, keepAlive, type Run, type Transition } from "./keep-alive.ts";
export { type Channel, channel, type Mailbox, mailbox } from "./mailbox.ts";
export {
  assertInstanceId,
  assertServiceName,
  containerInstanceId,
  instanceIdProblem,
  nodeInstanceId,
  nodeNameProblem,
  serviceNameProblem,
} from "./names.ts";
export {
  entryKey,
  lossOf,
  type Registry,
  type RegistryCounters,
  type RegistryStatus,
  type Session,
} from "./registry.ts";
export {
  type BackendCounters,
  type BackendStatus,
  type ContainerStatus,
  type ListenerStatus,
  NO_BACKEND_COUNTERS,
  NO_SERVICE_COUNTERS,
  type Readiness,
  type RegistrationStatus,
  type ServiceCounters,
  type ServiceStatus,
  type StackStatus,
  type WorkerStatus,
} from "./status.ts";
export { applyBatch, type Batch, type Entry, NO_ENTRIES, type ServiceEntries, type Update } from "./update.ts";
