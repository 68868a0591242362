import { expect, test } from "vitest";
import { loadStackConfig, type Role } from "./config.ts";
import { unseenBy } from "./unseen.ts";

function unseen(role: Role, text: string): readonly string[] {
  return unseenBy(loadStackConfig(role, { file: "f.yaml", text, env: {} }).value);
}

test("what docker.filter leaves out", () => {
  expect(unseen("up", "")).toEqual([]);
  expect(unseen("up", "docker: {filter: {label: [a=1, b], project: own}}")).toEqual([
    "docker.filter takes only containers with label=a=1 and label=b and project=own from unix:///var/run/docker.sock; no other one is seen",
  ]);
});

test("a process that looks at no containers at all", () => {
  const registry = "registry: {type: etcd, hosts: [127.0.0.1:2379]}";
  expect(unseen("synapse", registry)).toEqual([expect.stringContaining("a nerve does")]);
  expect(unseen("nerve", `${registry}\ndocker: false`)).toEqual([expect.stringContaining("docker: false")]);
});
