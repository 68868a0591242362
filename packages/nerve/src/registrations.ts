import {
  type Clock,
  type EventBus,
  entryKey,
  type Instance,
  type InstanceRecord,
  type InstanceState,
  type Random,
} from "@smartstack/core";
import type { EngineVerdict } from "./containers.ts";
import { afterEnd, type Flips, type HealthState, isCalm, together } from "./health.ts";
import { keyGroups } from "./key-groups.ts";
import type { Offer } from "./offers.ts";
import { type Prober, startProber } from "./prober.ts";

/** One offer with its running checks. */
export interface Registration {
  readonly key: string;
  readonly offer: Offer;
  /** The full id of its container; undefined for services from configuration. */
  readonly container: string | undefined;
  readonly probers: readonly Prober[];
  readonly health: HealthState;
  readonly reason: string;
  /** Wall clock: when `health` last changed. */
  readonly sinceMs: number;
  /** Monotonic: when its checks took it out of what was offered; undefined while it is up, and when it never was. */
  readonly fellMs: number | undefined;
}

export interface RegistrationsDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly events: EventBus;
  /** It lies in the registry; undefined while that is not known. What lies there already is in no hurry to be probed. */
  readonly announced: (key: string) => boolean | undefined;
  readonly engineVerdict: (container: string) => EngineVerdict | undefined;
  /** What lies at this key may have to change. */
  readonly onChange: (key: string) => void;
}

/** What is offered now, by entryKey, each with its checks running. */
export interface Registrations {
  all(): ReadonlyMap<string, Registration>;
  /** Those of a container, by its full id; of the configuration, when undefined. */
  of(container: string | undefined): readonly Registration[];
  ofService(service: string): readonly Registration[];
  services(): Iterable<string>;
  /** Makes `offers` all that this owner offers: a container's full id, or undefined for the configuration. Checks that did not change go on. */
  sync(container: string | undefined, offers: readonly Offer[]): void;
  /** Docker has said something new about the container. */
  kick(container: string): void;
  stop(): void;
}

export function registrations(deps: RegistrationsDeps): Registrations {
  const table = new Map<string, Registration>();
  const byContainer = keyGroups<string | undefined>();
  const byService = keyGroups<string>();
  /** By key, of those that have ended: a container that restarts all the time is the same one to damping. */
  const ended = new Map<string, readonly Flips[]>();
  const those = (keys: ReadonlySet<string>): Registration[] => [...keys].flatMap((key) => table.get(key) ?? []);

  const judge = (key: string): void => {
    const now = table.get(key);
    if (now === undefined) return;
    const verdict = together(now.probers.map((prober) => prober.health()));
    if (verdict.state === now.health) {
      if (verdict.reason !== now.reason) table.set(key, { ...now, reason: verdict.reason });
      return;
    }
    const offered = now.health === "up" || deps.announced(key) === true;
    table.set(key, {
      ...now,
      health: verdict.state,
      reason: verdict.reason,
      sinceMs: deps.clock.now(),
      fellMs: verdict.state === "down" && offered ? deps.clock.monotonic() : undefined,
    });
    if (verdict.state !== "starting") {
      const { service, id } = now.offer;
      deps.events.publish("check.changed", { service, id, up: verdict.state === "up", reason: verdict.reason });
    }
    deps.onChange(key);
  };

  const begin = (key: string, container: string | undefined, offer: Offer): void => {
    const previous = table.get(key);
    const same = JSON.stringify(previous?.offer.checks) === JSON.stringify(offer.checks);
    if (previous !== undefined && same) {
      table.set(key, { ...previous, offer });
      return;
    }
    for (const prober of previous?.probers ?? []) prober.stop();
    const before = previous?.probers.map((prober) => prober.flips()) ?? ended.get(key);
    ended.delete(key);
    const probers = offer.checks.map((check, at) =>
      startProber({
        check,
        flips: before?.[at],
        clock: deps.clock,
        random: deps.random,
        eager: () => deps.announced(key) === false,
        engineVerdict: () => (container === undefined ? undefined : deps.engineVerdict(container)),
        onHealth: () => judge(key),
      }),
    );
    const { state, reason } = together(probers.map((prober) => prober.health()));
    const sinceMs = deps.clock.now();
    table.set(key, { key, offer, container, probers, health: state, reason, sinceMs, fellMs: undefined });
    byContainer.add(container, key);
    byService.add(offer.service, key);
  };

  const remember = ({ key, probers }: Registration): void => {
    const nowMs = deps.clock.monotonic();
    for (const [other, flips] of ended) if (flips.every((one) => isCalm(one, nowMs))) ended.delete(other);
    const flips = probers.map((prober) => afterEnd(prober.flips(), nowMs));
    if (!flips.every((one) => isCalm(one, nowMs))) ended.set(key, flips);
  };
  const end = (registration: Registration): void => {
    for (const prober of registration.probers) prober.stop();
    remember(registration);
    table.delete(registration.key);
    byContainer.remove(registration.container, registration.key);
    byService.remove(registration.offer.service, registration.key);
  };

  return {
    all: () => table,
    of: (container) => those(byContainer.of(container)),
    ofService: (service) => those(byService.of(service)),
    services: () => byService.names(),
    sync(container, offers) {
      const wanted = new Map(offers.map((offer) => [entryKey(offer.service, offer.id), offer]));
      for (const registration of those(byContainer.of(container))) {
        if (wanted.has(registration.key)) continue;
        end(registration);
        deps.onChange(registration.key);
      }
      for (const [key, offer] of wanted) {
        begin(key, container, offer);
        deps.onChange(key);
      }
    },
    kick(container) {
      for (const { probers } of those(byContainer.of(container))) for (const prober of probers) prober.kick();
    },
    stop() {
      for (const registration of [...table.values()]) end(registration);
    },
  };
}

export interface RecordContext {
  readonly name: string;
  readonly node: string;
  readonly boot: string;
  readonly state: InstanceState;
  /** Wall clock: when it entered its state. */
  readonly sinceMs: number;
}

/** The whole document of a registration. Pure. */
export function recordOf(offer: Offer, context: RecordContext): InstanceRecord {
  const { host, port, ...rest } = offer.instance;
  const instance: Instance = {
    host,
    port,
    name: context.name,
    ...rest,
    node: context.node,
    boot: context.boot,
    state: context.state,
    since: context.sinceMs,
  };
  return { service: offer.service, id: offer.id, instance };
}
