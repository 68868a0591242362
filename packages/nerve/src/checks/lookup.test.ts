import type { LookupAddress } from "node:dns";
import { fakeClock } from "@smartstack/core/testing";
import { expect, test } from "vitest";
import { sharedLookups } from "./lookup.ts";

const at = (address: string): LookupAddress[] => [{ address, family: 4 }];

/** A name server whose answers a test gives. */
function world() {
  const clock = fakeClock();
  const asked: { readonly name: string; answer(address: string): void; fail(code: string): void }[] = [];
  const lookupOf = sharedLookups(
    (name) =>
      new Promise((resolve, reject) => {
        asked.push({
          name,
          answer: (address) => resolve(at(address)),
          fail: (code) => reject(Object.assign(new Error(`${code} ${name}`), { code })),
        });
      }),
  );
  const got: string[] = [];
  const probe = (name: string): void => {
    lookupOf({ clock, timeoutMs: 1_000 })(name, { all: true }, (error, addresses) => {
      got.push(error?.code ?? (addresses as LookupAddress[]).map(({ address }) => address).join());
    });
  };
  const settle = () => clock.advance(0);
  return { clock, asked, got, probe, settle };
}

test("one lookup at a time serves everybody who asks for the name", async () => {
  const { asked, got, probe, settle } = world();
  probe("a");
  probe("a");
  probe("b");
  expect(asked.map(({ name }) => name)).toEqual(["a", "b"]);
  asked[0]?.answer("10.0.0.1");
  await settle();
  expect(got).toEqual(["10.0.0.1", "10.0.0.1"]);
  probe("a");
  asked[2]?.answer("10.0.0.2");
  await settle();
  expect(got.at(-1)).toBe("10.0.0.2");
});

test("the last address serves where an answer is long in coming, or none", async () => {
  const { clock, asked, got, probe, settle } = world();
  probe("a");
  asked[0]?.answer("10.0.0.1");
  await settle();
  probe("a");
  await clock.advance(249);
  expect(got).toHaveLength(1);
  await clock.advance(1);
  expect(got).toEqual(["10.0.0.1", "10.0.0.1"]);
  asked[1]?.fail("EAI_AGAIN");
  await settle();
  probe("a");
  await settle();
  asked[2]?.fail("EAI_AGAIN");
  await settle();
  expect(got).toEqual(["10.0.0.1", "10.0.0.1", "10.0.0.1"]);
});

test("a name that is gone has no address any more", async () => {
  const { asked, got, probe, settle } = world();
  probe("a");
  asked[0]?.answer("10.0.0.1");
  await settle();
  probe("a");
  asked[1]?.fail("ENOTFOUND");
  await settle();
  expect(got).toEqual(["10.0.0.1", "ENOTFOUND"]);
});

test("names that failed are asked for one after the other, and hold up no other", async () => {
  const { asked, got, probe, settle } = world();
  const dead = ["x", "y", "z"];
  for (const name of dead) probe(name);
  for (const one of asked) one.fail("EAI_AGAIN");
  await settle();
  for (const name of dead) probe(name);
  probe("good");
  await settle();
  expect(asked.slice(3).map(({ name }) => name)).toEqual(["good", "x"]);
  asked.find(({ name }) => name === "good")?.answer("10.0.0.1");
  asked.at(-1)?.answer("10.0.0.9");
  await settle();
  expect(got.slice(3)).toEqual(["10.0.0.1", "10.0.0.9"]);
  expect(asked.at(-1)?.name).toBe("y");
  asked.at(-1)?.fail("EAI_AGAIN");
  await settle();
  expect(asked.at(-1)?.name).toBe("z");
});
