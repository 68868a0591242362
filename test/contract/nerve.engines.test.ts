import { copyFileSync } from "node:fs";
import { systemClock } from "@smartstack/core";
import { until } from "@smartstack/core/testing";
import { dockerConfig, dockerEngines, nerveConfig } from "@smartstack/nerve";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { dockerApi } from "../../packages/nerve/src/docker-api.ts";
import { type Certificates, makeCertificates } from "../support/certificates.ts";
import { type DockerDouble, type DoubleOptions, startDockerDouble } from "../support/docker-double.ts";
import { type NerveRun, type NerveRunOptions, runNerve } from "./nerve-harness.ts";

const LABELS = { "smartstack.service": "web", "smartstack.check": "none" };
const PORT = 80;

let certificates: Certificates;
let doubles: DockerDouble[];
let runs: NerveRun[];

beforeAll(async () => {
  certificates = await makeCertificates("IP:127.0.0.1");
});
afterAll(() => certificates.remove());
beforeEach(() => {
  doubles = [];
  runs = [];
});
afterEach(async () => {
  await Promise.all(runs.map((run) => run.stop()));
  await Promise.all(doubles.map((double) => double.close()));
});

async function engine(options: DoubleOptions = {}): Promise<DockerDouble> {
  const double = await startDockerDouble(options);
  doubles.push(double);
  return double;
}

function start(options: NerveRunOptions): NerveRun {
  const run = runNerve({ nerve: { reconcile: 1 }, ...options });
  runs.push(run);
  return run;
}

const reasons = (run: NerveRun): string => JSON.stringify(run.nerve.readiness());
const trusting = () => ({
  ca_file: certificates.ca,
  cert_file: certificates.client.cert,
  key_file: certificates.client.key,
});

/** Everything a container goes through, over one kind of connection. */
async function wholeLife(docker: DockerDouble, run: NerveRun): Promise<void> {
  const first = docker.add({ labels: LABELS, port: PORT });
  await run.offered("web", 1);
  docker.add({ labels: LABELS, port: PORT });
  await run.offered("web", 2);
  docker.stop(first.id);
  await run.offered("web", 1);
  docker.remove(first.id);
  docker.endStreams("destroy");
  docker.add({ labels: LABELS, port: PORT });
  await run.offered("web", 2);
  const lists = (): number => docker.requests.filter((line) => line.startsWith("GET /containers/json")).length;
  const before = lists();
  await until(() => lists() > before, { what: "a comparison" });
}

describe.each(["unix", "tcp", "tls"] as const)("over %s", (kind) => {
  const listen = (): DoubleOptions =>
    kind === "unix" ? {} : { listen: kind === "tcp" ? "tcp" : { tls: certificates } };
  const tls = () => (kind === "tls" ? { tls: trusting() } : {});

  test("the whole life of containers, by GET and HEAD alone", async () => {
    const docker = await engine(listen());
    const run = start({ host: docker.host, docker: tls() });
    await wholeLife(docker, run);
    expect(docker.requests.filter((line) => !/^(GET|HEAD) /.test(line))).toEqual([]);
  });

  test("a socket proxy that does not allow /info is enough where the node has a name", async () => {
    const docker = await engine(listen());
    docker.faults.set("info", "403");
    const nameless = start({ host: docker.host, docker: tls() });
    await until(() => /info answered 403; a socket proxy must allow/.test(reasons(nameless)), { what: "advice" });
    const named = start({ host: docker.host, docker: { ...tls(), node: "host-a" } });
    await wholeLife(docker, named);
    expect(named.nerve.node()).toBe("host-a");
  });
});

describe("TLS", () => {
  const api = async (tls: object) => {
    const docker = await engine({ listen: { tls: certificates } });
    const [config] = dockerEngines(dockerConfig.parse({ host: docker.host, tls }), {});
    if (config === undefined) throw new Error("no engine");
    return (await dockerApi(config, systemClock, new AbortController().signal)).info();
  };

  test("an engine that nobody trusted vouches for is not talked to", async () => {
    await expect(api({ ...trusting(), ca_file: certificates.stranger })).rejects.toMatchObject({
      code: "DOCKER_UNREACHABLE",
      message: expect.stringMatching(/set docker.tls.ca_file/),
    });
    await expect(api({ ...trusting(), ca_file: undefined })).rejects.toThrow(/set docker.tls.ca_file/);
  });

  test("unless verify is false", async () => {
    await expect(api({ ...trusting(), ca_file: undefined, verify: false })).resolves.toMatchObject({ id: "DOUBLE" });
  });

  test("an engine that asks for a client's certificate refuses one without", async () => {
    await expect(api({ ca_file: certificates.ca })).rejects.toMatchObject({ code: "DOCKER_UNREACHABLE" });
  });

  test("a certificate for another name is refused", async () => {
    const docker = await engine({ listen: { tls: certificates } });
    const host = docker.host.replace("127.0.0.1", "localhost");
    const run = start({ host, docker: { tls: trusting() } });
    await until(() => /cannot reach localhost:\d+: .*altnames/.test(reasons(run)), { what: "refused" });
  });

  test("a file that is missing is told, and used once it is there", async () => {
    const docker = await engine({ listen: { tls: certificates } });
    const file = `${certificates.ca}.later`;
    const run = start({ host: docker.host, docker: { tls: { ...trusting(), ca_file: file } } });
    await until(() => /docker.tls.ca_file: cannot read .*\.later: .*ENOENT/.test(reasons(run)), { what: "told" });
    copyFileSync(certificates.ca, file);
    await until(() => run.nerve.readiness().every((part) => part.ready), { what: "ready" });
  });

  test("plain HTTP to an engine that speaks TLS, and the other way round: said, not waited for", async () => {
    const secure = await engine({ listen: { tls: certificates } });
    const plain = await engine({ listen: "tcp" });
    const first = start({ host: secure.host });
    const second = start({ host: plain.host, docker: { tls: trusting() } });
    await until(() => /docker: (cannot reach|docker at)/.test(reasons(first)), { what: "told" });
    await until(() => /docker: cannot reach/.test(reasons(second)), { what: "told" });
  });
});

describe("several engines", () => {
  async function pair(): Promise<readonly [DockerDouble, DockerDouble]> {
    return [await engine({ engineId: "one" }), await engine({ engineId: "two", listen: "tcp" })];
  }

  test("each is a node of its own; one that is away harms no other", async () => {
    const [one, two] = await pair();
    one.add({ labels: LABELS, port: PORT });
    two.add({ labels: LABELS, port: PORT });
    const run = start({ host: [one.host, two.host], nerve: { services: { own: { host: "h", port: 1 } } } });
    const found = await run.offered("web", 2);
    const nodes = new Set(found.map(({ node }) => node));
    expect(nodes.size).toBe(2);
    expect(run.nerve.node()?.split(",").sort()).toEqual([...nodes].sort());
    expect([...run.store.entries.keys()].filter((path) => path.startsWith(".nodes/"))).toHaveLength(2);
    expect(run.nerve.containers()).toHaveLength(3);
    // Those of the configuration belong to the first.
    expect((await run.offered("own", 1))[0]?.node).toBe(run.nerve.node()?.split(",")[0]);
    await until(() => run.nerve.readiness().every((part) => part.ready), { what: "ready" });
    for (const call of ["events", "list", "ping"] as const) two.faults.set(call, "reset");
    two.endStreams("destroy");
    await until(() => run.nerve.readiness().filter((part) => !part.ready).length === 1, { what: "one is away" });
    expect(run.nerve.readiness().find((part) => !part.ready)?.part).toMatch(/^docker 127.0.0.1:\d+$/);
    one.add({ labels: LABELS, port: PORT });
    await run.offered("web", 3);
  });

  test("an operator's word finds the node whose instance it is", async () => {
    const [one, two] = await pair();
    one.add({ labels: LABELS, port: PORT });
    const { id } = two.add({ labels: LABELS, port: PORT });
    const run = start({ host: [one.host, two.host] });
    await run.offered("web", 2);
    expect(run.nerve.setState("web", `${id.slice(0, 12)}-${PORT}`, "draining")).toBe(true);
    await until(() => [...run.entries().values()].filter(({ state }) => state === "draining").length === 1, {
      what: "draining",
    });
    expect(run.nerve.setState("web", "nobody", "draining")).toBe(false);
  });

  test("two engines of one id do not fence each other: the second says what to do", async () => {
    const one = await engine();
    const two = await engine();
    one.add({ labels: LABELS, port: PORT });
    const run = start({ host: [one.host, two.host] });
    await run.offered("web", 1);
    await until(() => /is that of another engine here: give each engine its own docker.node/.test(reasons(run)), {
      what: "advice",
    });
    expect(run.events.filter((event) => event.name === "nerve.fenced")).toEqual([]);
  });

  test("one more, and one less, disturb no other", async () => {
    const [one, two] = await pair();
    one.add({ labels: LABELS, port: PORT });
    two.add({ labels: LABELS, port: PORT });
    const run = start({ host: one.host });
    await run.offered("web", 1);
    const written: string[] = [];
    const { id } = one.add({ labels: { ...LABELS, "smartstack.service": "other" }, port: PORT });
    await run.offered("other", 1);
    run.store.subscribe({ changed: (changes) => written.push(...changes.keys()), away: () => undefined });
    const options = (...hosts: string[]) => ({
      engines: dockerEngines(
        hosts.map((host) => dockerConfig.parse({ host })),
        {},
      ),
      nerve: nerveConfig.parse({ reconcile: 1 }),
    });
    run.nerve.reconfigure(options(one.host, two.host));
    await run.offered("web", 2);
    run.nerve.reconfigure(options(two.host, one.host));
    run.nerve.reconfigure(options(one.host));
    await run.offered("web", 1);
    expect(written.filter((path) => path.includes(id.slice(0, 12)))).toEqual([]);
    run.nerve.reconfigure(options(one.host, two.host));
    await run.offered("web", 2);
  });
});

describe("a container's environment", () => {
  const env = ["SERVICE_NAME=from-env", "SERVICE_TAGS=a,b", "SECRET=s3cret-a", "VIRTUAL_HOST=s3cret-b"];
  const labels = { "smartstack.check": "none" };

  test("is read for a convention that is switched on, and for no other", async () => {
    const docker = await engine();
    docker.add({ labels, port: PORT, env });
    const off = start({ host: docker.host, docker: { node: "off" } });
    const on = start({ host: docker.host, docker: { node: "on", conventions: ["registrator"] } });
    expect((await on.offered("from-env", 1))[0]?.labels).toEqual({ tags: "a,b" });
    await until(() => off.nerve.containers().length === 1, { what: "seen" });
    expect(off.entries().size).toBe(0);
    for (const run of [on, off]) {
      const shown = JSON.stringify([run.nerve.containers(), run.events, [...run.store.entries]]);
      expect(shown).not.toContain("s3cret");
    }
  });

  test("is looked at anew when a convention is switched on while running", async () => {
    const docker = await engine();
    docker.add({ labels, port: PORT, env });
    const run = start({ host: docker.host });
    await until(() => run.nerve.containers().length === 1, { what: "seen" });
    const sections = dockerConfig.parse({ host: docker.host, conventions: ["registrator"] });
    run.nerve.reconfigure({ engines: dockerEngines(sections, {}), nerve: nerveConfig.parse({}) });
    await run.offered("from-env", 1);
  });
});
