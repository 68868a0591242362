export { DEFAULT_OUTLIER, type OutlierSpec } from "./outlier.ts";
export { createProxy, type ProxyDeps } from "./proxy.ts";
export * from "./snapshot.ts";
export { createWorkers, type Workers } from "./workers/control.ts";
