export type { AgentSpec } from "./agents.ts";
export * from "./data-plane.ts";
export { DEFAULT_GRADIENT, type GradientSpec } from "./gradient.ts";
export { DEFAULT_LIMITS, type LimitsSpec } from "./limits.ts";
export { DEFAULT_OUTLIER, type OutlierSpec } from "./outlier.ts";
export { createProxy, type ProxyDeps } from "./proxy.ts";
export type { RateSpec } from "./rate-limit.ts";
export * from "./snapshot.ts";
export { createWorkers, type Workers } from "./workers/control.ts";
