import { systemClock } from "@smartstack/core";
import { expect, it } from "vitest";
import { servers } from "./servers.ts";

it("uses one server for all connections until one of them says that it failed, once for all of them", async () => {
  const cluster = servers({ hosts: ["a:1", "b:1", "c:1"] }, { clock: systemClock, random: () => 0.4 });
  const hostOf = async (): Promise<string> => {
    const client = await cluster.connect();
    const where = await client.range({}, 1).then(
      () => "an answer",
      (error: unknown) => String(error),
    );
    client.close();
    return /etcd (\w:1)/.exec(where)?.[1] ?? where;
  };
  const [watching, holding] = [await cluster.connect(), await cluster.connect()];
  expect([await hostOf(), await hostOf()]).toEqual(["b:1", "b:1"]);
  cluster.blame(watching);
  cluster.blame(holding);
  expect([await hostOf(), await hostOf()]).toEqual(["c:1", "c:1"]);
  for (const client of [watching, holding]) client.close();
});
