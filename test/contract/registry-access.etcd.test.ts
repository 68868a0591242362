import { generateKeyPairSync } from "node:crypto";
import { copyFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeError, eventBus, type Registry, systemClock } from "@smartstack/core";
import { until } from "@smartstack/core/testing";
import { openRegistry, type RegistryConfig } from "@smartstack/registry";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type Certificates, makeCertificates } from "../support/certificates.ts";
import { etcdctl, etcdRead, startEtcd, type TestServer } from "../support/etcd.ts";
import { NEVER, owner, record, records } from "./registry-case.ts";
import { announcer, follow } from "./registry-follower.ts";

type EtcdConfig = Extract<RegistryConfig, { type: "etcd" }>;

const NAME = "etcd.test";
const TTL_MS = 3_000;
const opened: Registry[] = [];
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "smartstack-access-"));
});
afterEach(() => Promise.all(opened.splice(0).map((registry) => registry.close())));
afterAll(() => rm(folder, { recursive: true, force: true }));

async function open(server: TestServer, access: Pick<EtcdConfig, "tls" | "auth">, prefix = "/secure/services") {
  const config: EtcdConfig = { type: "etcd", hosts: [server.endpoint], prefix, ttl: TTL_MS, ...access };
  const registry = await openRegistry(config, { clock: systemClock, random: () => 0, events: eventBus() });
  opened.push(registry);
  return registry;
}

function announceOnce(registry: Registry): Promise<unknown> {
  return registry.announce(owner("node-a", "b1"), records("web", 1), NEVER);
}

/** What an operator reads when it cannot be announced. */
function complaintOf(registry: Registry): Promise<string> {
  return announceOnce(registry).then(() => "none", describeError);
}

describe("F10 TLS", () => {
  const files = { ca_file: "", cert_file: "", key_file: "" };
  let certificates: Certificates;
  let served: Pick<Certificates, "ca" | "server" | "client">;
  let server: TestServer;

  /** Puts a set of certificates where server and driver look for them. */
  async function install({ ca, server, client }: Certificates): Promise<void> {
    const pairs = [
      [ca, served.ca],
      [server.cert, served.server.cert],
      [server.key, served.server.key],
      [client.cert, served.client.cert],
      [client.key, served.client.key],
    ] as const;
    await Promise.all(pairs.map(([from, to]) => copyFile(from, to)));
  }

  beforeAll(async () => {
    const at = (name: string): string => join(folder, `${name}.pem`);
    served = {
      ca: at("ca"),
      server: { cert: at("server"), key: at("server-key") },
      client: { cert: at("client"), key: at("client-key") },
    };
    Object.assign(files, { ca_file: served.ca, cert_file: served.client.cert, key_file: served.client.key });
    certificates = await makeCertificates("IP:127.0.0.1");
    await install(certificates);
    server = await startEtcd({ tls: served });
  });
  afterAll(async () => {
    await server?.stop();
    certificates?.remove();
  });

  it("refuses a stranger's server, a missing client certificate and plain text, each with what to do", async () => {
    const complaint = async (tls: EtcdConfig["tls"]): Promise<string> =>
      complaintOf(await open(server, tls === undefined ? {} : { tls }));
    expect(await complaint({ ...files, ca_file: certificates.stranger })).toMatch(/set registry\.tls\.ca_file/);
    expect(await complaint({ ca_file: files.ca_file })).toMatch(/registry\.tls\.cert_file and key_file/);
    expect(await complaint({ ...files, server_name: NAME })).toMatch(/set registry\.tls\.server_name/);
    expect(await complaint({ ca_file: `${folder}/none` })).toMatch(
      /registry\.tls\.ca_file: cannot read .*none.*ENOENT/,
    );
    expect(await complaint(undefined)).toContain(server.endpoint);
    const plain = await open(server, {});
    await expect(announceOnce(plain)).rejects.toMatchObject({ retry: "after-backoff" });
    expect(plain.status()).toMatchObject({ connected: false, lastError: expect.stringContaining(server.endpoint) });
  });

  it("cert rotated: reconnects with the new files, under the name in the new certificate", async () => {
    const registry = await open(server, { tls: files });
    const follower = follow(registry, "web");
    const nerve = announcer(registry, owner("node-a", "b1"), () => records("web", 2));
    await until(() => follower.names().length === 2, { what: "announced over mutual TLS" });
    const renewed = await makeCertificates("IP:127.0.0.1");
    try {
      await install(renewed);
      // Before: it may be back in another by the time the restart is told.
      const session = nerve.session();
      await server.restart();
      await until(() => nerve.session() !== session, { what: "announced again with the renewed files" });
      await until(
        () =>
          nerve
            .session()
            ?.put(record("web", "later", 1))
            .then(() => true),
        { what: "writes" },
      );
      await until(() => follower.names().includes("later"), { what: "watched again" });
    } finally {
      renewed.remove();
    }
    await nerve.stop("withdraw");
    expect(await etcdRead(server.endpoint, "/secure/", { tls: served })).toEqual(new Map());
    await follower.stop();
  });

  it("takes the server's name from server_name", async () => {
    const named = await makeCertificates(`DNS:${NAME}`);
    try {
      await install(named);
      await server.restart();
      const registry = await open(server, { tls: { ...files, server_name: NAME } }, "/secure/named");
      const nerve = announcer(registry, owner("node-a", "b1"), () => records("web", 1));
      await until(() => nerve.session(), { what: "announced to a server of another name", timeoutMs: 15_000 });
      await nerve.stop("withdraw");
    } finally {
      named.remove();
    }
  });
});

describe("F10 users", () => {
  const ROOT = { user: "root:secret" };
  const TOKEN_SECONDS = 2;
  const user = { username: "smartstack", password: "right" };
  let server: TestServer;

  beforeAll(async () => {
    const [key, pub] = [join(folder, "jwt-key.pem"), join(folder, "jwt-pub.pem")];
    const pair = generateKeyPairSync("rsa", {
      modulusLength: 2048,
      publicKeyEncoding: { type: "spki", format: "pem" },
      privateKeyEncoding: { type: "pkcs1", format: "pem" },
    });
    await Promise.all([writeFile(key, pair.privateKey), writeFile(pub, pair.publicKey)]);
    // etcd's simple tokens live on while they are used; these end.
    const token = `jwt,pub-key=${pub},priv-key=${key},sign-method=RS256,ttl=${TOKEN_SECONDS}s`;
    server = await startEtcd({ flags: [`--auth-token=${token}`] });
    const admin = (words: string): Promise<string> => etcdctl(server.endpoint, words.split(" "));
    await admin("role add writer");
    await admin("role grant-permission writer readwrite --prefix=true /secure/services/");
    await admin("role add reader");
    await admin("role grant-permission reader read --prefix=true /secure/services/");
    await admin("user add smartstack:right");
    await admin("user grant-role smartstack writer");
    await admin("user add synapse:right");
    await admin("user grant-role synapse reader");
    await admin("user add root:secret");
    await admin("user grant-role root root");
    await admin("auth enable");
  });
  afterAll(() => server?.stop());

  it("says which user, and goes on trying, when the password is wrong, and takes the file's new one", async () => {
    const file = join(folder, "password");
    await writeFile(file, "wrong\n");
    const registry = await open(server, { auth: { username: user.username, password_file: file } });
    const nerve = announcer(registry, owner("node-a", "b1"), () => records("web", 1));
    await until(() => registry.status().lastError?.includes("wrong user or password for smartstack"), { what: "said" });
    expect(registry.status().connected).toBe(false);
    expect(await complaintOf(await open(server, {}))).toMatch(/set registry\.auth/);
    await writeFile(file, "right\n");
    await until(() => nerve.session(), { what: "announced with the new password" });
    await nerve.stop("withdraw");
  });

  it("needs no more than its prefix, and names a permission that it lacks", async () => {
    expect(await complaintOf(await open(server, { auth: user }, "/secure/servicesX"))).toMatch(/smartstack may not/);
    const writer = await open(server, { auth: user });
    const session = await writer.announce(owner("node-a", "b1"), records("web", 3), NEVER);
    const reader = await open(server, { auth: { ...user, username: "synapse" } });
    const follower = follow(reader, "web");
    await until(() => follower.names().length === 3, { what: "read by a user who may only read" });
    await expect(announceOnce(reader)).rejects.toMatchObject({ code: "REGISTRY_FAILED", side: "config" });
    expect(reader.status().connected, "the watch goes on").toBe(true);
    await session.drop("web", "web-0");
    await until(() => follower.names().length === 2, { what: "watched" });
    await session.close("withdraw");
    await until(() => follower.names().length === 0, { what: "withdrawn" });
    await follower.stop();
  });

  it("logs in again when its token ran out, without losing session or watch", async () => {
    const registry = await open(server, { auth: user });
    const follower = follow(registry, "web");
    const nerve = announcer(registry, owner("node-a", "b1"), () => records("web", 2));
    await until(() => follower.names().length === 2 && nerve.session(), { what: "announced" });
    const put = (id: string): Promise<void> => nerve.session()?.put(record("web", id, 1)) ?? Promise.reject();
    const beginning = performance.now();
    for (let turn = 0; performance.now() - beginning < 2.5 * TOKEN_SECONDS * 1_000; turn++) {
      // Several at once: one login serves them all.
      await Promise.all([0, 1, 2].map((index) => put(`t${turn}-${index}`)));
      await until(() => follower.names().includes(`t${turn}-2`), { what: "seen" });
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
    expect(nerve.sessions).toHaveLength(1);
    expect(follower.resets()).toBe(1);
    await nerve.stop("withdraw");
    await follower.stop();
  });

  it("is told when its permission is taken away, and back when it is returned", async () => {
    const registry = await open(server, { auth: user });
    const nerve = announcer(registry, owner("node-a", "b1"), () => records("web", 2));
    await until(() => nerve.session(), { what: "announced" });
    await etcdctl(server.endpoint, ["user", "revoke-role", "smartstack", "writer"], ROOT);
    await until(() => !registry.status().connected && registry.status().lastError?.includes("may not"), {
      what: "told of the missing permission",
    });
    await etcdctl(server.endpoint, ["user", "grant-role", "smartstack", "writer"], ROOT);
    await until(
      () =>
        nerve
          .session()
          ?.put(record("web", "later", 1))
          .then(() => true),
      { what: "writes again" },
    );
    await nerve.stop("withdraw");
  });
});
