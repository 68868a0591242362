// The Debian packages that tests need beside npm's: real servers to test against. Plain Node, no dependencies.
import { spawn } from "node:child_process";
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";

/** Each package with what tests use of it. A machine that has these files from elsewhere is fine, too. */
export const PACKAGES = [
  { name: "etcd-server", files: ["/usr/bin/etcd"] },
  { name: "etcd-client", files: ["/usr/bin/etcdctl"] },
  { name: "zookeeper", files: ["/usr/share/java/zookeeper.jar", "/etc/zookeeper/conf"] },
  { name: "default-jre-headless", files: ["/usr/bin/java"] },
  { name: "haproxy", files: ["/usr/sbin/haproxy"] },
  { name: "slowhttptest", files: ["/usr/bin/slowhttptest"] },
  { name: "docker.io", files: ["/usr/bin/docker", "/usr/sbin/dockerd"] },
  { name: "docker-compose", files: ["/usr/bin/docker-compose"] },
  { name: "busybox-static", files: ["/bin/busybox"] },
  { name: "iptables", files: ["/usr/sbin/iptables"] },
  { name: "iproute2", files: ["/usr/bin/ip"] },
  { name: "procps", files: ["/usr/bin/ps"] },
  { name: "openssl", files: ["/usr/bin/openssl"] },
  { name: "redis-server", files: ["/usr/bin/redis-server", "/usr/bin/redis-cli"] },
  { name: "mariadb-server-core", files: ["/usr/sbin/mariadbd", "/usr/bin/mariadb-install-db"] },
  { name: "mariadb-client", files: ["/usr/bin/mariadb", "/usr/bin/mariadb-admin"] },
  { name: "postgresql-15", files: ["/usr/lib/postgresql/15/bin/postgres", "/usr/lib/postgresql/15/bin/initdb"] },
  { name: "rabbitmq-server", files: ["/usr/lib/rabbitmq/bin/rabbitmq-server", "/usr/bin/epmd"] },
  { name: "ca-certificates", files: ["/etc/ssl/certs/ca-certificates.crt"] },
];

const POLICY = "/usr/sbin/policy-rc.d";
const POLICY_TEXT =
  "#!/bin/sh\n# Written by SmartStack's tests while they install packages: no service is started.\nexit 101\n";

/**
 * The names of the packages whose files are not there.
 * @param {(file: string) => boolean} exists
 */
export function missingPackages(exists = existsSync) {
  return PACKAGES.filter(({ files }) => !files.every(exists)).map(({ name }) => name);
}

/**
 * Installs what is missing, as root on a Debian machine, without any of it being started.
 * @throws Error that says what is missing and how to install it.
 */
export async function ensurePackages() {
  const missing = missingPackages();
  if (missing.length === 0) return;
  const how = `apt-get update && apt-get install -y --no-install-recommends ${missing.join(" ")}`;
  if (process.getuid?.() !== 0 || !existsSync("/usr/bin/apt-get")) {
    throw new Error(`The tests need these Debian packages: ${missing.join(" ")}\nInstall them as root:\n  ${how}`);
  }
  process.stderr.write(`Installing the Debian packages that the tests need: ${missing.join(" ")}\n`);
  await withoutServiceStarts(POLICY, () => installPackages(missing));
  const still = missingPackages();
  if (still.length > 0) throw new Error(`Installed, but what the tests need of these is not there: ${still.join(" ")}`);
}

async function installPackages(names) {
  await apt("update");
  await apt("install", "-y", "--no-install-recommends", ...names);
}

/**
 * Runs `work` while a policy file forbids every service start, then puts back what was there before: also when `work`
 * fails, and when this process is told to end.
 * @param {string} policy the policy file's path
 * @param {() => Promise<void>} work
 */
export async function withoutServiceStarts(policy, work) {
  const saved = `${policy}.before-smartstack`;
  // A saved file that is already there is the original, from a run that was killed.
  if (existsSync(policy) && !existsSync(saved) && readFileSync(policy, "utf8") !== POLICY_TEXT)
    renameSync(policy, saved);
  const restore = () => {
    rmSync(policy, { force: true });
    if (existsSync(saved)) renameSync(saved, policy);
  };
  const end = () => process.exit(130);
  process.on("exit", restore);
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, end);
  try {
    writeFileSync(policy, POLICY_TEXT, { mode: 0o755 });
    await work();
  } finally {
    restore();
    process.off("exit", restore);
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.off(signal, end);
  }
}

function apt(...args) {
  return new Promise((resolve, reject) => {
    const child = spawn("apt-get", ["-o", "DPkg::Lock::Timeout=120", ...args], {
      stdio: ["ignore", 2, 2],
      env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    });
    child.once("error", reject);
    child.once("exit", (code, signal) => {
      if (code === 0) resolve();
      else reject(new Error(`apt-get ${args.join(" ")} ended with ${signal ?? `exit code ${code}`}`));
    });
  });
}
