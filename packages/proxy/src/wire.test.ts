import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { until } from "@smartstack/core/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { dialHandle } from "./handle-wire.ts";
import { dialSocket } from "./socket-wire.ts";
import { enterEvent, flushStage, leaveEvent, releaseStage, type StageMemory, stage } from "./stage.ts";
import { fakeWire } from "./testing/fake-wire.ts";
import type { Connecting, Wire, WireOwner } from "./wire.ts";

const BIG = 8 * 1024 * 1024;

let server: Server;
let port: number;
let accepted: Socket[];
let wires: Wire[];

beforeEach(async () => {
  accepted = [];
  wires = [];
  server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
    accepted.push(socket);
    socket.on("error", () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  port = (server.address() as AddressInfo).port;
});

afterEach(async () => {
  for (const wire of wires) wire.destroy();
  for (const socket of accepted) socket.destroy();
  await new Promise((resolve) => server.close(resolve));
});

interface Heard {
  connected: boolean;
  text: string;
  ended: boolean;
  drained: number;
  closed: boolean;
  error: string | undefined;
}

function dial(to: number, owner: Partial<WireOwner> = {}): { readonly wire: Wire; readonly heard: Heard } {
  const heard: Heard = { connected: false, text: "", ended: false, drained: 0, closed: false, error: undefined };
  const connecting: Connecting = {
    owner: {
      wireData(bytes) {
        heard.text += bytes.toString("latin1");
      },
      wireEnded() {
        heard.ended = true;
      },
      wireDrained() {
        heard.drained++;
      },
      wireClosed(error) {
        heard.closed = true;
        heard.error = error?.code;
      },
      ...owner,
    },
    connected() {
      heard.connected = true;
    },
    closed: () => undefined,
  };
  const wire = dialHandle("127.0.0.1", to, connecting) ?? dialSocket("127.0.0.1", to, connecting);
  wires.push(wire);
  return { wire, heard };
}

const write = (wire: Wire, text: string): void => stage(wire, Buffer.from(text, "latin1"), 0, text.length);

function everything(socket: Socket): { text: string; ended: boolean } {
  const got = { text: "", ended: false };
  socket.on("data", (chunk) => {
    got.text += chunk.toString("latin1");
  });
  socket.on("end", () => {
    got.ended = true;
  });
  socket.resume();
  return got;
}

describe("a connection of the data path", () => {
  it("sends what is written before it stands, then its end, and hears the other's", async () => {
    const { wire, heard } = dial(port);
    write(wire, "early ");
    write(wire, "bird");
    wire.end();
    wire.resume();
    await until(() => accepted.length === 1, { what: "the connection" });
    const got = everything(accepted[0] as Socket);
    await until(() => got.ended, { what: "our end" });
    expect(got.text).toBe("early bird");
    expect(heard.connected).toBe(true);
    accepted[0]?.end("worm");
    await until(() => heard.closed, { what: "the close that follows both ends" });
    expect(heard).toMatchObject({ text: "worm", ended: true, error: undefined });
    expect(wire.destroyed).toBe(true);
  });

  it("keeps what the kernel does not take at once, though the stage and the read memory are used by others", async () => {
    const { wire, heard } = dial(port);
    await until(() => heard.connected && accepted.length === 1, { what: "the connection" });
    const body = Buffer.alloc(BIG);
    for (let at = 0; at < BIG; at++) body[at] = (at * 31 + (at >> 12)) & 0xff;
    stage(wire, body, 0, BIG);
    expect(wire.needsDrain).toBe(true);
    expect(wire.written).toBe(BIG);
    // Others go on writing and reading meanwhile.
    const other = dial(port);
    await until(() => other.heard.connected && accepted.length === 2, { what: "another connection" });
    const theirs = everything(accepted[1] as Socket);
    stage(other.wire, Buffer.alloc(200_000, "x"), 0, 200_000);
    await until(() => theirs.text.length === 200_000, { what: "the other's bytes" });
    const chunks: Buffer[] = [];
    let length = 0;
    accepted[0]?.on("data", (chunk) => {
      chunks.push(chunk);
      length += chunk.length;
    });
    accepted[0]?.resume();
    await until(() => length === BIG && heard.drained > 0, { what: "all of it" });
    expect(Buffer.concat(chunks).equals(body)).toBe(true);
    expect(wire.needsDrain).toBe(false);
  });

  it("takes 16 KiB before it stands, then asks for a pause until it does", async () => {
    const { wire, heard } = dial(port);
    write(wire, "x".repeat(16 * 1024));
    expect(wire.needsDrain).toBe(false);
    write(wire, "x");
    expect(wire.needsDrain).toBe(true);
    await until(() => heard.connected && heard.drained === 1, { what: "the connection" });
    expect(wire.needsDrain).toBe(false);
  });

  it("reads nothing while paused, and all of it later", async () => {
    const { wire, heard } = dial(port);
    wire.resume();
    await until(() => heard.connected && accepted.length === 1, { what: "the connection" });
    accepted[0]?.write("one");
    await until(() => heard.text === "one", { what: "the first" });
    wire.pause();
    accepted[0]?.write("two");
    const second = dial(port);
    await until(() => second.heard.connected, { what: "a turn of the loop" });
    expect(heard.text).toBe("one");
    wire.resume();
    await until(() => heard.text === "onetwo", { what: "the rest" });
  });

  it("says which error ended it", async () => {
    const { wire, heard } = dial(port);
    wire.resume();
    await until(() => heard.connected && accepted.length === 1, { what: "the connection" });
    accepted[0]?.resetAndDestroy();
    await until(() => heard.closed, { what: "its close" });
    expect(heard).toMatchObject({ error: "ECONNRESET", ended: false });
    const unused = createServer();
    await new Promise<void>((resolve) => unused.listen(0, "127.0.0.1", resolve));
    const free = (unused.address() as AddressInfo).port;
    await new Promise((resolve) => unused.close(resolve));
    const refused = dial(free);
    await until(() => refused.heard.closed, { what: "the refusal" });
    expect(refused.heard).toMatchObject({ error: "ECONNREFUSED", connected: false });
  });

  it("resets on demand, and never calls after its close", async () => {
    const { wire, heard } = dial(port);
    await until(() => heard.connected && accepted.length === 1, { what: "the connection" });
    let reason: string | undefined;
    accepted[0]?.on("error", (error: NodeJS.ErrnoException) => {
      reason = error.code;
    });
    accepted[0]?.resume();
    wire.reset();
    wire.destroy();
    wire.end();
    wire.resume();
    write(wire, "late");
    await until(() => heard.closed && reason !== undefined, { what: "the reset" });
    expect(reason).toBe("ECONNRESET");
    expect(heard).toMatchObject({ error: undefined, text: "", ended: false });
  });

  it("drops what is staged when it is closed within the event", async () => {
    const { wire, heard } = dial(port);
    await until(() => heard.connected && accepted.length === 1, { what: "the connection" });
    const got = everything(accepted[0] as Socket);
    enterEvent();
    write(wire, "never");
    wire.destroy();
    leaveEvent();
    await until(() => got.ended, { what: "its end" });
    expect(got.text).toBe("");
  });
});

describe("the stage", () => {
  it("sends what one event writes to one receiver in one write, in order among receivers", () => {
    const sent: string[] = [];
    const receiver = (name: string): Wire =>
      ({
        send(memory: { first(length: number): Buffer }, length: number) {
          sent.push(`${name}:${memory.first(length).toString("latin1")}`);
          return false;
        },
      }) as unknown as Wire;
    const [a, b] = [receiver("a"), receiver("b")];
    enterEvent();
    write(a, "1");
    write(a, "2");
    write(b, "3");
    enterEvent();
    write(b, "4");
    leaveEvent();
    expect(sent).toEqual(["a:12"]);
    leaveEvent();
    expect(sent).toEqual(["a:12", "b:34"]);
    write(a, "5");
    expect(sent).toEqual(["a:12", "b:34", "a:5"]);
    flushStage();
    expect(sent).toHaveLength(3);
  });

  it("keeps seventeen pieces of memory for receivers that take their bytes late, and lets go of more", () => {
    const lent: StageMemory[] = [];
    for (let n = 0; n < 40; n++)
      write(
        {
          ...fakeWire(),
          send(memory) {
            lent.push(memory);
            return true;
          },
        },
        "late",
      );
    expect(new Set(lent).size).toBe(40);
    expect(lent.filter(({ at }) => at >= 0)).toHaveLength(17);
    for (const memory of lent) releaseStage(memory);
  });
});
