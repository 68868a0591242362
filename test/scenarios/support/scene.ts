import type { ContainerStatus } from "@smartstack/core";
import { until } from "@smartstack/core/testing";
import { expect, it } from "vitest";
import { type StackProcess, startStack } from "../../e2e/support/stack.ts";
import type { ContainerOptions } from "../../support/container.ts";
import type { Engine } from "../../support/docker.ts";
import { bounded, FROM_THE_START, type Moment, momentOf } from "./bounds.ts";
import { type Change, type Document, entriesOf, writesOf } from "./ledger.ts";
import { COMMON, registryConfig, type Stage } from "./stage.ts";

/** One scenario's own part of the stage: names that nobody else uses, and everything gone at its end. */
export interface Scene {
  readonly stage: Stage;
  readonly engine: Engine;
  /** The service of this scenario's containers unless their labels say otherwise. */
  readonly service: string;
  /** The containers of a nerve of this scenario's own carry it. */
  readonly label: string;
  /** Starts a container that serves HTTP on port 80, published unless its options speak of ports or networks. */
  web(options?: SceneContainer): Promise<string>;
  /** The arguments for a container that is not to be started by `web`. */
  options(options?: SceneContainer): ContainerOptions;
  /** Keeps in mind a container that was made otherwise. */
  own(container: string): string;
  network(...args: string[]): Promise<string>;
  /** Done at the end, before what was begun earlier is ended. */
  closes(work: () => Promise<unknown>): void;
  /** A nerve of this scenario's own, which looks at the containers with `label`. */
  nerve(docker?: object | false, rest?: object): Promise<StackProcess>;
  /** A synapse that discovers this scenario's services. */
  synapse(rest?: object): Promise<StackProcess>;
  entries(service?: string): readonly Document[];
  offered(count: number, service?: string, timeoutMs?: number): Promise<readonly Document[]>;
  /** Everything that was written of a container's, or a service's, entries. */
  writes(of: string): readonly Change[];
  /** Does it, and waits until the container is announced: within 2 s of the engine's event. */
  adds(container: string, work: () => Promise<unknown>): Promise<Document>;
  /** Waits for the announcement of a container that was just started. */
  added(container: string, since?: Moment): Promise<Document>;
  /** Does it, and waits until the container's entries are gone: within 1 s of the engine's event. */
  removes(container: string, work: () => Promise<unknown>): Promise<void>;
  status(container: string, nerve?: StackProcess): Promise<ContainerStatus | undefined>;
  /** Waits until nerve says why it does not register the container, and sees that it has not. */
  refused(container: string, reason: RegExp, nerve?: StackProcess): Promise<void>;
  /** Returns when nerve has seen all that the engine told of the container so far. */
  caughtUp(container: string, nerve?: StackProcess): Promise<void>;
}

export interface SceneContainer extends ContainerOptions {
  /** Seen by the scenario's own nerve, not by the common one. */
  readonly private?: boolean;
}

let scenes = 0;

/**
 * A test of its own scene. Its name begins with the scenario's id. It runs beside the others of its group, unless it
 * measures what they would spoil: then `alone`.
 */
export function scenario(
  stage: () => Stage,
  name: string,
  work: (scene: Scene) => Promise<void>,
  how: "beside others" | "alone" = "beside others",
): void {
  const test = how === "alone" ? it : it.concurrent;
  test(name, async () => {
    const closers: (() => Promise<unknown>)[] = [];
    try {
      await work(createScene(stage(), closers));
    } finally {
      for (const close of closers.reverse()) await close();
    }
  });
}

function containerOptions(service: string, label: string, given: SceneContainer): ContainerOptions {
  const { private: isPrivate, labels, ...rest } = given;
  return {
    ...((rest.publish ?? rest.expose ?? rest.network) ? {} : { publish: ["80"] }),
    command: ["busybox", "httpd", "-f", "-p", "80"],
    // That server leaves signals alone, so that only the KILL after this ends it.
    stopTimeout: 1,
    labels: { [isPrivate === true ? label : COMMON]: "1", "smartstack.service": service, ...labels },
    ...rest,
  };
}

function createScene(stage: Stage, closers: (() => Promise<unknown>)[]): Scene {
  const { engine, ledger } = stage;
  const service = `s${process.pid}-${++scenes}`;
  const label = `smartstack-scenario.${service}`;
  const own = (container: string): string => {
    closers.push(() => engine.remove(container));
    return container;
  };
  const options = (given: SceneContainer = {}): ContainerOptions => containerOptions(service, label, given);
  const writes = (of: string): Change[] => writesOf(ledger, of);
  const entries = (of = service): Document[] => entriesOf(ledger, of);
  const added = async (container: string, since = FROM_THE_START): Promise<Document> => {
    await bounded(stage, "add", container, since);
    return until(() => entries(container)[0], { what: "its entry" });
  };
  const status: Scene["status"] = async (container, nerve = stage.nerve) =>
    (await nerve.containers()).find(({ id, name }) => id === container || name === container);

  return {
    stage,
    engine,
    service,
    label,
    options,
    own,
    closes: (work) => closers.push(work),
    web: async (given) => own(await engine.run(options(given))),
    async network(...args) {
      const name = `${service}-${closers.length}`;
      await engine.docker("network", "create", ...args, name);
      closers.push(() => engine.docker("network", "rm", name));
      return name;
    },
    async nerve(docker = {}, rest = {}) {
      const nerve = await startStack("nerve", {
        registry: registryConfig(stage.registry, stage.server.endpoint),
        docker: docker !== false && {
          host: engine.host,
          node: service,
          advertise: engine.hostAddress,
          filter: { label },
          ...docker,
        },
        on_stop: "withdraw",
        ...rest,
      });
      closers.push(() => nerve.stop());
      return nerve;
    },
    async synapse(rest = {}) {
      const registry = registryConfig(stage.registry, stage.server.endpoint);
      const grace = { shutdown_grace: "1s" };
      const synapse = await startStack("synapse", { registry, discover: `${service}*`, ...grace, ...rest });
      closers.push(() => synapse.stop());
      return synapse;
    },
    entries,
    offered: (count, of = service, timeoutMs = 10_000) =>
      until(() => entries(of).length === count && entries(of), { what: `${count} of ${of}`, timeoutMs, everyMs: 10 }),
    writes,
    added,
    async adds(container, work) {
      const since = momentOf(stage, container);
      await work();
      return added(container, since);
    },
    async removes(container, work) {
      expect(entries(container)).not.toEqual([]);
      const since = momentOf(stage, container);
      await Promise.all([work(), bounded(stage, "remove", container, since)]);
      expect(entries(container)).toEqual([]);
    },
    status,
    async refused(container, reason, nerve) {
      await until(async () => (await status(container, nerve))?.refusals.some((text) => reason.test(text)), {
        what: `${container} is refused with ${reason}`,
      });
      expect(writes(container)).toEqual([]);
    },
    async caughtUp(container, nerve) {
      const name = `seen-${service}-${performance.now()}`;
      await engine.docker("rename", container, name);
      await until(async () => (await status(name, nerve)) !== undefined, { what: `nerve has seen ${name}` });
    },
  };
}
