import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { onProcessEnd } from "./children.ts";
import { command } from "./command.ts";
import { ETCD_IMAGE, NODE_IMAGE, SMARTSTACK_IMAGE, WEB_IMAGE } from "./container.ts";
import type { Engine } from "./docker.ts";
import { startTunnel } from "./tunnel.ts";

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");
const CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt";
const BUSYBOX = "/bin/busybox";

/** What goes into an image that is made without any other image: this machine's own programs. */
interface ImageContents {
  readonly tag: string;
  /** Programs, by their path here; they and their shared libraries get the same paths there. */
  readonly programs: readonly string[];
  /** Further files and folders of this machine, to the same paths. */
  readonly files?: readonly string[];
  /** Small files and links to lay over it: path in the image → text, or where the link leads. */
  readonly texts?: Readonly<Record<string, string>>;
  readonly links?: Readonly<Record<string, string>>;
  /** Dockerfile instructions, as `docker import --change` takes them. */
  readonly changes?: readonly string[];
}

/** The image of the test web server, which is also a base for our own: Node, npm and a shell. */
export async function importNodeImage(engine: Engine): Promise<void> {
  const npmCommand = realpathSync(execFileSync("which", ["npm"], { encoding: "utf8" }).trim());
  const web = fileURLToPath(new URL("backend.mjs", import.meta.url));
  await importImage(engine, {
    tag: NODE_IMAGE,
    programs: [process.execPath],
    files: [path.resolve(npmCommand, "../.."), ...(existsSync(CERTIFICATES) ? [CERTIFICATES] : [])],
    links: { "usr/local/bin/npm": npmCommand, "usr/local/bin/node": process.execPath },
    texts: { "srv/backend.mjs": execFileSync("cat", [web], { encoding: "utf8" }) },
    changes: [`ENV NODE_EXTRA_CA_CERTS=${CERTIFICATES}`, 'CMD ["node","/srv/backend.mjs"]'],
  });
  await engine.docker("tag", NODE_IMAGE, WEB_IMAGE);
}

/** etcd as Debian packages it. */
export async function importEtcdImage(engine: Engine): Promise<void> {
  await importImage(engine, {
    tag: ETCD_IMAGE,
    programs: ["/usr/bin/etcd", "/usr/bin/etcdctl"],
    changes: ["ENV ETCDCTL_API=3", 'CMD ["etcd"]'],
  });
}

/** Our own image, by deploy/Dockerfile, on top of this machine's Node; `importNodeImage` comes first. */
export async function buildSmartstackImage(engine: Engine): Promise<void> {
  const tunnel = await startTunnel(engine.outsideAddress, [new URL(await npmRegistry()).hostname]);
  try {
    const build = ["build", "--file", "deploy/Dockerfile", "--tag", SMARTSTACK_IMAGE];
    await engine.docker(
      ...build,
      "--build-arg",
      `BASE_IMAGE=${NODE_IMAGE}`,
      "--build-arg",
      `HTTPS_PROXY=${tunnel.url}`,
      ROOT,
    );
  } finally {
    await tunnel.close();
  }
}

async function npmRegistry(): Promise<string> {
  return (await command("npm", ["config", "get", "registry"], { cwd: ROOT })).trim();
}

async function importImage(engine: Engine, contents: ImageContents): Promise<void> {
  const stage = mkdtempSync(path.join(tmpdir(), "smartstack-image-"));
  const remove = (): void => rmSync(stage, { recursive: true, force: true });
  const forget = onProcessEnd(remove);
  try {
    layOut(path.join(stage, "root"), contents);
    const copied = [BUSYBOX, ...contents.programs].flatMap((program) => [program, ...sharedLibraries(program)]);
    const names = [...new Set([...copied, ...(contents.files ?? [])])].map((file) => file.slice(1));
    const tar = path.join(stage, "image.tar");
    // Links are followed in what is copied, since libraries are reached through them, but kept in what is laid out.
    await command("tar", ["--create", "--file", tar, "--owner=0", "--group=0", "--dereference", "-C", "/", ...names]);
    await command("tar", ["--append", "--file", tar, "--owner=0", "--group=0", "-C", path.join(stage, "root"), "."]);
    const changes = [`ENV PATH=/usr/local/bin:/usr/bin:/bin`, ...(contents.changes ?? [])];
    await engine.docker("import", ...changes.flatMap((change) => ["--change", change]), tar, contents.tag);
  } finally {
    forget();
    remove();
  }
}

function layOut(root: string, contents: ImageContents): void {
  const texts = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnode:x:1000:1000:node:/home/node:/bin/sh\n",
    "etc/group": "root:x:0:\nnode:x:1000:\n",
    "etc/nsswitch.conf": "hosts: files dns\n",
    ...contents.texts,
  };
  const applets = execFileSync(BUSYBOX, ["--list-full"], { encoding: "utf8" }).trim().split("\n");
  const links = { ...Object.fromEntries(applets.map((applet) => [applet, BUSYBOX])), ...contents.links };
  for (const folder of ["root", "home/node", "tmp", "var/tmp"]) mkdirSync(path.join(root, folder), { recursive: true });
  execFileSync("chmod", ["1777", path.join(root, "tmp"), path.join(root, "var/tmp")]);
  for (const [name, text] of Object.entries(texts)) writeFileSync(inside(root, name), text);
  for (const [name, target] of Object.entries(links)) {
    const link = inside(root, name);
    if (`/${name}` !== target && !existsSync(link)) symlinkSync(target, link);
  }
}

function inside(root: string, name: string): string {
  const file = path.join(root, name);
  mkdirSync(path.dirname(file), { recursive: true });
  return file;
}

/** The paths of a program's shared libraries and its loader, by ldd; none when it is linked statically. */
function sharedLibraries(program: string): string[] {
  try {
    const lines = execFileSync("ldd", [program], { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] }).split("\n");
    return lines.flatMap((line) => /(?:=> |^\s)(\/\S+)/.exec(line)?.[1] ?? []);
  } catch (error) {
    if (/not a dynamic executable/.test(String((error as { stderr?: string }).stderr))) return [];
    throw error;
  }
}
