export { createProxy, type ProxyDeps } from "./proxy.ts";
export * from "./snapshot.ts";
