import { connect } from "node:net";
import type { Clock, Random } from "@smartstack/core";
import { type Agent, afterLine, SILENT_AGENT } from "./agent-word.ts";
import type { Backend } from "./backend.ts";
import { createChecker, type Probe } from "./checker.ts";

/** Where each backend's agent is asked; see agent-word.ts. */
export interface AgentSpec {
  readonly port: number;
  /** Absent: the backend's own. */
  readonly host?: string;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** Sent to it first. */
  readonly send?: string;
}

const LINE_BYTES_MAX = 1_024;

export interface AgentsDeps {
  readonly clock: Clock;
  readonly random: Random;
  /** Its agent said something else than before. */
  readonly onSaid: (backend: Backend, agent: Agent) => void;
}

/** Asks the agents of backends, in turn and staggered. */
export interface Agents {
  /** Call after anything that may change who is asked, and how; without a spec nobody is. */
  schedule(backend: Backend, spec: AgentSpec | undefined): void;
  stop(): void;
}

export function createAgents({ clock, random, onSaid }: AgentsDeps): Agents {
  const specs = new WeakMap<Backend, AgentSpec>();

  /** An agent that cannot be reached says nothing: what it said last goes on, as in HAProxy. */
  const probe: Probe = (backend, check, done) => {
    const spec = specs.get(backend);
    const socket = connect({ host: spec?.host ?? backend.host, port: spec?.port ?? backend.port, noDelay: true });
    let text = "";
    let ended = false;
    const end = (ok: boolean, reason: string): void => {
      if (ended) return;
      ended = true;
      cancel();
      socket.destroy();
      if (ok) hear(backend, text);
      done({ ok, reason });
    };
    const cancel = clock.after(check.timeoutMs, () => end(false, "no answer in time"), { background: true });
    if (spec?.send !== undefined) socket.write(spec.send);
    socket.on("data", (bytes) => {
      text += bytes.toString("latin1");
      if (/[\r\n]/.test(text) || text.length >= LINE_BYTES_MAX) end(true, "answered");
    });
    socket.on("end", () => end(text !== "", "closed without an answer"));
    socket.on("error", (error) => end(false, error.message));
    return () => {
      ended = true;
      cancel();
      socket.destroy();
    };
  };

  function hear(backend: Backend, text: string): void {
    const line = text.slice(0, LINE_BYTES_MAX).split(/[\r\n]/)[0] ?? "";
    const before = backend.agent ?? SILENT_AGENT;
    const { agent } = afterLine(before, line);
    if (JSON.stringify(agent) !== JSON.stringify(before)) onSaid(backend, agent);
  }

  const checker = createChecker({ clock, random, probe, onResult: () => undefined });
  return {
    schedule(backend, spec) {
      if (spec === undefined) {
        checker.drop(backend);
        return;
      }
      specs.set(backend, spec);
      const { intervalMs, timeoutMs } = spec;
      checker.schedule(backend, { type: "tcp", when: "always", intervalMs, timeoutMs, rise: 1, fall: 1 }, false);
    },
    stop: checker.stop,
  };
}
