// Broken and whole byte streams through parser, chunk decoder and forwarding, with llhttp as the judge.
import { seededRandom, until } from "@smartstack/core/testing";
import { expect, it } from "vitest";
import { backendSpec, rawClient, startBench } from "../../packages/proxy/src/testing/bench.ts";
import { METHODS_OF_LLHTTP } from "../../packages/proxy/src/testing/llhttp.ts";
import { startRecorder } from "../../packages/proxy/src/testing/recorder.ts";
import { originForm } from "../../packages/proxy/src/testing/stream-fuzz.ts";
import { madeStream, mutate, randomPieces } from "../../packages/proxy/src/testing/stream-grammar.ts";
import { type StreamMessage, streamModel } from "../../packages/proxy/src/testing/stream-model.ts";
import { fuzz, PROXY_DIST } from "../support/fuzz.ts";

const FUZZ_MS = Number(process.env.FUZZ_MS ?? 30_000);
const SEED = Number(process.env.FUZZ_SEED ?? Date.now() % 2 ** 32);
const GROWTH_BYTES_MAX = 8 * 1024 * 1024;

it(
  `the parser agrees with llhttp, with itself, and keeps no memory (FUZZ_MS=${FUZZ_MS} FUZZ_SEED=${SEED})`,
  async () => {
    const { streams, grownBytes, finding } = await fuzz(PROXY_DIST, SEED, FUZZ_MS);
    process.stdout.write(`fuzz: ${streams} streams, grown by ${grownBytes} bytes, FUZZ_SEED=${SEED}\n`);
    expect(finding).toBeUndefined();
    expect(grownBytes).toBeLessThan(GROWTH_BYTES_MAX);
  },
  FUZZ_MS + 60_000,
);

const AT_ONCE = 8;

/** What of a stream a backend has to find; undefined where it may rightly refuse what we forward. */
function expectedOf(bytes: Buffer): readonly StreamMessage[] | undefined {
  const { messages } = streamModel.readRequests([bytes]);
  const known = messages.every(({ line }) => METHODS_OF_LLHTTP.has(line.split(" ")[0] ?? ""));
  // Behind a refused upgrade the conversation goes on, where the model ends.
  return known && !/upgrade/i.test(bytes.toString("latin1")) ? messages : undefined;
}

async function throughProxy(bytes: Buffer, pieces: readonly Buffer[]): Promise<readonly StreamMessage[]> {
  const recorder = await startRecorder();
  const bench = await startBench({ backends: [backendSpec("b", recorder.port)] });
  bench.onClose(recorder.close);
  const client = rawClient(bench.port());
  try {
    for (const piece of pieces) {
      client.send(piece);
      await new Promise((resolve) => setImmediate(resolve));
    }
    client.socket.end();
    await until(() => client.ended() || client.closed(), {
      what: `the end of ${JSON.stringify(bytes.toString("latin1"))}`,
    });
    return recorder.messages.map(({ line, body }) => ({ line, body }));
  } finally {
    client.socket.destroy();
    await bench.close();
  }
}

it(
  `what goes through connections is what the parser says (FUZZ_SEED=${SEED})`,
  async () => {
    const random = seededRandom(SEED);
    const endMs = performance.now() + FUZZ_MS / 3;
    const worker = async (): Promise<void> => {
      while (performance.now() < endMs) {
        const bytes = mutate(madeStream("requests", random).text, random);
        const expected = expectedOf(bytes);
        if (expected === undefined) continue;
        const found = await throughProxy(bytes, randomPieces(bytes, random));
        const lines = (messages: readonly StreamMessage[]) =>
          messages.map(({ line, body }) => [originForm(line), body]);
        expect(lines(found), `FUZZ_SEED=${SEED} ${JSON.stringify(bytes.toString("latin1"))}`).toEqual(lines(expected));
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
  },
  FUZZ_MS + 60_000,
);
