import type { CheckKind } from "./check.ts";

/**
 * The engine's own HEALTHCHECK. Runs when the engine says something new, not by time. An engine calls a container
 * unhealthy from a pause until its next probe after the unpause (measured on 20.10), so does this.
 */
export const docker: CheckKind = {
  active: false,
  inConfig: false,
  keys: {},
  probe({ engine }) {
    const { health, healthOutput } = engine ?? {};
    return Promise.resolve({
      passed: health === "healthy",
      reason: health === undefined ? "the container has no HEALTHCHECK" : `Docker says ${health}`,
      ...(healthOutput === undefined ? {} : { output: healthOutput }),
    });
  },
};
